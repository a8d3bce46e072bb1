# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a login, whatever the router does meanwhile. The rest is tried over real SSH by the contract tests."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.netmiko_channel import Login, NetmikoChannel


class Leaving:
    """A connection whose router has gone first."""

    base_prompt = "vyos@r1"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def paramiko_cleanup(self) -> None:
        raise self._error


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError("gone")])
def test_a_router_that_leaves_first_is_no_error(error: Exception) -> None:
    class Channel(NetmikoChannel):
        def _connect(self, login: Login) -> Any:
            return Leaving(error)

    Channel(Login("r1", "vyos")).close()
