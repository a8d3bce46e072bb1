# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real agents on loopback: the bundle that the role installs, one process each, a chain of connections, a service."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.bundle import COMMAND, sources
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import ask
from ansible_collections.okiagari.testbed.plugins.module_utils.certificates import Authority, Wish
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from ansible_collections.okiagari.testbed.tests.contract.real_etcd import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

# A service that says in a file of its host when it ran: what the tests go by, rather than by what agents say.
SERVICE = """
import os, socketserver, sys, time
record, address, port = sys.argv[1:]
def note(what):
    with open(record, "a") as file:
        file.write(f"{time.monotonic()} {what} {os.environ['OKIAGARI_TOKEN']}\\n")
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        note("asked")
        self.wfile.write(b"pong\\n")
class Server(socketserver.TCPServer):
    allow_reuse_address = True
    timeout = 0.05
server = Server((address, int(port)), Answer)
note("starts")
while True:
    server.handle_request()
    note("runs")
"""
TIMING = {"ttl_s": 8, "keepalive_s": 0.5, "stop_s": 0.5, "kill_s": 0.4, "answer_s": 1.0, "poll_s": 0.7}
WATCH = {"period_s": 0.8, "timeout_s": 0.7, "good_for_s": 2.5, "silence_s": 4.0, "grace_s": 8.0}


