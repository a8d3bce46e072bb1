# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets storms of faults blow over real agents and a real store: never two servers, and one again in time.

Three hosts, each a network namespace with an agent, the supervisor of a service and a member of the store. Ways
between them are cut and slowed, in one direction or both; processes are stopped past their lease, killed and started
anew. What is checked is what the instances of the service noted by the machine's clock, not what agents say. Needs
root and iproute2.

    python tests/contract/storms.py --rounds 50 [--seed N] [--workers N] [--round N] [--broken lease]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.tests.contract.real_agents import TIMING, WATCH, Farm, Node, wait_for
from ansible_collections.okiagari.testbed.tests.contract.real_etcd import RealEtcd
from ansible_collections.okiagari.testbed.tests.contract.storm_plan import Fault, Run, blow, check, storm
from ansible_collections.okiagari.testbed.tests.contract.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTS = ("a", "b", "c")
STORM_S = 20.0
BOUND_S = 40.0
"""By when after the end of all faults a server runs that stays."""
STEADY_S = 2.0
RUN, SUPERVISE = "run", "supervise tally"
# By an even token it doesn't end when it is asked to: then it is the supervisor that has to end it in time.
SERVICE = """
import os, signal, socket, sys, time
path, address, port = sys.argv[1:]
token = int(os.environ["OKIAGARI_TOKEN"])
record = open(path, "a", buffering=1)
def note():
    record.write(f"{time.monotonic():.4f} {os.getpid()} {token}\\n")
def end(*_signal):
    note()
    sys.exit()
signal.signal(signal.SIGTERM, signal.SIG_IGN if token % 2 == 0 else end)
note()
server = socket.create_server((address, int(port)))
server.settimeout(0.01)
while True:
    note()
    try:
        asked = server.accept()[0]
        with asked:
            asked.settimeout(0.1)
            if asked.recv(100):
                asked.sendall(b"pong\\n")
    except OSError:
        pass
"""
NOTE = re.compile(rb"([0-9.]+) ([0-9]+) ([0-9]+)\n")
NOTED_S = 0.5
"""An instance that noted nothing for so long doesn't run."""
# What must be found out: a supervisor that never looks at its deadline.
BROKEN = {
    "": "",
    "lease": """
import sys
sys.path.insert(0, {lib!r})
from okiagari.authority.supervisor import Supervisor
Supervisor.tick = lambda _supervisor, _now: None
""",
}


class Noted(Node):
    """A node whose service notes exactly when it ran."""

    def __init__(self, farm: Farm, name: str, number: int) -> None:
        super().__init__(farm, name, number)
        self._read = 0
        self._runs: dict[tuple[int, int], Run] = {}

    def tally(self, hosts: Sequence[str]) -> dict[str, Any]:
        """Describe the service, which any of these hosts may run."""
        script = self.folder.parent / "service.py"
        script.write_text(SERVICE)
        port = str(self.farm.service_port)
        return {
            "tally": {
                "command": [sys.executable, "-IB", str(script), str(self.record), self.address, port],
                "request": ["tcp", "{address}", port, "ping", "pong"],
                "voters": {host: f"site-{host}" for host in hosts},
                "candidates": list(hosts), "ranking": "random", "timing": TIMING, "watch": WATCH,
            }
        }  # fmt: skip

    def runs(self) -> list[Run]:
        """Give what ran here by its own notes."""
        if self.record.exists():
            with self.record.open("rb") as record:
                record.seek(self._read)
                for line in record:
                    if not (noted := NOTE.fullmatch(line)):
                        break
                    self._read += len(line)
                    at, pid, token = float(noted[1]), int(noted[2]), int(noted[3])
                    run = self._runs.get((pid, token), Run(at, at, self.name, token, pid))
                    self._runs[(pid, token)] = replace(run, last=at)
        return list(self._runs.values())


class Host(Noted):
    """A node in a namespace of its own."""

    def __init__(self, farm: Hosts, name: str, number: int, wire: Wire) -> None:
        super().__init__(farm, name, number)
        self.address, self._inside, self._broken = wire.addresses[name], wire.inside(name), farm.broken

    def argv(self, what: str) -> list[str]:
        words = super().argv(what)
        if what == SUPERVISE:
            words[words.index("-c") + 1] = self._broken + words[words.index("-c") + 1]
        return [*self._inside, *words]


