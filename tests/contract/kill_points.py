# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills something at a random point of a random drill, again and again: every time all ends as it was before.

The engine is the real one, in a process of its own; its targets are network namespaces of this machine, in which the
real target program changes the real kernel. Needs root and iproute2.

    python tests/contract/kill_points.py --rounds 200 [--seed N] [--workers N]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.okiagari.testbed.plugins.module_utils.target.store import Store
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load
from ansible_collections.okiagari.testbed.tests.contract.namespaced_target import alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COLLECTIONS = sys.path[0]
ENGINE = "ansible_collections.okiagari.testbed.plugins.plugin_utils.drill"
PROGRAM = Path(__file__).with_name("namespaced_target.py")
LATE_S = 2.0
"""How long after its lease a fault may stand."""
PATIENCE_S = 90.0
DESCRIPTION = {
    "plugin": "okiagari.testbed.testbed",
    "name": "killed",
    "sites": {"site": {"number": 1}},
    "core": {"one": {"number": 1}, "two": {"number": 2}},
    "circuits": [{"between": pair, "delay": "1ms"} for pair in (["site", "one"], ["site", "two"], ["one", "two"])],
}
FAULTS: list[dict[str, Any]] = [
    {"fault": "link_down", "circuit": "one-two"},
    {"fault": "link_down", "circuit": "site-one"},
    {"fault": "mtu", "circuit": "site-two", "mtu": 1400},
    {"fault": "mtu", "node": "site-r1", "interface": "trunk0", "mtu": 1500},
    {"fault": "route_override", "node": "site-r1", "to": "203.0.113.0/24", "via": "two"},
    {"fault": "route_blackhole", "node": "one", "to": "203.0.113.0/24"},
    {"fault": "route_prohibit", "node": "two", "to": "site"},
    {"fault": "route_unreachable", "node": "site-kvm1", "to": "198.51.100.0/24"},
]
STAND_IN = """#!/bin/sh
[ ! -e {home}/unreachable ] || {{ sleep 30; exit 255; }}
OKIAGARI_STATE={home}/state OKIAGARI_RUN={home}/run exec ip netns exec {namespace} {python} -B {program} "$5"
"""


class Node:
    """A target: a namespace whose interfaces end at bridges in the namespace `wires`, so that it can go and come."""

    def __init__(self, world: str, name: str, node: dict[str, Any], home: Path) -> None:
        self.name, self.home, self.wires = name, home, f"{world}-wires"
        self.namespace = f"{world}-{name}"
        self.interfaces = node["interfaces"]
        self.places = Places(str(home / "state"), str(home / "run"))
        home.mkdir()
        stand_in = home / "python"
        stand_in.write_text(
            STAND_IN.format(home=home, namespace=self.namespace, python=sys.executable, program=PROGRAM)
        )
        stand_in.chmod(0o755)
        self.variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(stand_in),
            "okiagari_directory": str(home / "program"),
        }

    def boot(self) -> None:
        sh(f"ip netns add {self.namespace}; ip -n {self.namespace} link set lo up")
        for number, interface in enumerate(self.interfaces):
            name, end = interface["name"], f"{self.name}-{number}"[-15:]
            segment = interface.get("circuit") or interface["segment"]
            bridge = f"br{sum(segment.encode())}"
            self.add(name, interface, end, bridge)
        if self.name == "site-r1":
            sh(
                f"ip -n {self.namespace} route add 192.0.2.0/24 via 10.254.0.1 proto static;"
                f"ip -n {self.namespace} -6 route add 2001:db8:99::/48 dev w-one proto static"
            )

    def add(self, name: str, interface: dict[str, Any], end: str, bridge: str) -> None:
        address = interface.get("address")
        sh(
            f"if ! ip -n {self.wires} link show {bridge} > /dev/null 2>&1; then\n"
            f"ip -n {self.wires} link add {bridge} mtu 1600 type bridge; ip -n {self.wires} link set {bridge} up\nfi\n"
            # A namespace that was ended takes its links along a moment later only.
            f"while ip -n {self.wires} link show {end} > /dev/null 2>&1; do\n"
            f"ip -n {self.wires} link del {end} 2> /dev/null || sleep 0.05\ndone\n"
            f"ip -n {self.wires} link add {end} mtu 1600 type veth peer name {name} netns {self.namespace}\n"
            f"ip -n {self.wires} link set {end} master {bridge} up\n"
            f"ip -n {self.namespace} link set {name} mtu {interface['mtu']} addrgenmode none up\n"
            + (f"ip -n {self.namespace} addr add {address} dev {name}\n" if address else "")
            + f"ip -n {self.namespace} addr add 2001:db8:{len(name)}::{os.getpid():x}/64 dev {name} nodad\n"
        )

    def crash(self) -> None:
        """End the namespace with all that runs in it, and what doesn't survive a boot."""
        (self.home / "unreachable").touch()
        sh(
            f'while pids=$(ip netns pids {self.namespace}) && [ -n "$pids" ]\n'
            "do kill -9 $pids 2>/dev/null || true\ndone\n"
            f"ip netns del {self.namespace}"
        )
        shutil.rmtree(self.home / "run", ignore_errors=True)

    def call(self, command: str, **request: Any) -> dict[str, Any]:
        done = subprocess.run(
            [str(self.home / "python"), "-I", "-S", "-B", "-", command],
            input=json.dumps(request), capture_output=True, text=True, check=False,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout)
        assert set(answer) != {"error"}, f"{self.name}: {command}: {answer['error']}"
        return answer