class Node:
    """One host's agent, and the supervisor of its service."""

    def __init__(self, farm: Farm, name: str, number: int) -> None:
        self.farm, self.name, self.number = farm, name, number
        self.folder = farm.folder / name
        self.address = f"{farm.network}.{number}"
        self.record = self.folder / "record"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def configure(self, connect: Sequence[str], services: Mapping[str, Any]) -> None:
        authority = self.farm.folder / "authority"
        config = {
            "testbed": "test", "name": self.name, "state": str(self.folder / "state"), "run": str(self.folder / "run"),
            "listen": [f"tls/{self.address}:{self.farm.port}"],
            "connect": [f"tls/{self.farm.nodes[peer].address}:{self.farm.port}" for peer in connect],
            "tls": {
                "authority": str(authority / "ca.pem"), "certificate": str(authority / f"{self.name}.pem"),
                "key": str(authority / f"{self.name}.key"),
            },
            "peers": {
                node.name: {
                    "domain": f"site-{node.name}", "address": node.address, "links": self.farm.links.get(node.name, []),
                    "certificate": (authority / f"{node.name}.pem").read_text(),
                }
                for node in {**self.farm.nodes, self.name: self}.values()
            },
            "store": self.farm.store, **self.farm.told(self),
        }  # fmt: skip
        (self.folder / "services").mkdir(parents=True, exist_ok=True)
        (self.folder / "agent.json").write_text(json.dumps(config))
        for service, described in services.items():
            (self.folder / "services" / f"{service}.json").write_text(json.dumps(described))
            self.command("begin", service)

    def join(self, other: Node) -> None:
        """Connect to another farm's agent, from the next start on."""
        path = self.folder / "agent.json"
        said = json.loads(path.read_text())
        path.write_text(json.dumps(said | {"connect": [f"tls/{other.address}:{other.farm.port}"]}))

    def command(self, *words: str) -> str:
        argv = [*self.farm.command, *words, "--config", str(self.folder / "agent.json")]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout

    def start(self, what: str) -> None:
        """Start `run`, or `supervise SERVICE`."""
        with self.log.open("ab") as log:
            argv = self.argv(what)
            self.processes[what] = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def argv(self, what: str) -> list[str]:
        begin = [*self.farm.inside(self.name), *self.farm.command]
        return [*begin, *what.split(), "--config", str(self.folder / "agent.json")]

    def signal(self, what: str, number: int) -> None:
        self.processes[what].send_signal(number)

    def die(self) -> None:
        """Kill all of it at once, as a power cut does."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()

    def ask(self, op: str, **values: Any) -> list[dict[str, Any]]:
        return list(ask({"op": op, **values}, self.folder / "run"))

    def part(self, digest: str) -> int:
        """Say how many bytes of a blob have come here so far."""
        path = self.folder / "state" / "blobs" / f".{digest}.part"
        return path.stat().st_size if path.exists() else 0

    def end(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Farm:
    """Agents that reach each other as `links` says, over one folder.

    On loopback, or elsewhere: then `inside` gives a command that begins there, and their addresses are of `network`.
    """

    def __init__(
        self, folder: Path, links: Mapping[str, Sequence[str]], store: Sequence[str], offset: int = 0,
        network: str = "", inside: Callable[[str], Sequence[str]] = lambda _name: (),
    ) -> None:  # fmt: skip
        self.folder, self.links, self.store = folder, dict(links), list(store)
        self.network, self.inside = network or "127.0.7", inside
        self.nodes = {name: self.node(name, number) for number, name in enumerate(links, start=offset + 1)}
        self.port, self.service_port = self.ports()
        for path, content in sources().items():
            file = folder / "agent" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        # The packages that the role brings with the agent come from the environment of the tests here.
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        start = f"import sys; sys.path.append({packages!r}); sys.argv[0] = {str(folder / 'agent' / COMMAND)!r}; "
        start += "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
        self.command = [sys.executable, "-IB", "-c", start]
        self.certify()

    def node(self, name: str, number: int) -> Node:
        return Node(self, name, number)

    def told(self, node: Node) -> dict[str, Any]:
        """Give what else an agent is told."""
        return {}

    def ports(self) -> tuple[int, int]:
        """Give a port for the agents and one for the service."""
        if not self.network.startswith("127."):
            return 7447, 7448
        return free_ports([next(iter(self.nodes.values())).address])[0]

    def certify(self, *more: str) -> None:
        addresses = {node.name: [node.address] for node in self.nodes.values()}
        Authority(
            SubprocessRunner(), self.folder / "authority", [*self.nodes, *more], Wish(addresses=addresses)
        ).create()

    def configure(self, services: Callable[[Node], Mapping[str, Any]]) -> None:
        for index, node in enumerate(self.nodes.values()):
            earlier = list(self.nodes)[:index]
            connect = [peer for peer in self.links[node.name] if peer in earlier]
            node.configure(connect, services(node))

    def tally(self, node: Node) -> dict[str, Any]:
        """Describe the service that the tests run."""
        script = self.folder / "service.py"
        script.write_text(SERVICE)
        return {
            "tally": {
                "command": [sys.executable, "-IB", str(script), str(node.record), node.address, str(self.service_port)],
                "request": ["tcp", "{address}", str(self.service_port), "ping", "pong"],
                "voters": {name: f"site-{name}" for name in self.nodes},
                "candidates": list(self.nodes),
                # The ends of the chain first: without one in the middle no part has a majority.
                "ranking": "priority",
                "priorities": {name: int(len(links) == 1) for name, links in self.links.items()},
                "timing": TIMING, "watch": WATCH,
            }
        }  # fmt: skip

    def start(self) -> None:
        for node in self.nodes.values():
            for service in sorted((node.folder / "services").glob("*.json")):
                node.start(f"supervise {service.stem}")
            node.start("run")

    def end(self) -> None:
        for node in self.nodes.values():
            node.end()

    def holder(self) -> str | None:
        """Say who holds the service, as the agents that answer have it."""
        for node in self.nodes.values():
            try:
                service = node.ask("status")[0]["services"]["tally"]
            except OkiagariError:
                continue
            if service["here"] == "serving":
                return node.name
        return None

    def runs(self) -> Iterator[tuple[float, float, str, int]]:
        """Give each run of the service by its own record: its first and last word, where, and by which token."""
        for node in self.nodes.values():
            spans: dict[int, list[float]] = {}
            if node.record.exists():
                for line in node.record.read_text().splitlines():
                    at, _what, token = line.split()
                    spans.setdefault(int(token), []).append(float(at))
            for token, times in spans.items():
                yield min(times), max(times), node.name, token


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until `what` gives something that counts as true, and give it."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = what()
        except (OkiagariError, OSError):
            found = None
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"it took more than {seconds:g} s")
        time.sleep(0.05)
