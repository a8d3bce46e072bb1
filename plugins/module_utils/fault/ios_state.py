# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State entries of a router with IOS-XE or IOS-XR, read from its lines, and the lines that lead to others."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from . import device
from .backend import MissingCapability
from .owned import FRR_MARK as MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .frr import Line
    from .ios_words import Words

Entry = dict[str, Any]

_INTERFACE = "interface "
# Some releases number the lines of a filter.
_NUMBER = re.compile(r"^(?:sequence )?[0-9]+ (?=(?:deny|permit) )")


def parse(text: str) -> list[Line]:
    """Give the lines of `show running-config`, each with the blocks that it is in, which are shown by indentation.

    Raises `OkiagariError` if it isn't there to its end: what is missing must not be taken for what isn't configured.
    """
    if text.split()[-1:] != ["end"]:
        raise OkiagariError("show running-config: the configuration that it shows has no end")
    found: list[Line] = []
    blocks: list[tuple[int, str]] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line in ("!", "end", "exit-address-family", "end-policy"):
            continue
        depth = len(raw) - len(raw.lstrip())
        blocks = [block for block in blocks if block[0] < depth]
        found.append((*(block[1] for block in blocks), _NUMBER.sub("", line)))
        blocks.append((depth, line))
    return found


def within(lines: Sequence[Line], *block: str) -> list[str]:
    """Give the lines that stand right in a block."""
    return [line[-1] for line in lines if line[:-1] == block]


def interfaces(lines: Sequence[Line]) -> list[str]:
    """Give the names of all configured interfaces."""
    return [line[0].removeprefix(_INTERFACE) for line in lines if len(line) == 1 and line[0].startswith(_INTERFACE)]


def link_entry(shown: str) -> Entry:
    """Give whether an interface is set up or down, as `show interfaces` begins. Raises `OkiagariError` else."""
    said = re.search(r" is (administratively down|down|up), *line protocol is ", shown)
    if not said:
        raise OkiagariError("show interfaces: its answer doesn't say whether the interface is up or down")
    return device.link_entry("down" if said[1] == "administratively down" else "up")


def link_lines(name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Line]:
    """Give the line that sets an interface down, or takes that back; a vanished one stays lost."""
    if "missing" in have or have["admin"] == want["admin"]:
        return []
    return [(_INTERFACE + name, "shutdown" if want["admin"] == "down" else "no shutdown")]


def qdisc_entry(words: Words, lines: Sequence[Line], name: str) -> Entry:
    """Give the filter for what leaves an interface: ours, which loses all of it, or a foreign one."""
    ours = [line for line in words.filters(name) if line in lines]
    mine = {line[-1] for line in ours}
    others = [line for line in within(lines, _INTERFACE + name) if words.is_filter(line) and line not in mine]
    whole = {"loss_percent": 100.0} if len(ours) == len(words.filters(name)) else {}
    return {
        "parent": "root",
        "netem": whole if ours else None,
        "filters": [],
        "foreign": others[0] if others else None,
    }


def qdisc_lines(words: Words, name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Line]:
    """Give the lines that have everything lost that leaves an interface, or take away exactly ours."""
    filters = words.filters(name)
    if want["netem"] is None:
        if have.get("netem") is None:
            return []
        used = [(block, f"no {line}") for block, line in filters if block.startswith(_INTERFACE)]
        return [*used, *((f"no {block}",) for block, _line in filters if not block.startswith(_INTERFACE))]
    if {key: value for key, value in want["netem"].items() if key != "limit"} != {"loss_percent": 100} or want["only"]:
        raise MissingCapability("this router has only the loss of all packets: it lacks the capability 'netem'")
    if have["foreign"]:
        raise OkiagariError(f"foreign {have['foreign']} on {name}: left untouched")
    return [] if have["netem"] else filters


def nexthop_entry(words: Words, lines: Sequence[Line], address: str) -> Entry:
    """Give the interface whose network holds `address`, if there is one that isn't shut down."""
    for name in interfaces(lines):
        inside = within(lines, _INTERFACE + name)
        for line in [] if "shutdown" in inside else inside:
            with suppress(ValueError):
                own = ipaddress.ip_interface(words.address(line) or "")
                if ipaddress.ip_address(address) in own.network and address != str(own.ip):
                    return {"dev": name}
    return {}


