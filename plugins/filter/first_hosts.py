# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter first_hosts: one KVM host of each site."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: first_hosts
short_description: One KVM host of each site
version_added: "0.1.0"
description:
  - Gives the first KVM host of each site, the lowest-numbered site first.
  - What needs members in different failure domains takes as many of them as it needs.
positional: _input, among
options:
  _input:
    description: The resolved testbed, as the inventory plugin gives it.
    type: dict
    required: true
  among:
    description: Names of the hosts to choose from. Without it all KVM hosts.
    type: list
    elements: str
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Show where three voters would be
  ansible.builtin.debug:
    msg: "{{ (testbed | okiagari.testbed.first_hosts)[:3] }}"
"""

RETURN = r"""
_value:
  description: Names of hosts.
  type: list
  elements: str
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


def first_hosts(testbed: Mapping[str, Any], among: Collection[str] | None = None) -> list[str]:
    first: dict[str, str] = {}
    for name, node in sorted(testbed["nodes"].items(), key=lambda entry: int(entry[1]["number"])):
        if node["kind"] == "kvm_host" and (among is None or name in among):
            first.setdefault(node["site"], name)
    return list(first.values())


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"first_hosts": first_hosts}