class Hosts(Farm):
    """The agents of hosts that are on a wire."""

    def __init__(self, folder: Path, wire: Wire, store: Sequence[str], broken: str = "") -> None:
        self._wire = wire
        self.broken = BROKEN[broken].format(lib=str(folder / "agent" / "lib"))
        super().__init__(folder, {name: [other for other in HOSTS if other != name] for name in HOSTS}, store)

    def node(self, name: str, number: int) -> Host:
        return Host(self, name, number, self._wire)

    def ports(self) -> tuple[int, int]:
        return 7447, 7000


@dataclass(frozen=True)
class Outcome:
    """What a storm came to: seconds from the end of all faults to a server, and how often the service ran."""

    recovered_s: float
    runs: int


class World:
    """Hosts over which one storm after the other blows."""

    hosts = HOSTS

    def __init__(self, folder: Path, chance: random.Random, broken: str = "", bound_s: float = BOUND_S) -> None:
        self._folder, self._chance, self._broken, self._bound_s = folder, chance, broken, bound_s
        self._stack = ExitStack()
        self._down: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._stack as stack:
            self._wire = stack.enter_context(Wire(HOSTS, self._chance))
            places = {self._wire.addresses[name]: self._wire.inside(name) for name in HOSTS}
            self._store = RealEtcd(self._folder / "etcd", self._folder / "authority", places=places)
            self._members = dict(zip(HOSTS, self._store.members, strict=True))
            stack.callback(self._store.kill)
            self._store.start()
            self.farm = Hosts(self._folder, self._wire, list(self._store.endpoints.values()), self._broken)
            stack.callback(self.farm.end)
            self.farm.configure(lambda node: node.tally(HOSTS))
            self.farm.start()
            self.steady()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def round(self, faults: Sequence[Fault], seconds: float = STORM_S) -> Outcome:
        """Let a storm happen, end all faults, and check everything."""
        before = len(self.runs())
        blow(self, faults, seconds)
        self.heal()
        healed = time.monotonic()
        try:
            self.steady()
        finally:
            check(self.runs())
        self.said()
        newest = max(self.runs())
        return Outcome(max(0.0, newest.first - healed), len(self.runs()) - before)

    def runs(self) -> list[Run]:
        return [run for node in self.farm.nodes.values() for run in node.runs()]

    def serving(self) -> str | None:
        newest = max(self.runs(), key=lambda run: run.last, default=None)
        return newest.host if newest and time.monotonic() - newest.last < NOTED_S else None

    def steady(self) -> None:
        """Wait until one instance has run for a while, and still does."""

        def stays() -> bool:
            newest = max(self.runs())
            return newest.last - newest.first > STEADY_S and time.monotonic() - newest.last < NOTED_S

        wait_for(lambda: self.runs() and stays(), self._bound_s + STEADY_S)

    def said(self) -> None:
        """No agent has told of a mistake of its own."""
        for node in self.farm.nodes.values():
            rows = wait_for(lambda node=node: node.ask("query", text="where values.event = agent_error"))
            assert not rows[:-1], rows[0]["row"]["values"]["text"]

    def story(self) -> list[str]:
        """Give the service's last events as the agents that answer have them, for whoever looks for a mistake."""
        found = {}
        for node in self.farm.nodes.values():
            with suppress(OkiagariError):
                for said in node.ask("query", text="where trace = tally | last 60"):
                    row = said.get("row", {})
                    found[row.get("id")] = (row.get("time", 0.0), row.get("host"), json.dumps(row.get("values")))
        return [f"{at:.2f} {host} {values}" for at, host, values in sorted(found.values(), key=str)]

    def begin(self, fault: Fault) -> None:
        if fault.kind == "cut":
            self._wire.cut(fault.links(HOSTS))
        elif fault.kind == "slow":
            self._wire.slow(fault.links(HOSTS), fault.delay_s, fault.loss)
        elif fault.kind == "stop":
            self._signal(fault, signal.SIGSTOP)
        else:
            for host in fault.hosts:
                for what in PARTS[fault.kind]:
                    self._down[(host, what)] += 1
                    self._kill(host, what)

    def end(self, fault: Fault) -> None:
        if fault.kind == "cut":
            self._wire.cut(fault.links(HOSTS), -1)
        elif fault.kind == "slow":
            self._wire.slow(fault.links(HOSTS), 0.0, 0.0)
        elif fault.kind == "stop":
            self._signal(fault, signal.SIGCONT)
        else:
            for host in fault.hosts:
                for what in PARTS[fault.kind]:
                    self._down[(host, what)] -= 1
                    self._start(host, what)

    def heal(self) -> None:
        """End all faults."""
        self._wire.heal()
        self._down.clear()
        self._signal(Fault("stop", 0.0, 0.0, HOSTS), signal.SIGCONT)
        for host in HOSTS:
            for what in PARTS["power"]:
                self._start(host, what)

    def _signal(self, fault: Fault, number: int) -> None:
        for host in fault.hosts:
            if self._runs(host, RUN):
                self.farm.nodes[host].signal(RUN, number)

    def _kill(self, host: str, what: str) -> None:
        if not self._runs(host, what):
            return
        if what == STORE:
            self._store.kill(self._members[host])
        else:
            process = self.farm.nodes[host].processes.pop(what)
            process.kill()
            process.wait()

    def _start(self, host: str, what: str) -> None:
        if self._down[(host, what)] > 0 or self._runs(host, what):
            return
        if what == STORE:
            self._store.start(self._members[host])
        else:
            self.farm.nodes[host].start(what)

    def _runs(self, host: str, what: str) -> bool:
        """Whether this is there; nothing of it may have ended unless it was killed."""
        if what == STORE:
            return self._store.runs(self._members[host])
        process = self.farm.nodes[host].processes.get(what)
        if process and process.poll() is not None:
            said = self.farm.nodes[host].log.read_text()[-2000:]
            raise AssertionError(f"{what} has ended at {host} by itself, with {process.returncode}: {said}")
        return process is not None


