# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter qinq: what tagged networks are on a Linux node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: qinq
short_description: The tagged networks of a Linux node
version_added: "0.1.0"
description:
  - Gives what systemd-networkd must be told, and which devices that makes, on one router or KVM host of a testbed.
positional: _input, node, records
options:
  _input:
    description: The resolved testbed, as the inventory plugin gives it.
    type: dict
    required: true
  node:
    description: Name of the router or KVM host.
    type: str
    required: true
  records:
    description: The records of all projects that hold something.
    type: list
    elements: dict
    default: []
  mtu:
    description: What networks must carry, instead of the most that all circuits can.
    type: int
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Write the files of this node's tagged networks
  okiagari.testbed.config_files:
    files: "{{ qinq_plan.files }}"
    prune: "{{ qinq_plan.prune }}"
  vars:
    qinq_plan: "{{ testbed | okiagari.testbed.qinq(inventory_hostname, qinq_records) }}"
"""

RETURN = r"""
_value:
  description:
    - C(files) and C(prune) for M(okiagari.testbed.config_files).
    - C(devices) and C(reach) for M(okiagari.testbed.qinq_devices).
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import OkiagariError
from ..module_utils.qinq import plan, plan_hosts
from ..module_utils.qinq.linux import PRUNE, devices, files, reach
from ..module_utils.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def qinq(
    testbed: Mapping[str, Any], node: str, records: Sequence[Mapping[str, Any]] = (), mtu: int | None = None
) -> dict[str, Any]:
    if node not in testbed["nodes"]:
        near = nearest(node, testbed["nodes"])
        raise AnsibleFilterError(f"the testbed has no node {node}" + (f"; did you mean {near}?" if near else ""))
    entry = testbed["nodes"][node]
    planner = plan if entry["kind"] == "router" else plan_hosts
    try:
        mine = planner(testbed, records, mtu)[node]
    except OkiagariError as error:
        raise AnsibleFilterError(str(error)) from error
    return {"files": files(mine, entry), "prune": list(PRUNE), "devices": devices(mine), "reach": reach(mine)}


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"qinq": qinq}