class World:
    """A testbed of namespaces, in which one drill runs after the other."""

    def __init__(self, folder: Path) -> None:
        self.name, self.folder = f"oki{uuid.uuid4().hex[:5]}", folder
        folder.mkdir(exist_ok=True)
        (folder / "testbed.yml").write_text(json.dumps(DESCRIPTION))
        self.testbed = load(folder / "testbed.yml").to_dict()
        self.nodes = {name: Node(self.name, name, node, folder / name) for name, node in self.testbed["nodes"].items()}

    def __enter__(self) -> Self:
        sh(f"ip netns add {self.name}-wires")
        for node in self.nodes.values():
            node.boot()
        return self

    def __exit__(self, *_error: object) -> None:
        for node in self.nodes.values():
            node.crash()
        sh(f"ip netns del {self.name}-wires")

    def round(self, chance: random.Random) -> tuple[str, Counter[str]]:
        """Run a drill, kill something meanwhile, and check everything; say what was done, and what ended the faults."""
        before = self.snapshots()
        (self.folder / "reports").mkdir(exist_ok=True)
        drill, kill = timeline(chance), chance.choice(list(KILLS))
        with Engine(self, drill) as engine:
            armed = chance.random() < 0.8
            if armed:
                engine.hear("arm")
            wait = chance.uniform(0, ends(drill) + 3 if armed else 6)
            engine.listen(wait)
            KILLS[kill](self, engine, chance)
            engine.end()
        ended = self.check(before)
        return f"{kill} {wait:.1f} s after {'arming' if armed else 'the start'}", ended

    def check(self, before: dict[str, Any]) -> Counter[str]:
        """All faults have ended in time, nothing is left, and everything is as before. Give what ended them."""
        ended: Counter[str] = Counter()
        deadline = time.monotonic() + PATIENCE_S
        while standing := [each for node in self.nodes.values() for each in node.call("heal", check=True)["found"]]:
            assert time.monotonic() < deadline, f"left: {standing}"
            time.sleep(0.2)
        for node in self.nodes.values():
            for record in Store(node.places).load():
                late = (record.undone_at or 0.0) - (record.lease_ends_at or 0.0)
                assert late <= LATE_S, f"{node.name}: {record.fault.id} ended {late:.2f} s after its lease"
                if record.touched:
                    ended[record.undone_by or "reboot"] += 1
            healed = node.call("heal")
            assert healed == {"found": [], "healed": [], "left": []}, f"{node.name}: heal found {healed['found']}"
            shutil.rmtree(node.places.journal, ignore_errors=True)
        after = self.snapshots()
        assert after == before, f"not as before: {[name for name in before if before[name] != after[name]]}"
        return ended

    def snapshots(self) -> dict[str, Any]:
        return {name: node.call("snapshot") for name, node in self.nodes.items()}


class Engine:
    """The engine's process, with this one in the place of Ansible."""

    def __init__(self, world: World, drill: dict[str, Any]) -> None:
        home = Path(tempfile.mkdtemp(dir=world.folder))
        work = {
            "drill": drill,
            "testbed": world.testbed,
            "targets": {name: node.variables for name, node in world.nodes.items()},
            "reports": str(world.folder / "reports"),
            "consent": str(world.folder / "consent"),
            "parallel": 32,
            "power": {},
            "devices": {},
        }
        (home / "work.json").write_text(json.dumps(work))
        theirs, self.pipe = os.pipe()
        self.complaints = world.folder / "engine.log"
        with self.complaints.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", "-m", ENGINE, str(home / "work.json"), str(theirs)],
                stdout=subprocess.PIPE, stderr=log, bufsize=0, pass_fds=(theirs,), start_new_session=True,
                env={**os.environ, "PYTHONPATH": COLLECTIONS},
            )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        self.hang_up()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def hang_up(self) -> None:
        """As when Ansible dies."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    def kill(self) -> None:
        """Kill it with everything that it has under way, as when the controller's power goes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def hear(self, phase: str) -> None:
        """Wait until it tells of a phase."""
        last = b"nothing"
        for last in self._lines(PATIENCE_S):
            if json.loads(last).get("phase") == phase:
                return
        said = self.complaints.read_text()
        raise AssertionError(f"the drill didn't come to the phase {phase}: {last.decode()} {said}")

    def listen(self, seconds: float) -> None:
        for _line in self._lines(seconds):
            pass

    def end(self) -> None:
        """Let it come to its end, if it still can."""
        self.listen(PATIENCE_S / 3)
        self.kill()

    def _lines(self, seconds: float) -> Iterator[bytes]:
        stream, deadline = self.process.stdout, time.monotonic() + seconds
        while stream and (left := deadline - time.monotonic()) > 0 and select.select([stream], [], [], left)[0]:
            line = stream.readline()
            if not line:
                return
            yield line