STORE = "store"
PARTS = {"kill": (RUN,), "supervisor": (SUPERVISE,), "store": (STORE,), "power": (STORE, SUPERVISE, RUN)}
"""What each kind of fault kills at a host, in the order in which it is started."""


def soak(
    numbers: Sequence[int], seed: int, workers: int, folder: Path, broken: str = "", bound_s: float = BOUND_S
) -> list[Outcome]:  # fmt: skip
    """Let the storms of these numbers blow, in several worlds at once.

    Raises `AssertionError` with the seed and the faults of the one in which something didn't hold.
    """
    outcomes = []
    over = threading.Event()

    def work(worker: int) -> None:
        with World(folder / str(worker), random.Random(f"{seed} wire {worker}"), broken, bound_s) as world:
            for number in numbers[worker::workers]:
                if over.is_set():
                    return
                faults = storm(f"{seed} {number}", HOSTS, STORM_S, TIMING["ttl_s"])
                begun = time.monotonic()
                try:
                    outcomes.append(world.round(faults))
                except (AssertionError, OkiagariError) as error:
                    story = "\n".join([*map(str, faults), "", *world.story()])
                    raise AssertionError(f"--seed {seed} --round {number}: {error}\n{story}") from error
                print(
                    f"round {number}: {len(faults)} faults, the service ran {outcomes[-1].runs} times, again after "
                    f"{outcomes[-1].recovered_s:.1f} s; {time.monotonic() - begun:.0f} s",
                    flush=True,
                )

    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in as_completed([pool.submit(work, worker) for worker in range(min(workers, len(numbers)))]):
                future.result()
        finally:
            over.set()
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--round", type=int, help="only the one with this number")
    parser.add_argument("--broken", choices=BROKEN, default="", help="a mistake that is to be found out")
    parser.add_argument("--bound", type=float, default=BOUND_S, help="seconds until there is to be a server again")
    asked = parser.parse_args()
    numbers = list(range(asked.rounds)) if asked.round is None else [asked.round]
    # Ended like this it still takes its folder away.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(1))
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="okiagari-storms-") as folder:
        outcomes = soak(numbers, asked.seed, asked.workers, Path(folder), asked.broken, asked.bound)
    recovered = sorted(outcome.recovered_s for outcome in outcomes)
    print(
        f"{len(outcomes)} storms, never two servers; the service ran {sum(each.runs for each in outcomes)} times; "
        f"from the end of all faults to a server: median {recovered[len(recovered) // 2]:.1f} s, at most "
        f"{recovered[-1]:.1f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
