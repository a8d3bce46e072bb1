# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes: short questions to the network, asked from a target. Each type is one function."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from ..errors import OkiagariError
from ..fault import routes
from ..fault.model import Problems, label
from ..fault.parameters import address, prefix
from ..runner import Runner, json_output
from ..units import duration
from ..values import choice, file_path, whole
from .icmp import Echo
from .writers import LARGEST, SMALLEST, read_back

_PATIENCE = 1.0
_HOPS = 30

Result = tuple[bool, dict[str, Any], str]


def ping(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{to, count, interval}`: ok if any answer came. `rtt_ms`: smallest, mean, largest; None without an answer."""
    count, interval = probe.get("count", 5), probe.get("interval", 0.1)
    sent: dict[int, float] = {}
    rtts: dict[int, float] = {}
    with Echo(probe["to"]) as echo:
        start = time.monotonic()
        for sequence in range(count):
            sent[sequence] = time.monotonic()
            echo.send(sequence)
            last = sequence == count - 1
            until = time.monotonic() + _PATIENCE if last else start + (sequence + 1) * interval
            for answer in echo.answers(until, lambda last=last: last and len(rtts) == count):  # type: ignore[misc]
                if answer.reached and answer.sequence not in rtts:
                    rtts[answer.sequence] = 1000 * (answer.at - sent[answer.sequence])
    times = list(rtts.values())
    rtt = [round(value, 3) for value in (min(times), sum(times) / len(times), max(times))] if times else None
    lost = round(100 * (count - len(times)) / count, 2) if count else 0.0
    value = {"sent": count, "received": len(times), "loss_percent": lost, "rtt_ms": rtt}
    return bool(times), value, f"{len(times)} of {count} answers" + (f", {rtt[1]:g} ms" if rtt else "")


def path(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{to}`: ok if the destination answered. `hops`: the routers and the destination, `*` for a silent one."""
    hops: dict[int, str] = {}
    reached: list[int] = []
    with Echo(probe["to"]) as echo:
        for ttl in range(1, _HOPS + 1):
            echo.send(ttl, ttl)
        until = time.monotonic() + _PATIENCE
        for answer in echo.answers(until, lambda: bool(reached) and all(ttl in hops for ttl in range(1, min(reached)))):
            hops[answer.sequence] = answer.sender
            if answer.reached:
                reached.append(answer.sequence)
    end = min(reached) if reached else max(hops, default=0)
    names = [hops.get(ttl, "*") for ttl in range(1, end + 1)]
    return bool(reached), {"hops": names}, " ".join(names) + ("" if reached else " and no further")


def route(runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{prefix}`: ok if packets to it have a way. A prefix without a route of its own shows the one that covers it."""
    prefix = probe["prefix"]
    show = ("ip", "-N", "-j", "-d", *(("-6",) if ":" in prefix else ()), "route", "show")
    exact, match = ((*show, how, prefix) for how in ("exact", "match"))
    found = json_output(runner, exact, shape=routes.SHAPE) or json_output(runner, match, shape=routes.SHAPE)
    found.sort(key=lambda each: (-int(routes.prefix_of(each).rpartition("/")[2]), each.get("metric", 0)))
    if not found:
        return False, {"via": [], "dev": [], "protocol": None}, f"no route to {prefix}"
    best = found[0]
    hops = best.get("nexthops") or [best]
    words = routes.text(best).split()
    value = {
        "via": sorted(hop["gateway"] for hop in hops if "gateway" in hop),
        "dev": sorted(routes.devices(best)),
        "protocol": words[words.index("proto") + 1],
    }
    return routes.kind_of(best) == "unicast", value, routes.text(best)


def readback(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{path, key, size}`: ok if the file could be read. `records`: how many good ones stand there from its start."""
    found, total = read_back(probe["path"], probe["key"], probe["size"])
    value = {"records": found, "bytes": total}
    return True, value, f"{found} records are there bit for bit, {total} bytes"


class Type(NamedTuple):
    """A type of probe: how it is asked, and its parameters."""

    ask: Callable[[Runner, Mapping[str, Any]], Result]
    parameters: Mapping[str, Callable[[object], Any]]
    optional: tuple[str, ...] = ()


TYPES = {
    "ping": Type(ping, {"to": address, "count": whole(1, 100), "interval": duration}, optional=("count", "interval")),
    "path": Type(path, {"to": address}),
    "readback": Type(readback, {"path": file_path, "key": whole(0, 2**32 - 1), "size": whole(SMALLEST, LARGEST)}),
    "route": Type(route, {"prefix": prefix}),
}


def ask(runner: Runner, probe: Mapping[str, Any]) -> dict[str, Any]:
    """Run one probe and give its result; a probe that can't be run is not ok and says why."""
    at = time.time()
    problems = Problems()
    try:
        typed = read(probe, problems, {"id": lambda value: value, "at": duration}, optional=("id", "at"))
        problems.raise_if_any()
        ok, value, detail = TYPES[typed["type"]].ask(runner, typed)
    except OSError as error:
        ok, value, detail = False, {}, f"the probe could not be run: {error.strerror or error}"
    except OkiagariError as error:
        ok, value, detail = False, {}, f"the probe could not be run: {error}"
    return {"id": probe.get("id"), "ok": ok, "at": at, "value": value, "detail": detail}


def read(
    probe: object,
    problems: Problems,
    common: Mapping[str, Callable[[object], Any]],
    optional: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Give a probe with its parameters typed; `common` reads what it has besides them."""
    name = label("probe", probe)
    found = TYPES.get(probe["type"]) if isinstance(probe, Mapping) and isinstance(probe.get("type"), str) else None
    readers = {**common, "type": choice(TYPES, "type of probe"), **(found.parameters if found else {})}
    if found is None and isinstance(probe, Mapping):
        # Without its type nothing is known of its parameters.
        probe = {key: value for key, value in probe.items() if key in readers}
    return problems.read(name, probe, readers, (*optional, *(found.optional if found else ())))


def ask_all(runner: Runner, probes: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Run all probes at the same time and give their results in the given order."""
    if not probes:
        return []
    with ThreadPoolExecutor(min(len(probes), 32)) as pool:
        return list(pool.map(lambda probe: ask(runner, probe), probes))
