# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter vyos_lines: what a VyOS router of the testbed is told."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: vyos_lines
short_description: The configuration of a VyOS router of the testbed
version_added: "0.1.0"
description:
  - Gives the lines, and the scopes that nothing else is left in, for M(okiagari.testbed.vyos_config).
positional: _input, node, part
options:
  _input:
    description: The resolved testbed, as the inventory plugin gives it.
    type: dict
    required: true
  node:
    description: Name of the router.
    type: str
    required: true
  part:
    description:
      - V(qinq) are the devices of the tagged networks, V(wan) the addresses and the BGP sessions, those of routed
        segments too.
    type: str
    choices: [qinq, wan]
    required: true
  records:
    description: The records of all projects that hold something.
    type: list
    elements: dict
    default: []
  mtu:
    description: What networks must carry, instead of the most that all circuits can.
    type: int
  ports:
    description:
      - The router's own names of its interfaces, by their names in the testbed.
      - A name that VyOS takes, such as C(lan0) or C(eth1), needs none.
    type: dict
    default: {}
  release:
    description: The release of VyOS.
    type: str
    default: "1.4"
  timers:
    description: How soon a session is given up. Keys C(bfd_interval_ms), C(bfd_multiplier), C(keepalive_s), C(hold_s).
    type: dict
  segment_timers:
    description: The same for sessions inside routed segments.
    type: dict
  own_bgp:
    description: Whether all of the router's BGP is the testbed's, so that other neighbours are removed.
    type: bool
    default: false
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Look through what a router will be told
  ansible.builtin.debug:
    msg: "{{ (testbed | okiagari.testbed.vyos_lines('hiroshima-r1', 'wan', ports={'w-osaka': 'eth1'})).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines) and C(scopes).
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import BadInput, OkiagariError, Problem
from ..module_utils.qinq import plan
from ..module_utils.qinq.vyos import SEGMENT_TIMERS, WAN_TIMERS, qinq_lines, wan_lines
from ..module_utils.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..module_utils.qinq.vyos import Rendering

PARTS = ("qinq", "wan")


def vyos_lines(
    testbed: Mapping[str, Any],
    node: str,
    part: str,
    records: Sequence[Mapping[str, Any]] = (),
    mtu: int | None = None,
    ports: Mapping[str, str] | None = None,
    release: str = "1.4",
    timers: Mapping[str, int] | None = None,
    segment_timers: Mapping[str, int] | None = None,
    own_bgp: bool = False,
) -> dict[str, list[str]]:
    try:
        _check(testbed, node, part, ports or {})
        mine = plan(testbed, records, mtu)[node]
        rendering: Rendering
        if part == "qinq":
            segments = [segment["vlan"] for segment in testbed["segments"].values()]
            rendering = qinq_lines(mine, segments, ports, str(release))
        else:
            rendering = wan_lines(
                testbed,
                mine,
                ports,
                str(release),
                WAN_TIMERS._replace(**(timers or {})),
                SEGMENT_TIMERS._replace(**(segment_timers or {})),
                own_bgp,
            )
    except (OkiagariError, ValueError) as error:
        raise AnsibleFilterError(str(error)) from error
    return {"lines": rendering.lines, "scopes": rendering.scopes}


def _check(testbed: Mapping[str, Any], node: str, part: str, ports: Mapping[str, str]) -> None:
    routers = {name: each for name, each in testbed["nodes"].items() if each["kind"] == "router"}
    problems = []
    if part not in PARTS:
        problems.append(Problem("", None, "part", f"{part} is not one of {', '.join(PARTS)}", nearest(part, PARTS)))
    if node not in routers:
        problems.append(Problem("", None, "node", f"the testbed has no router {node}", nearest(node, routers)))
    else:
        names = [interface["name"] for interface in routers[node]["interfaces"]]
        problems += [
            Problem("", None, f"{node}: ports", f"there is no interface {name}", nearest(name, names))
            for name in ports
            if name not in names
        ]
    if problems:
        raise BadInput(problems)


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vyos_lines": vyos_lines}