def engine_dies(_world: World, engine: Engine, _chance: random.Random) -> None:
    engine.kill()


def ansible_dies(_world: World, engine: Engine, _chance: random.Random) -> None:
    engine.hang_up()


def runners_die(world: World, _engine: Engine, _chance: random.Random) -> None:
    for node in world.nodes.values():
        for unit in (node.home / "run" / "units").glob("okiagari-drill-*"):
            with suppress(ProcessLookupError, ValueError, FileNotFoundError):
                if alive(pid := int(unit.read_text()), node.home / "run"):
                    os.kill(pid, signal.SIGKILL)


def network_is_cut(world: World, engine: Engine, chance: random.Random) -> None:
    """The management network, to all targets or to one; the engine dies before it is back."""
    for node in chance.choice([list(world.nodes.values()), [chance.choice(list(world.nodes.values()))]]):
        (node.home / "unreachable").touch()
    engine.listen(chance.uniform(0, 6))
    engine.kill()
    engine.process.wait()
    for node in world.nodes.values():
        (node.home / "unreachable").unlink(missing_ok=True)


def target_reboots(world: World, _engine: Engine, chance: random.Random) -> None:
    node = chance.choice(list(world.nodes.values()))
    node.crash()
    node.boot()
    (node.home / "unreachable").unlink()


def everything_dies(world: World, engine: Engine, chance: random.Random) -> None:
    engine.kill()
    runners_die(world, engine, chance)


KILLS: dict[str, Callable[[World, Engine, random.Random], None]] = {
    "engine": engine_dies,
    "Ansible": ansible_dies,
    "runners": runners_die,
    "network": network_is_cut,
    "reboot": target_reboots,
    "engine and runners": everything_dies,
}


def timeline(chance: random.Random) -> dict[str, Any]:
    """Make a drill of a few faults at random instants."""
    chosen = chance.sample(FAULTS, chance.randint(1, 4))
    faults = [
        {**fault, "at": round(chance.uniform(0, 2), 2), "for": round(chance.uniform(1, 3), 2)} for fault in chosen
    ]
    route = {"phase": "on_fault", "route": {"from": "site-r1", "to": "one", "via": "one"}}
    return {"name": "killed", "hypothesis": "Nothing stays.", "watch": "0s", "timeline": faults, "probes": [route]}


def ends(drill: dict[str, Any]) -> float:
    return max(float(fault["at"] + fault["for"]) for fault in drill["timeline"])


def sh(script: str) -> None:
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr}")


def soak(rounds: int, seed: int, workers: int, folder: Path) -> Counter[str]:
    """Run so many rounds, each with a seed of its own, in several worlds at once; give how often what ended a fault.

    Raises `AssertionError` with the seed of the round in which something wasn't as before.
    """
    done: Counter[str] = Counter()
    over = threading.Event()

    def work(number: int) -> None:
        with World(folder / str(number)) as world:
            for each in range(number, rounds, workers):
                if over.is_set():
                    return
                try:
                    what, ended = world.round(random.Random(f"{seed} {each}"))
                except AssertionError as error:
                    raise AssertionError(f"seed {seed}, round {each}: {error}") from error
                done.update(ended)
                print(f"round {each}: {what}; faults ended by {told(ended)}; clean", flush=True)

    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in as_completed([pool.submit(work, number) for number in range(min(workers, rounds))]):
                future.result()
        finally:
            over.set()
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--workers", type=int, default=4)
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="okiagari-soak-") as folder:
        ended = soak(asked.rounds, asked.seed, asked.workers, Path(folder))
    print(f"{asked.rounds} rounds, {asked.rounds} times clean; {ended.total()} faults ended by {told(ended)}")
    return 0


def told(ended: Counter[str]) -> str:
    return ", ".join(f"{name}: {many}" for name, many in ended.most_common()) or "nobody"


if __name__ == "__main__":
    sys.exit(main())
