# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log pool with a million events: how fast they come in, what memory they take, how long queries take.

First the pool itself, then a whole agent on loopback, which is told over its local socket. Seconds are of processor
time, but for the agent's rates. Prints a table, then the same as JSON. Needs no lab; `logpool.py 100000` takes fewer.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import Connection
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import (
    Emitter,
    Event,
    Following,
    Pool,
    Query,
    Subscriptions,
    from_wire,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.pool import MIB
from figures import Row, row, show
from real_agents import Farm, Node, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EVENTS = 1_000_000
HOSTS, SOURCES, TRACE_LENGTH = 36, 4, 20
BEGIN, RATE = 1_795_262_400.0, 2000.0
LATE_S = 0.2
"""By so much the order in which events come differs from that of their times."""
ROUNDS = 5
REQUEST = 500
AGENT_MIB = 384
PAGE = resource.getpagesize()
QUERIES = {
    "all, nothing fits (host)": 'where host = "nobody"',
    "all, nothing fits (values)": "where values.lost > 0",
    "all, one of a hundred fits": "where values.ms > 99 | count",
    "all, every one is counted by host": "where values.ms >= 0 | count over 1m by host",
    "all, last per trace": 'where host = "site1-kvm1" and values.ms > 40 | last per trace | count',
    "the newest 100": "last 100",
}


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    show([*filled(count), *bounded(count), *subscribed(count // 10), *whole_agent(count)])
    return 0


class Source:
    """Events as they come from many hosts, with five values each, slightly out of order."""

    def __init__(self, count: int) -> None:
        self.now = BEGIN
        self._count = count
        self._chance = random.Random(4711)
        self._emitters = [Emitter(f"site{host}-kvm1", "1a2b3c4d", lambda: self.now) for host in range(HOSTS)]

    def events(self) -> Iterator[Event]:
        for number in range(self._count):
            self.now = BEGIN + number / RATE
            yield self._emitters[number % HOSTS].event(
                f"probe{number % SOURCES}",
                {"probe": "ping", "circuit": "hiroshima-kanazawa", "n": number, "state": "ok",
                 "ms": round(100 * self._chance.random(), 3)},
                trace=f"circuit_cut-{number // TRACE_LENGTH:06x}",
                important=number % 1000 == 0,
                time=self.now - LATE_S * self._chance.random(),
            )  # fmt: skip


def filled(count: int) -> list[Row]:
    """Fill a pool from the wire, as an agent does with what others send, and ask it."""
    source = Source(count)
    gc.collect()
    before = resident()
    pool = Pool(lambda: source.now, most_bytes=400 * MIB)
    lines, took = [], 0.0
    for event in source.events():
        lines.append(event.wire())
        if len(lines) == 10_000:
            took += from_lines(pool, lines)
            lines = []
    took += from_lines(pool, lines)
    del lines
    gc.collect()
    rows = [
        row(f"{len(pool)} events: memory", "MB", [(resident() - before) / 1e6], 400),
        row("the same as the pool reckons it", "MB", [pool.size / 1e6], None),
        row("into the pool, from the wire", "1/s", [count / took], 20_000),
    ]
    if len(pool) != count:
        sys.exit(f"{pool.counts}")
    by_trace = Query(f"where trace = circuit_cut-{count // TRACE_LENGTH // 2:06x}")
    rows.append(
        row("a query by trace, 20 events", "ms", [1000 * asked(pool, by_trace, 20) for _round in range(ROUNDS)], 1)
    )
    for name, text in QUERIES.items():
        rows.append(row(name, "s", [asked(pool, Query(text)) for _round in range(ROUNDS)], None))
    return [
        *rows,
        row("longest portion of a scan", "ms", [1000 * portion(pool, Query(QUERIES["all, last per trace"]))], None),
    ]


def bounded(count: int) -> list[Row]:
    """Go on with a pool that is full from early on, so that each event drops another."""
    source = Source(count)
    pool = Pool(lambda: source.now, most_bytes=20 * MIB)
    took = longest = 0.0
    for event in source.events():
        began = time.process_time()
        pool.add(event)
        one = time.process_time() - began
        took += one
        longest = max(longest, one)
    kept = f"a pool of 20 MiB, {pool.counts.dropped} dropped"
    return [
        row(kept, "1/s", [count / took], 20_000),
        row("the longest that one event takes there", "ms", [1000 * longest], None),
    ]


def subscribed(count: int) -> list[Row]:
    """Offer events to ten subscriptions, one of which they are for."""
    source = Source(count)
    subscriptions, told = Subscriptions(), list[dict[str, Any]]()
    for host in range(10):
        query = Query(f'where host = "site{host}-kvm1" and values.ms > 99 | count over 1m by host')
        subscriptions.add(Following(query), told.append)
    took = 0.0
    for event in source.events():
        began = time.process_time()
        subscriptions.offer(event, source.now)
        took += time.process_time() - began
    return [row(f"an event to 10 subscriptions, {len(told)} rows", "us", [1e6 * took / count], None)]


def whole_agent(count: int) -> list[Row]:
    """Tell an agent so many events, in requests of `REQUEST`, and feed it lines of text by its own command."""
    with TemporaryDirectory() as folder:
        farm = Farm(Path(folder), {"a": []}, ["https://127.0.0.1:1"])
        node = farm.nodes["a"]
        try:
            farm.configure(lambda _node: {})
            config = node.folder / "agent.json"
            config.write_text(json.dumps(json.loads(config.read_text()) | {"pool_mib": AGENT_MIB}))
            node.start("run")
            wait_for(lambda: node.ask("status"), 120)
            return [*told(node, count), fed(node, count // 10)]
        finally:
            farm.end()


def told(node: Node, count: int) -> list[Row]:
    process = Path("/proc") / str(node.processes["run"].pid)
    rates = []
    with Connection(node.folder / "run", 60.0) as agent:
        source = Source(count)
        for part in batched(source.events(), max(count // ROUNDS, 1)):
            batches = [list(map(as_told, batch)) for batch in batched(part, REQUEST)]
            began = time.monotonic()
            for batch in batches:
                list(agent.ask({"op": "tell", "events": batch}))
            rates.append(len(part) / (time.monotonic() - began))
    (status,) = node.ask("status")
    if status["events"]["held"] < count:
        sys.exit(f"the agent holds {status['events']} of {count}")
    memory = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return [
        row(f"told to an agent, {REQUEST} a request", "1/s", rates, 20_000),
        row(f"an agent with {count} events: memory", "MB", [int(memory.split()[1]) * 1024 / 1e6], 400),
        row("the same as its pool reckons it", "MB", [status["events"]["bytes"] / 1e6], None),
    ]


def batched(events: Iterable[Event], most: int) -> Iterator[list[Event]]:
    events = iter(events)
    while batch := list(islice(events, most)):
        yield batch


def as_told(event: Event) -> dict[str, Any]:
    """Give an event of this moment, from many hosts."""
    return {
        "source": event.source, "values": event.values, "trace": event.trace, "important": event.important,
        "host": event.host, "id": [event.origin, event.sequence],
    }  # fmt: skip


def fed(node: Node, count: int) -> Row:
    """Feed lines through a pipe, from the start of the command to its end."""
    lines = b"".join(b"GET /index.html 200 %d ms\n" % number for number in range(count))
    words = [*node.farm.command, "feed", "--source", "bench", "--run", str(node.folder / "run")]
    began = time.monotonic()
    said = subprocess.run(words, input=lines, check=True, capture_output=True).stderr.decode()
    if f"{count} events told, 0 lost" not in said:
        sys.exit(said)
    return row("lines fed to an agent", "1/s", [count / (time.monotonic() - began)], 20_000)


def from_lines(pool: Pool, lines: list[bytes]) -> float:
    began = time.process_time()
    for line in lines:
        pool.add(from_wire(line))
    return time.process_time() - began


def asked(pool: Pool, query: Query, expected: int | None = None) -> float:
    began = time.process_time()
    found = sum(1 for _row in pool.run(query))
    took = time.process_time() - began
    if expected not in (None, found):
        sys.exit(f"{query.text}: {found} rows instead of {expected}")
    return took


def portion(pool: Pool, query: Query) -> float:
    longest, began = 0.0, time.process_time()
    for _rows in pool.steps(query):
        ended = time.process_time()
        longest, began = max(longest, ended - began), ended
    return longest


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


if __name__ == "__main__":
    sys.exit(main())
