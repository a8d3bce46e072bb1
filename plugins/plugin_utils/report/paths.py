# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which circuits the traffic took while a fault was on, as path probes saw it."""

from __future__ import annotations

from itertools import pairwise

from .reading import Report, circuits_of, entries, mapping, text

_NOT_DURING = {"before", "after"}


def detour(report: Report) -> set[str]:
    """The circuits between consecutive hops of the path probes that ran during the faults."""
    testbed = mapping(report.get("testbed"))
    owner = _owners(testbed)
    joined = {frozenset((c.get("a"), c.get("b"))): name for name, c in circuits_of(report).items()}
    found: set[str] = set()
    for probe in entries(report.get("probes")):
        hops = mapping(probe.get("value")).get("hops")
        if text(probe.get("phase")) in _NOT_DURING or not isinstance(hops, list):
            continue
        walked = [owner[text(hop)] for hop in hops if text(hop) in owner]
        for here, there in pairwise(walked):
            if frozenset((here, there)) in joined:
                found.add(joined[frozenset((here, there))])
    return found


def _owners(testbed: dict[str, object]) -> dict[str, str]:
    """Address to node."""
    found: dict[str, str] = {}
    for name, value in mapping(testbed.get("nodes")).items():
        node = mapping(value)
        addresses = [interface.get("address") for interface in entries(node.get("interfaces"))] + [node.get("loopback")]
        for address in addresses:
            if address:
                found[text(address).split("/")[0]] = name
    return found
