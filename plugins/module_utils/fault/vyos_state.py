# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VyOS router's state entries, read from its lines and its kernel, and the lines that lead to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from . import linux, netem, routes
from .backend import MissingCapability
from .owned import FRR_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..vyos.lines import Path
    from .backend import Op

Entry = dict[str, Any]

POLICY = FRR_MARK
_EMULATOR = ("qos", "policy", "network-emulator")
_WORDS = {
    "delay_ms": "delay",
    "loss_percent": "loss",
    "corrupt_percent": "corruption",
    "duplicate_percent": "duplicate",
    "reorder_percent": "reordering",
    "rate_bps": "bandwidth",
    "limit": "queue-limit",
}
_NOWHERE = {"blackhole": "blackhole", "unreachable": "reject"}
# As preferred as a static route can be; said aloud, which hardly anybody does.
_DISTANCE = ("distance", "1")


def interfaces(lines: Iterable[Path]) -> list[str]:
    """Give the names of all configured interfaces."""
    return sorted({name for name, _place in _places(lines)})


def interface(lines: Iterable[Path], name: str) -> Path | None:
    """Give the place of an interface in the configuration, or None if it has none."""
    return next((place for each, place in _places(lines) if each == name), None)


def _places(lines: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    for line in lines:
        if line[0] != "interfaces" or len(line) < 3:
            continue
        name, size = line[2], 3
        yield name, line[:size]
        while line[size : size + 1] in (("vif",), ("vif-s",), ("vif-c",)) and len(line) > size + 1:
            name, size = f"{name}.{line[size + 1]}", size + 2
            yield name, line[:size]


def link_ops(_name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the line that sets an interface down, or takes that back; a vanished interface stays lost."""
    if "missing" in have or have["admin"] == want["admin"]:
        return []
    return [("set" if want["admin"] == "down" else "delete", *have["place"], "disable")]


def qdisc_entry(lines: Sequence[Path], name: str, shown: Sequence[Mapping[str, Any]]) -> Entry:
    """Give what leaves an interface: our emulator, where it is or would go, or what foreign thing is in the way.

    `shown` are the kernel's queues of all interfaces, because a commit of `qos` makes all of them anew.
    """
    bound = {line[2]: line[4] for line in lines if line[:2] == ("qos", "interface") and line[3:4] == ("egress",)}
    roots = {each["dev"]: each for each in shown if each.get("root") and each["handle"] != "0:"}
    found = roots.get(name)
    marked = bound.get(name) == POLICY
    left = any(line[:4] == (*_EMULATOR, POLICY) for line in lines)
    emulated = netem.read(found.get("options", {})) if marked and found and found["kind"] == "netem" else {}
    return {
        "parent": "root",
        "netem": emulated if marked or left else None,
        "filters": [],
        "foreign": None if marked else _foreign(name, bound, roots),
        "lost": sorted(set(bound) - set(roots)),
    }


def _foreign(name: str, bound: Mapping[str, str], roots: Mapping[str, Mapping[str, Any]]) -> str | None:
    if name in bound:
        return f"qos policy {bound[name]}"
    if name in roots:
        return f"root qdisc {roots[name]['kind']} {roots[name]['handle']}"
    strange = sorted(set(roots) - set(bound))
    if strange:
        # It isn't the interface's, but the commit would remove it all the same.
        return f"root qdisc {roots[strange[0]]['kind']} of {strange[0]} (any change of qos would remove it)"
    return None


def qdisc_ops(name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the lines that bind our emulator to an interface, or take away exactly ours."""
    gone = [("delete", "qos", "interface", name, "egress", POLICY), ("delete", *_EMULATOR, POLICY)]
    removal: list[Op] = [] if have.get("netem") is None else [*gone]
    if want["netem"] is None and removal:
        return removal
    if have.get("lost"):
        raise OkiagariError(
            f"{', '.join(have['lost'])}: the configured qos is not in the kernel; a commit of qos that failed half way "
            "leaves it so, and the next change of any qos brings it back"
        )
    if want["netem"] is None:
        return []
    if have.get("foreign"):
        raise OkiagariError(f"foreign {have['foreign']}: left untouched")
    lines = _emulator(want["netem"])
    if have["netem"] is not None and netem.agrees(have["netem"], want["netem"]):
        return []
    return [
        *removal,
        *(("set", *_EMULATOR, POLICY, *line) for line in lines),
        ("set", "qos", "interface", name, "egress", POLICY),
    ]


def _emulator(wanted: Mapping[str, Any]) -> list[Path]:
    lines: list[Path] = []
    for key, value in wanted.items():
        if key not in _WORDS:
            raise MissingCapability(f"the network emulator of VyOS has no {key.rpartition('_')[0] or key}")
        if value != int(value):
            raise MissingCapability(f"the network emulator of VyOS takes whole numbers, and {_WORDS[key]} is {value:g}")
        lines.append((_WORDS[key], f"{int(value)}bit" if key == "rate_bps" else str(int(value))))
    return lines


def route_entry(lines: Iterable[Path], prefix: str, shown: Sequence[Mapping[str, Any]]) -> Entry:
    """Give the static route that only a fault makes, `{}` where the kernel doesn't have it, and any other route for it.

    `shown` are the kernel's routes for the prefix.
    """
    place = _static(prefix)
    own = [line[len(place) :] for line in lines if line[: len(place)] == place]
    ours, found = (_ours(own[0]) if len(own) == 1 else None), None
    if ours:
        found = ours if any(_same(ours, route) for route in shown) else {}
    others = [] if ours else [" ".join((*place[1:], *line)) for line in own]
    return {"ours": found, "others": others + linux.route_entry(shown)["others"]}


def _static(prefix: str) -> Path:
    return ("protocols", "static", "route6" if ":" in prefix else "route", prefix)


def _ours(line: Path) -> Entry | None:
    for kind, word in _NOWHERE.items():
        if line == (word, *_DISTANCE):
            return {"type": kind}
    if line[:1] == ("next-hop",) and line[2:] == _DISTANCE:
        return {"type": "unicast", "via": line[1]}
    return None


def _same(ours: Mapping[str, Any], route: Mapping[str, Any]) -> bool:
    return routes.kind_of(route) == ours["type"] and route.get("gateway") == ours.get("via")


def route_ops(prefix: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the line of our static route for `prefix`, or the one that removes exactly it."""
    wanted = want["ours"]
    if wanted is None:
        return [] if have["ours"] is None else [("delete", *_static(prefix))]
    if wanted["type"] not in (*_NOWHERE, "unicast"):
        raise MissingCapability(f"VyOS has no static route of the kind {wanted['type']}")
    if have["ours"] and have["ours"].get("via") == wanted.get("via"):
        return []
    target = ("next-hop", wanted["via"]) if "via" in wanted else (_NOWHERE[wanted["type"]],)
    return [("set", *_static(prefix), *target, *_DISTANCE)]


def session_entry(lines: Iterable[Path], name: str) -> Entry:
    """Give the BGP of a session such as `10.254.0.1@storage`: its neighbours, and the line that shuts this one."""
    neighbor, _at, vrf = name.partition("@")
    place = (*(("vrf", "name", vrf) if vrf else ()), "protocols", "bgp")
    own = [line[len(place) :] for line in lines if line[: len(place)] == place]
    return {
        "router": " ".join(place) if own else None,
        "lines": [[" ".join(place), " ".join(line)] for line in own if line == ("neighbor", neighbor, "shutdown")],
        "neighbors": sorted({line[1] for line in own if line[0] == "neighbor" and len(line) > 1}),
    }


def session_ops(name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the line that shuts a session, or takes that back."""
    if bool(have["lines"]) == bool(want["lines"]) or have["router"] is None:
        return []
    neighbor = name.partition("@")[0]
    return [("set" if want["lines"] else "delete", *have["router"].split(), "neighbor", neighbor, "shutdown")]


def marked(paths: Iterable[Path]) -> list[Path]:
    """Give what has to be deleted for our emulator to be gone: each binding of it, and the emulator last."""
    ours = [path for path in paths if POLICY in path]
    bindings = {path for path in ours if path[:2] == ("qos", "interface")}
    return [*sorted(bindings), (*_EMULATOR, POLICY)] if ours else []
