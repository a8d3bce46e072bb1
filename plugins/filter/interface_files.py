# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter interface_files: networkd's files of a node's own interfaces."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: interface_files
short_description: systemd-networkd's files of a node's interfaces
version_added: "0.1.0"
description:
  - Gives a file for each interface of a node of a testbed that has an address, and for the loopback.
options:
  _input:
    description: The node, as the inventory plugin gives it in C(testbed_node).
    type: dict
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Address the interfaces
  okiagari.testbed.config_files:
    files: "{{ testbed_node | okiagari.testbed.interface_files }}"
"""

RETURN = r"""
_value:
  description: The C(path) and C(content) of each file, for M(okiagari.testbed.config_files).
  type: list
  elements: dict
"""

from typing import TYPE_CHECKING, Any

from ..module_utils.qinq.linux import interface_files

if TYPE_CHECKING:
    from collections.abc import Callable


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"interface_files": interface_files}
