# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether packets arrive, and by which way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..fault.parameters import address
from ..units import duration
from ..values import whole
from .icmp import Echo
from .probe import Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .probe import Result

_PATIENCE = 1.0
_HOPS = 30


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


TYPES = {
    "ping": Type(ping, {"to": address, "count": whole(1, 100), "interval": duration}, optional=("count", "interval")),
    "path": Type(path, {"to": address}),
}
