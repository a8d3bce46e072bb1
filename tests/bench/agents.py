# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents on loopback, as they are installed, with TLS and signatures: events, bulk, memory, idle load.

What a task takes, dispatch.py measures.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path[:0] = [str(Path(__file__).parents[1] / "contract"), str(Path(__file__).parents[2] / ".collections")]

from figures import Row, row, show  # noqa: E402
from real_agents import Farm, Node, wait_for  # noqa: E402

PEERS = 10
EVENTS = 200
BLOB_MIB = 64
FETCHES = 3
IDLE_S = 20.0


def main() -> int:
    names = [f"n{number:02}" for number in range(PEERS + 1)]
    links = {names[0]: names[1:]} | {name: [names[0]] for name in names[1:]}
    with TemporaryDirectory() as folder:
        farm = Farm(Path(folder), links, ["https://127.0.0.1:1"])
        try:
            farm.configure(lambda _node: {})
            farm.start()
            wait_for(lambda: all(len(node.ask("status")[0]["reachable"]) == PEERS for node in farm.nodes.values()), 120)
            first = farm.nodes[names[0]]
            rows = [events(first, farm.nodes[names[-1]]), *idle(farm.nodes[names[1]])]
            rows.append(bulk(farm.nodes[names[1]], first, "one hop"))
            rows.append(bulk(farm.nodes[names[2]], farm.nodes[names[3]], "a relay"))
        finally:
            farm.end()
    show(rows)
    return 0


def events(teller: Node, listener: Node) -> Row:
    """Time an event from a program at one host to a subscriber at another."""
    took = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(listener.folder / "run" / "agent.sock"))
        connection.sendall(json.dumps({"op": "follow", "text": "where trace = bench"}).encode() + b"\n")
        with connection.makefile("rb") as lines:
            lines.readline()
            for _round in range(EVENTS):
                begun = time.monotonic()
                teller.ask("tell", source="bench", trace="bench")
                lines.readline()
                took.append(1000 * (time.monotonic() - begun))
    return row("event to subscriber", "ms", took, 5.0)


def bulk(receiver: Node, sender: Node, way: str) -> Row:
    """Time a blob of which the receiver has nothing, until it is on its disk."""
    rates = []
    source = sender.folder / "blob"
    for _round in range(FETCHES):
        source.write_bytes(os.urandom(BLOB_MIB * 1024 * 1024))
        digest = sender.ask("offer", path=str(source))[-1]["digest"]
        rates.append(BLOB_MIB / receiver.ask("fetch", peer=sender.name, digest=digest)[-1]["seconds"])
        for node in (sender, receiver):
            node.ask("drop", digest=digest)
    return row(f"{BLOB_MIB} MiB over {way}", "MiB/s", rates, None)


def idle(node: Node) -> list[Row]:
    """Look at an agent that has nothing to do but to be there."""
    process = Path("/proc") / str(node.processes["run"].pid)
    memory = int(
        next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS")).split()[1]
    )
    before = _ticks(process)
    time.sleep(IDLE_S)
    share = 100 * (_ticks(process) - before) / 100 / IDLE_S
    return [row("idle agent, memory", "MiB", [memory / 1024], 60.0), row("idle agent, of one core", "%", [share], 1.0)]


def _ticks(process: Path) -> int:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    sys.exit(main())
