# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FRR's running configuration as lines in their contexts, and the way from some lines to others through vtysh.

Only the running configuration is changed, never the files: a restart of the router forgets every fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OkiagariError
from .owned import FRR_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A line after the contexts that it stands in: ("router bgp 65001", "address-family ipv4 unicast", "network ...").
Line = tuple[str, ...]

SHOW = ("vtysh", "-c", "show running-config bgpd no-header")
SOCKET = "/run/frr/bgpd.vty"
_ENDS = ("exit", "exit-address-family", "exit-vrf", "end", "!")


def parse(text: str) -> list[Line]:
    """Give the lines of `show running-config`, each with its contexts, which FRR shows by indentation.

    Raises `OkiagariError` if it isn't there to its end: what is missing must not be taken for what isn't configured.
    """
    if text.split()[-1:] != ["end"]:
        raise OkiagariError(f"{' '.join(SHOW)}: the configuration that it shows has no end")
    found: list[Line] = []
    contexts: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        depth = len(raw) - len(raw.lstrip())
        if not line or line in _ENDS:
            continue
        contexts = contexts[:depth]
        found.append((*contexts, line))
        contexts.append(line)
    return found


def router(lines: Iterable[Line], vrf: str) -> str | None:
    """Give the line that begins a VRF's BGP, the default one's for an empty name; None if it has none."""
    for line in lines:
        words = line[0].split()
        if words[:2] == ["router", "bgp"] and (words[4] if words[3:4] == ["vrf"] else "") == vrf:
            return line[0]
    return None


def neighbors(lines: Iterable[Line], block: str | None) -> list[str]:
    """Give the neighbours of a BGP by their addresses or names, in FRR's order."""
    words = [line[1].split() for line in lines if len(line) == 2 and line[0] == block]
    return [each[1] for each in words if each[0] == "neighbor" and each[2:3] in (["remote-as"], ["interface"])]


def of_neighbor(lines: Iterable[Line], block: str | None, neighbor: str) -> list[Line]:
    """Give what faults may change of a neighbour's session: is it shut, has it BFD, what does it do with routes."""
    return [
        line
        for line in lines
        if (line[0] == block and _changeable(line[-1].split(), neighbor))
        or (block and line[0].split()[:2] == ["route-map", route_map(block, neighbor)])
    ]


def _changeable(words: Sequence[str], neighbor: str) -> bool:
    if words[:2] != ["neighbor", neighbor]:
        return False
    return words[2:3] in (["shutdown"], ["bfd"]) or (words[2:3] == ["route-map"] and words[4:] in (["in"], ["out"]))


def networks(lines: Iterable[Line], block: str | None) -> list[str]:
    """Give the prefixes that a BGP announces of its own."""
    words = [line[-1].split() for line in lines if line[0] == block]
    return [each[1] for each in words if each[0] == "network" and len(each) > 1]


def of_network(lines: Iterable[Line], block: str | None, prefix: str) -> list[Line]:
    """Give the lines by which a BGP announces a prefix of its own."""
    return [line for line in lines if line[0] == block and line[-1].split()[:2] == ["network", prefix]]


def route_map(block: str, neighbor: str) -> str:
    """Give the name of the route-map that a fault makes for a neighbour."""
    vrf = block.split()[4:5]
    return "-".join([FRR_MARK, *vrf, neighbor])


def way(have: Sequence[Line], want: Sequence[Line]) -> tuple[str, ...]:
    """Give the vtysh that leads from some lines to others, the last going first; empty if there is nothing to do."""
    gone = [line for line in have if line not in want]
    new = [line for line in want if line not in have]
    if not gone and not new:
        return ()
    found = ["configure terminal"]
    for line in reversed(gone):
        # What stands in something goes with it.
        if line[:-1] not in gone:
            found += [*line[:-1], f"no {line[-1]}"]
    for line in new:
        found += line
    return ("vtysh", *(word for line in found for word in ("-c", line)))


def marked(lines: Iterable[Line]) -> list[Line]:
    """Give the lines that carry the mark of a fault."""
    return [line for line in lines if any(FRR_MARK in part for part in line)]
