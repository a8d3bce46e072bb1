# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of IOS-XE and IOS-XR over SSH: logins and host keys are those of VyOS, prompts are netmiko's."""

from __future__ import annotations

from typing import Any

from ..vyos.netmiko_channel import NetmikoChannel


class XeChannel(NetmikoChannel):
    """A `Channel` to IOS-XE."""

    device_type = "cisco_ios"

    def _connection_class(self) -> Any:
        from netmiko.cisco import CiscoIosSSH

        return CiscoIosSSH


class XrChannel(NetmikoChannel):
    """A `Channel` to IOS-XR."""

    device_type = "cisco_xr"

    def _connection_class(self) -> Any:
        from netmiko.cisco import CiscoXrSSH

        return CiscoXrSSH
