# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter segment_addresses: where the KVM hosts are in one of their three segments (P5.4)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: segment_addresses
short_description: The addresses of all KVM hosts in one segment
version_added: "0.1.0"
description:
  - Gives the address of each KVM host in its storage, management or migration segment.
positional: _input, segment
options:
  _input:
    description: The resolved testbed, as the inventory plugin gives it.
    type: dict
    required: true
  segment:
    description: Which segment.
    type: str
    choices: [storage, management, migration]
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Show where the storage of each host is reached
  ansible.builtin.debug:
    msg: "{{ testbed | okiagari.testbed.segment_addresses('storage') }}"
"""

RETURN = r"""
_value:
  description: Addresses without the length of their prefix, by the name of the host.
  type: dict
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def segment_addresses(testbed: Mapping[str, Any], segment: str) -> dict[str, str]:
    return {
        name: node["segments"][segment]["address"].partition("/")[0]
        for name, node in testbed["nodes"].items()
        if node["kind"] == "kvm_host"
    }


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"segment_addresses": segment_addresses}
