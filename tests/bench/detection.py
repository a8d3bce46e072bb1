# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon a hanging server is suspected, against what watching it costs: bytes on each link, requests at the server.

Agents on loopback with a real store, in a chain, all else idle. The server is stopped where it stands, and suspected
when another agent's subscriber reads so. Bytes are those of the links' TCP connections, both ways, with the headers of
IP and TCP, and of the probes beside them. At last as many requests by three agents as by twelve.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(Path(__file__).parents[1] / "contract"), str(Path(__file__).parents[2] / ".collections")]

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import Connection  # noqa: E402
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.links import PERIOD_S as PROBE_PERIOD_S  # noqa: E402
from ansible_collections.okiagari.testbed.tests.contract.real_etcd import RealEtcd  # noqa: E402
from figures import Row, row, show  # noqa: E402
from real_agents import Farm, Node, wait_for  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PERIODS = (0.5, 1.0, 2.0)
FEW, MANY = 3, 12
VOTERS = 3
ROUNDS = 3
WINDOW_S = 10.0
TCP_HEADERS, PROBE = 52, 17 + 28
PROBES_B_S = 4 * PROBE / PROBE_PERIOD_S
"""A probe and its answer from each of the two ends."""
SUSPECTED = "where values.event = holder_suspected"
COUNTS = re.compile(r"(bytes_sent|bytes_received|segs_out|segs_in):([0-9]+)")


def main() -> int:
    rows = [line for period in PERIODS for line in measured(FEW, period, ROUNDS)]
    rows += measured(MANY, 1.0, 0)
    show(rows)
    return 0


def measured(agents: int, period_s: float, rounds: int) -> Iterator[Row]:
    names = [f"h{number:02}" for number in range(agents)]
    links = {name: names[max(index - 1, 0) : index] + names[index + 1 : index + 2] for index, name in enumerate(names)}
    with TemporaryDirectory() as home:
        folder = Path(home)
        etcd = RealEtcd(folder / "etcd", folder / "authority")
        farm = Farm(folder, links, list(etcd.endpoints.values()))
        try:
            etcd.start()
            etcd.wait()
            farm.configure(lambda node: service(farm, node, period_s))
            farm.start()
            wait_for(
                lambda: all(len(each.ask("status")[0]["reachable"]) == agents - 1 for each in farm.nodes.values()), 120
            )
            settle(farm, 0.0)
            what = f"{agents} agents, every {period_s:g} s"
            before, begun = carried(farm.port), time.monotonic()
            time.sleep(WINDOW_S)
            took, after = time.monotonic() - begun, carried(farm.port)
            rates = [(bytes_ - before.get(link, 0)) / took + PROBES_B_S for link, bytes_ in after.items()]
            yield row(f"{what}: a link, both ways", "B/s", rates, None)
            yield row(f"{what}: requests", "1/s", [requests(farm, begun, begun + took) / took], None)
            if rounds:
                yield row(f"{what}: suspected after", "s", [suspected(farm) for _round in range(rounds)], None)
        finally:
            farm.end()
            etcd.stop()


def service(farm: Farm, node: Node, period_s: float) -> Mapping[str, Any]:
    watch = {
        "period_s": period_s, "timeout_s": 0.8 * period_s, "good_for_s": 3 * period_s, "silence_s": 5 * period_s,
    }  # fmt: skip
    voters = {name: f"site-{name}" for name in list(farm.nodes)[:VOTERS]}
    described = farm.tally(node)["tally"] | {"watch": watch, "voters": voters}
    return {"tally": described | {"candidates": list(voters), "ranking": "best", "priorities": {}}}


def settle(farm: Farm, since: float) -> Node:
    """Wait until a server that began after this instant is asked and well; give it."""
    wait_for(lambda: any(first > since for first, _last, _host, _token in farm.runs()), 120)
    node = farm.nodes[max(farm.runs())[2]]
    count = requests(farm, 0.0, time.monotonic())
    wait_for(lambda: requests(farm, 0.0, time.monotonic()) > count + 9, 120)
    return node


def suspected(farm: Farm) -> float:
    """Stop the server where it stands, and give the seconds until another agent tells its subscriber."""
    node = farm.nodes[max(farm.runs())[2]]
    other = next(each for each in farm.nodes.values() if each is not node)
    with Connection(other.folder / "run", 120.0) as agent:
        rows = agent.ask({"op": "follow", "text": SUSPECTED})
        next(rows)
        begun = time.monotonic()
        os.kill(server(node), signal.SIGSTOP)
        next(rows)
        took = time.monotonic() - begun
    settle(farm, begun)
    return took


def server(node: Node) -> int:
    """Give the process that serves at this host."""
    record = str(node.record).encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if record in words:
            return int(path.parent.name)
    sys.exit(f"nothing serves at {node.name}")


def requests(farm: Farm, begin: float, end: float) -> int:
    """Count the requests that servers got in this time."""
    lines = [line.split() for node in farm.nodes.values() if node.record.exists() for line in _lines(node)]
    return sum(1 for line in lines if line[1] == "asked" and begin <= float(line[0]) < end)


def carried(port: int) -> dict[str, int]:
    """Give the bytes that each connection between agents has carried so far, by its ends."""
    said = subprocess.run(
        ["ss", "-tinHO", "state", "established", f"( sport = :{port} )"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    found = {}
    for line in said.splitlines():
        counts = {key: int(count) for key, count in COUNTS.findall(line)}
        headers = TCP_HEADERS * (counts.get("segs_out", 0) + counts.get("segs_in", 0))
        found[" ".join(line.split()[2:4])] = counts.get("bytes_sent", 0) + counts.get("bytes_received", 0) + headers
    return found


def _lines(node: Node) -> list[str]:
    return [line for line in node.record.read_text().splitlines() if line.count(" ") == 2]


if __name__ == "__main__":
    sys.exit(main())