def route_entry(words: Words, lines: Sequence[Line], prefix: str, shown: str) -> Entry:
    """Give the static route for `prefix` that carries our mark, `{}` where it isn't in use, and any other one.

    `shown` is what the router says of its route for the prefix. `quiet` is whether Null0 gives no answer.
    """
    *blocks, begin = words.static(prefix)
    routes = [line.split() for line in within(lines, *blocks) if line.split()[: len(begin.split())] == begin.split()]
    ours = [route for route in routes if route[-1] == MARK]
    quiet = words.unreachables in within(lines, "interface Null0")
    found: Entry | None = None
    if ours:
        hop = ours[0][len(begin.split())]
        found = {"type": _nowhere(quiet)} if hop == "Null0" else {"type": "unicast", "via": hop.lower()}
    in_use = re.search(r'Known via "static', shown)
    others = [" ".join(route) for route in routes if route not in ours]
    removal = list(_removal(lines, (*blocks, begin)))
    return {"ours": found if in_use or not found else {}, "others": others, "quiet": quiet, "removal": removal}


def _removal(lines: Sequence[Line], place: Line) -> Line:
    """Give the line that removes all at `place`; the blocks that held nothing else go too."""
    while len(place) > 1:
        inside = [line[len(place) - 1] for line in lines if line[: len(place) - 1] == place[:-1] != line]
        if not all(f"{each} ".startswith(f"{place[-1]} ") for each in inside):
            break
        place = place[:-1]
    return (*place[:-1], f"no {place[-1]}")


def _nowhere(quiet: bool) -> str:
    return "blackhole" if quiet else "unreachable"


def route_lines(words: Words, prefix: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Line]:
    """Give the line of our static route for `prefix`, or the one that removes exactly it."""
    wanted = want["ours"]
    if wanted is None:
        return [] if have["ours"] is None else [tuple(have["removal"])]
    if wanted["type"] not in ("unicast", _nowhere(have["quiet"])):
        raise MissingCapability(
            f"a route of this router to nowhere is {_nowhere(have['quiet'])}, not {wanted['type']}: its Null0 "
            f"{'has' if have['quiet'] else 'lacks'} '{words.unreachables}'"
        )
    if have["ours"] and have["ours"].get("via") == wanted.get("via"):
        return []
    return [words.route(prefix, wanted.get("via", "Null0"))]


def session_entry(words: Words, lines: Sequence[Line], name: str) -> Entry:
    """Give the BGP of a session such as `10.254.0.1@storage`: its neighbours, and the line that shuts this one."""
    neighbor, _at, vrf = name.partition("@")
    router = next((line[0] for line in lines if line[0].startswith("router bgp ")), None)
    if router is None:
        return {"router": None, "lines": [], "neighbors": []}
    shut = words.session(router, neighbor, vrf)
    depth = next((index for index, part in enumerate(shut) if part.startswith("neighbor ")), 0)
    peers = {line[depth].split()[1] for line in lines if line[:depth] == shut[:depth] and len(line) > depth
             and line[depth].startswith("neighbor ")}  # fmt: skip
    return {
        "router": router,
        "lines": [[" / ".join(shut[:-1]), shut[-1]]] if shut in lines else [],
        "neighbors": sorted(peers),
    }


def session_lines(words: Words, name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Line]:
    """Give the line that shuts a session, or takes that back."""
    if bool(have["lines"]) == bool(want["lines"]) or have["router"] is None:
        return []
    neighbor, _at, vrf = name.partition("@")
    *blocks, shut = words.session(have["router"], neighbor, vrf)
    return [(*blocks, shut if want["lines"] else f"no {shut}")]


def marked(lines: Sequence[Line]) -> list[Line]:
    """Give the lines that carry our mark, those first that use the others."""
    ours = [line for line in lines if re.search(rf"\b{MARK}6?\b", line[-1])]
    return sorted(ours, key=lambda line: len(line) == 1 and "access-list" in line[0])
