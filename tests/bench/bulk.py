# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents in namespaces of their own, a chain with a slow link: bulk beside tasks, and what an idle link carries.

It needs root, and asks sudo where it isn't.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

sys.path[:0] = [str(Path(__file__).parents[1] / "contract"), str(Path(__file__).parents[2] / ".collections")]

from figures import Row, row, show  # noqa: E402
from real_agents import Farm, Node, wait_for  # noqa: E402

CHAIN = {"a": ["b"], "b": ["a", "c"], "c": ["b"]}
NETWORK = "10.77.0"
SLOW_MB_S = 2.0
BLOB_MIB = 64
TASKS = 600
PAUSE_S = 0.05
IDLE_S = 30.0


class Namespaces:
    """One for each agent, joined by links as the chain says; who isn't joined can't reach each other."""

    def __init__(self) -> None:
        mark = uuid.uuid4().hex[:6]
        self.names = {name: f"okiagari-{mark}-{name}" for name in CHAIN}
        self.links = [(one, two) for one, peers in CHAIN.items() for two in peers if one < two]

    def make(self) -> None:
        for name in self.names.values():
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        address = {name: f"{NETWORK}.{number}" for number, name in enumerate(CHAIN, 1)}
        for one, two in self.links:
            other = ["peer", "name", f"to-{one}", "netns", self.names[two]]
            _run("ip", "-n", self.names[one], "link", "add", "name", f"to-{two}", "type", "veth", *other)
            for here, there in ((one, two), (two, one)):
                ends = [address[here], "peer", address[there]]
                _run("ip", "-n", self.names[here], "addr", "add", *ends, "dev", f"to-{there}")
                _run("ip", "-n", self.names[here], "link", "set", f"to-{there}", "up")

    def slow(self, one: str, two: str) -> None:
        """Limit a link's rate, both ways."""
        rate = f"{SLOW_MB_S * 8:g}mbit"
        for here, there in ((one, two), (two, one)):
            limit = ["tbf", "rate", rate, "burst", "32kb", "latency", "500ms"]
            _run("tc", "-n", self.names[here], "qdisc", "add", "dev", f"to-{there}", "root", *limit)

    def carried(self, one: str, two: str) -> int:
        """Say how many bytes a link has carried so far, both ways."""
        (link,) = json.loads(_run("ip", "-n", self.names[one], "-s", "-j", "link", "show", "dev", f"to-{two}"))
        return sum(int(link["stats64"][way]["bytes"]) for way in ("rx", "tx"))

    def inside(self, name: str) -> list[str]:
        return ["ip", "netns", "exec", self.names[name]]

    def remove(self) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> int:
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", sys.executable, __file__])
    namespaces = Namespaces()
    with TemporaryDirectory() as folder:
        farm = Farm(Path(folder), CHAIN, ["https://127.0.0.1:1"], network=NETWORK, inside=namespaces.inside)
        try:
            namespaces.make()
            namespaces.slow("b", "c")
            farm.configure(lambda _node: {})
            farm.start()
            wait_for(lambda: all(len(node.ask("status")[0]["reachable"]) == 2 for node in farm.nodes.values()), 120)
            rows = [*idle(namespaces), *beside_bulk(farm.nodes["a"], farm.nodes["c"])]
        finally:
            farm.end()
            namespaces.remove()
    show(rows)
    return 0


def idle(namespaces: Namespaces) -> list[Row]:
    """Count what agents say to each other when there is nothing to say, headers and all."""
    before = [namespaces.carried(*link) for link in namespaces.links]
    time.sleep(IDLE_S)
    after = [namespaces.carried(*link) for link in namespaces.links]
    rates = [(late - early) / IDLE_S for early, late in zip(before, after, strict=True)]
    return [row("idle link, both ways", "B/s", rates, 2000.0)]


def beside_bulk(sender: Node, receiver: Node) -> list[Row]:
    """Time tasks that don't cross the slow link, without and with a blob that does, and the blob itself."""
    source = sender.folder / "blob"
    source.write_bytes(os.urandom(BLOB_MIB * 1024 * 1024))
    digest = sender.ask("offer", path=str(source))[-1]["digest"]
    quiet = [task(sender, "b") for _round in range(TASKS)]
    busy, across = [], []
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(receiver.ask, "fetch", peer=sender.name, digest=digest)
        while not fetching.done():
            busy.append(task(sender, "b"))
            if len(busy) % 10 == 0:
                across.append(task(sender, receiver.name))
        took_s = fetching.result()[-1]["seconds"]
    return [
        row("task, the slow link idle", "ms", quiet, None),
        row("task, the slow link idle, 99th percentile", "ms", [_p99(quiet)], None),
        row("task beside bulk", "ms", busy, median(quiet) + 10),
        row("task beside bulk, 99th percentile", "ms", [_p99(busy)], _p99(quiet) + 10),
        row("task across the slow link beside bulk", "ms", across, None),
        row(f"{BLOB_MIB} MiB over a link of {SLOW_MB_S:g} MB/s", "MB/s", [BLOB_MIB * 1.048576 / took_s], None),
    ]


def task(node: Node, peer: str) -> float:
    time.sleep(PAUSE_S)
    *answers, took = node.ask("ping", peers=[peer])
    if "error" in answers[0]:
        raise SystemExit(f"a task was not answered: {answers[0]}")
    return float(took["took_ms"])


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


if __name__ == "__main__":
    sys.exit(main())
