# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulation of the lab: the target program's contract in memory, on a virtual clock and without a network."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places, Power
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.statistics import Clock
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import Graph, load
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.engine import Engine
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.remote import RefusedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

POWER = "lab@localhost"
"""What gives the simulated nodes their power."""
LAB = Path(__file__).parents[5] / "inventory/lab/testbed.yml"


class VirtualPace:
    """Time that passes only by being waited for."""

    def __init__(self) -> None:
        self.time = 1795262400.0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float, unless: threading.Event) -> None:
        if not unless.is_set():
            self.time += max(0.0, seconds)


@dataclass
class Behaviour:
    """How a simulated testbed misbehaves; and how long after its watch has begun an event comes."""

    outage_s: float = 0.2
    deaf_s: float = 0.0
    rewrites: Callable[[float], str] | None = None
    unreachable: set[str] = field(default_factory=set)
    refuses_to_arm: set[str] = field(default_factory=set)
    scarred: bool = False
    stale: bool = False
    heal_finds: bool = False
    unanswered: set[str] = field(default_factory=set)
    fails_to_inject: set[str] = field(default_factory=set)
    fenced: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    forgets: int = 0
    boot_s: float = 20.0
    event_s: float = 0.0
    on_call: Callable[[str, str], None] | None = None
    agents: set[str] = field(default_factory=set)
    silent_agents: set[str] = field(default_factory=set)


class SimulatedTestbed:
    """All targets. A cut circuit loses traffic for `outage_s`, which then takes the shortest way left."""

    def __init__(self, testbed: Mapping[str, Any], pace: VirtualPace, behaviour: Behaviour) -> None:
        self.testbed = testbed
        self.places = Places(testbed)
        self.graph = Graph.from_testbed(testbed)
        self.pace = pace
        self.behaviour = behaviour
        self.programs: dict[str, dict[str, Any]] = {}
        self.aborted: dict[str, float] = {}
        self.stopped: str | None = None
        self.claims: dict[str, tuple[str, str, float]] = {}
        self.calls: list[tuple[str, str]] = []
        self.offsets = {name: 0.01 * number for number, name in enumerate([*sorted(testbed["nodes"]), POWER])}
        self.lock = threading.Lock()
        self.log: list[dict[str, Any]] = []
        self.asked_log: list[tuple[str, str]] = []

    def t0(self, target: str) -> float:
        return float(self.programs[target]["t0"]) - self.offsets[target]

    def faults(self) -> list[tuple[str, dict[str, Any], float, float]]:
        """Each injected fault with its target, and from when to when it is on, by the controller's clock."""
        found = []
        for target, program in self.programs.items():
            for fault in program["faults"]:
                start = self.t0(target) + fault["at"] + (self.behaviour.event_s if "when" in fault else 0.0)
                end = min(start + fault["for"], self.aborted.get(target, float("inf")))
                if start < end and start <= self.pace.now() and fault["id"] not in self.behaviour.fails_to_inject:
                    found.append((target, fault, start, end))
        return found

    def cut(self, at: float) -> set[str]:
        found = set()
        for target, fault, start, end in self.faults():
            if fault["kind"] == "link_down" and start <= at < end:
                interfaces = {item["name"]: item for item in self.testbed["nodes"][target]["interfaces"]}
                found.add(interfaces[fault["params"]["interface"]]["circuit"])
        return found

    def silent(self, at: float) -> set[str]:
        """The nodes that answer nobody: paused, without power, or booting since they have it again."""
        return {
            fault["target"]
            for _target, fault, start, end in self.faults()
            if (fault["kind"] == "pause" and start <= at < end)
            or (fault["kind"] == "power_cut" and start <= at < end + self.behaviour.boot_s)
        }

    def hops(self, source: str, address: str, at: float) -> list[str]:
        """Where the answers to a traced path come from: each router's loopback stands for it."""
        to = self.places.owners[address]
        walked = self.graph.without(self.cut(at)).shortest_path(source, to, weight=lambda _edge: 1.0) or []
        return [self.places.address(node) for node in walked[1:]]

    def receipts(self, target: str) -> list[dict[str, Any]]:
        offset = self.offsets[target]
        spans = {fault["id"]: (start, end) for _target, fault, start, end in self.faults()}
        found = []
        for fault in self.programs.get(target, {}).get("faults", ()):
            start, end = spans.get(fault["id"], (None, None))
            over = end is not None and end <= self.pace.now()
            failed = fault["id"] in self.behaviour.fails_to_inject
            found.append(
                {
                    "id": fault["id"],
                    "state": "failed" if failed else "undone" if over else "injected" if start else "armed",
                    "installed": {"admin": "down"},
                    "steps": [
                        {"at": start + offset + step["after"], "params": step["params"], "installed": {}}
                        for step in fault.get("steps", ())
                        if start is not None
                    ],
                    "injected_at": None if start is None else start + offset + 0.002,
                    "undone_at": end + offset + 0.001 if over and end is not None else None,
                    "undone_by": ("abort" if target in self.aborted else "program") if over else None,
                    "error": "refused by the simulation" if failed else None,
                }
            )
        return found

    def streams(self, target: str) -> list[dict[str, Any]]:
        return [self.stream(target, spec) for spec in self.programs.get(target, {}).get("streams", ())]

    def stream(self, target: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        source = self.places.owners[spec["peer"]]
        number = int((spec["until"] - spec["from"]) * spec["rate"])
        interval = 1 / spec["rate"]
        chance = random.Random(f"{target} {spec['id']}")
        received = []
        for sequence in range(number):
            sent = self.t0(target) + spec["from"] + sequence * interval
            if sent > self.pace.now() or self.loses(source, sent, chance):
                continue
            received.append([sequence, sent + self.offsets[source], sent + 0.008 + self.offsets[target]])
        return {"id": spec["id"], "sent": [float(self.programs[target]["t0"]), interval, number], "received": received}

    def loses(self, source: str, sent: float, chance: random.Random) -> bool:
        for target, fault, start, end in self.faults():
            if fault["kind"] == "link_down" and start <= sent < min(end, start + self.behaviour.outage_s):
                return True
            if fault["kind"] != "loss":
                continue
            same_site = self.testbed["nodes"][target]["site"] == self.testbed["nodes"][source]["site"]
            if same_site and start <= sent < end:
                return bool(chance.random() * 100 < fault["params"]["percent"])
        return False

    def writers(self, target: str) -> list[dict[str, Any]]:
        """Every due record is acknowledged at once; on a fenced target none while a fault is on."""
        found = []
        for spec in self.programs.get(target, {}).get("writers", ()):
            due = [self.t0(target) + number / spec["rate"] for number in range(int(spec["until"] * spec["rate"]))]
            acks = [
                at + self.offsets[target]
                for at in due
                if at <= self.pace.now()
                and not (
                    target in self.behaviour.fenced
                    and any(start <= at < end for _target, _fault, start, end in self.faults())
                )
            ]
            found.append({"id": spec["id"], "size": spec["size"], "acks": [[at, at] for at in acks], "errors": []})
        return found

    def readback(self, path: str, at: float) -> dict[str, Any]:
        for target, program in self.programs.items():
            for spec, result in zip(program["writers"], self.writers(target), strict=True):
                if spec["path"] == path:
                    there = [acked for _begun, acked in result["acks"] if acked - self.offsets[target] <= at]
                    return {"records": len(there) - self.behaviour.forgets}
        return {}

    def deaf(self, at: float) -> bool:
        """Whether no connection can be made: for so long after a fault begins."""
        return any(start <= at < start + self.behaviour.deaf_s for _target, _fault, start, _end in self.faults())

    def probes(self, target: str) -> list[dict[str, Any]]:
        """The answers of all that a target was to ask until now."""
        found = []
        for probe in self.programs.get(target, {}).get("probes", ()):
            due = probe["at"]
            while due <= probe.get("until", probe["at"]) and self.t0(target) + due <= self.pace.now():
                found.append(self.probe(target, probe, self.t0(target) + due))
                due += probe.get("every", 1e9)
        return found

    def probe(self, source: str, probe: Mapping[str, Any], at: float) -> dict[str, Any]:
        answered = probe["id"] not in self.behaviour.unanswered
        if probe["type"] == "readback":
            value = self.readback(probe["path"], at)
        elif probe["type"] == "file":
            value = {"sha256": self.behaviour.rewrites(at) if self.behaviour.rewrites else "0"}
        elif probe["type"] == "tcp":
            answered = answered and not self.deaf(at)
            value = {"connected": answered, "ms": 1.0 if answered else None}
        else:
            value = {"hops": self.hops(source, probe["to"], at)}
        if probe["type"] == "ping":
            received = probe["count"] if answered else 0
            value = {
                "sent": probe["count"],
                "received": received,
                "loss_percent": 100.0 * (1 - received / probe["count"]),
                "rtt_ms": [8.0, 8.0, 8.0] if answered else None,
            }
        return {
            "id": probe["id"],
            "ok": answered,
            "at": at + self.offsets[source],
            "value": value,
            "detail": "simulated",
        }


class SimulatedRemote:
    """One target of the simulation."""

    def __init__(self, name: str, testbed: SimulatedTestbed) -> None:
        self.name = name
        self.testbed = testbed

    def call(self, command: str, payload: Mapping[str, Any] | None = None, timeout: float = 20.0) -> dict[str, Any]:
        sim = self.testbed
        with sim.lock:
            sim.calls.append((self.name, command))
        if sim.behaviour.on_call:
            sim.behaviour.on_call(self.name, command)
        if self.name in sim.behaviour.unreachable | sim.silent(sim.pace.now()):
            raise UnreachableError(f"{self.name}: no answer within {timeout:g} s")
        answer: dict[str, Any] = getattr(self, f"_{command}")(dict(payload or {}))
        return answer

    def clock(self) -> Clock:
        return Clock(self.testbed.offsets[self.name], 0.001)

    def close(self) -> None:
        return None

    def _hello(self, _request: dict[str, Any]) -> dict[str, Any]:
        said = {"time": self.testbed.pace.now(), "boot_id": "b", "hostname": self.name, "systemd": True, "missing": []}
        return said | ({"agent": True} if self.name in self.testbed.behaviour.agents else {})

    def _log(self, request: dict[str, Any]) -> dict[str, Any]:
        """The agents' log: what a service says comes when the first circuit is cut."""
        sim = self.testbed
        sim.asked_log.append((self.name, request["query"]))
        if self.name in sim.behaviour.silent_agents:
            raise RefusedError(f"{self.name}: this host's agent can't be reached")
        sim.log += request["tell"]
        _target, _fault, start, _end = sim.faults()[0]
        host = "kanazawa-kvm1"
        values = {"event": "service_started", "token": 3, "text": "", "after": "hiroshima-kvm1"}
        row = {"time": start + 2 + sim.offsets[host], "host": host, "source": "service/db", "values": values}
        return {"rows": [row | {"time": row["time"] + 1, "values": {"event": "later"}}, row]}

    def _snapshot(self, _request: dict[str, Any]) -> dict[str, Any]:
        sim, now = self.testbed, self.testbed.pace.now()
        if self.name == POWER:
            return {"power": {name: "off" if name in sim.silent(now) else "on" for name in sim.testbed["nodes"]}}
        down = {
            fault["params"].get("interface")
            for target, fault, start, end in sim.faults()
            if target == self.name and fault["kind"] == "link_down" and start <= now < end
        }
        links = {
            interface["name"]: {"admin": "down" if interface["name"] in down else "up"}
            for interface in sim.testbed["nodes"][self.name]["interfaces"]
        }
        scars = ["10.99.0.0/16 via 10.254.0.3"] if sim.behaviour.scarred and sim.faults() else []
        stale = ["okiagari-lease-x.timer"] if sim.behaviour.stale else []
        member = {"storage": {"peers": {}, "bricks": {}}} if self.name in sim.behaviour.members else {}
        return {"links": links, "routes": scars, "okiagari": {"leases": stale, "qdiscs": [], "routes": []}, **member}

    def _probe(self, request: dict[str, Any]) -> dict[str, Any]:
        now = self.testbed.pace.now()
        return {"results": [self.testbed.probe(self.name, probe, now) for probe in request["probes"]]}

    def _claim(self, request: dict[str, Any]) -> dict[str, Any]:
        sim, now = self.testbed, self.testbed.pace.now()
        mine = (request["drill"], request["who"])
        with sim.lock:
            *holder, until = sim.claims.get(self.name, (*mine, 0.0))
            if until <= now or tuple(holder) == mine:
                sim.claims[self.name] = (*mine, now + request["seconds"])
                return {"claimed": True, "drill": mine[0], "who": mine[1], "seconds": request["seconds"]}
        return {"claimed": False, "drill": holder[0], "who": holder[1], "seconds": until - now}

    def _release(self, request: dict[str, Any]) -> dict[str, Any]:
        with self.testbed.lock:
            if self.testbed.claims.get(self.name, ("", ""))[:2] == (request["drill"], request["who"]):
                del self.testbed.claims[self.name]
        return {}

    def _arm(self, program: dict[str, Any]) -> dict[str, Any]:
        if self.name in self.testbed.behaviour.refuses_to_arm:
            raise RefusedError(f"{self.name}: a foreign qdisc stands there")
        if self.testbed.stopped:
            raise RefusedError(f"{self.name}: the drill was stopped by {self.testbed.stopped}")
        self.testbed.programs[self.name] = program
        return {"armed": True, "unit": "okiagari-drill-x", "time": self.testbed.pace.now()}

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        running = self.name not in self.testbed.aborted
        faults = self.testbed.receipts(self.name)
        probes = [found for found in self.testbed.probes(self.name) if found["id"] in request.get("probes", ())]
        return {"running": running, "stopped": self.testbed.stopped, "events": 0, "faults": faults, "probes": probes}

    def _collect(self, request: dict[str, Any]) -> dict[str, Any]:
        sim = self.testbed
        ended = {fault["target"] for _target, fault, _start, _end in sim.faults() if fault["kind"] == "power_cut"}
        if self.name not in sim.programs or self.name in ended:
            return {"events": [], "faults": [], "streams": [], "probes": []}
        events = [
            {"at": receipt["injected_at"], "event": "injected", "fault": receipt["id"], "detail": ""}
            for receipt in sim.receipts(self.name)
            if receipt["injected_at"]
        ]
        if sim.receipts(self.name):
            events.append({"at": sim.pace.now(), "event": "restored", "fault": None, "detail": "", "took": 0.64})
        return {
            "stopped": sim.stopped,
            "events": events,
            "faults": sim.receipts(self.name),
            "streams": sim.streams(self.name),
            "writers": sim.writers(self.name),
            "probes": sim.probes(self.name),
        }

    def _abort(self, request: dict[str, Any]) -> dict[str, Any]:
        self.testbed.aborted.setdefault(self.name, self.testbed.pace.now())
        return {"faults": self.testbed.receipts(self.name)}

    def _heal(self, request: dict[str, Any]) -> dict[str, Any]:
        found = ["qdisc on w-osaka"] if self.testbed.behaviour.heal_finds else []
        return {"found": found, "healed": [] if request["check"] else found, "left": []}


@dataclass
class Simulation:
    """A drill on a simulated testbed, ready to run."""

    engine: Engine
    testbed: SimulatedTestbed
    pace: VirtualPace
    said: list[tuple[str, str]]

    def commands(self) -> set[str]:
        return {command for _target, command in self.testbed.calls}


@pytest.fixture(scope="session")
def lab() -> dict[str, Any]:
    """The embedded lab, resolved."""
    return load(LAB).to_dict()


@pytest.fixture
def circuit_cut() -> dict[str, Any]:
    """A drill that holds."""
    return {
        "name": "circuit_cut",
        "hypothesis": "Traffic is back within 1 s over another path.",
        "traffic": [{"name": "h-k", "between": ["hiroshima-kvm1", "kanazawa-kvm1"], "rate": 100}],
        "timeline": [{"at": "5s", "for": "20s", "fault": "link_down", "circuit": "hiroshima-kanazawa"}],
        "probes": [
            {"phase": "before", "ping": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1"}},
            {
                "phase": "before",
                "path": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1", "via": "hiroshima-kanazawa"},
            },
            {"phase": "recover_within", "within": "1s", "traffic": "h-k"},
            {
                "phase": "on_fault",
                "at": "10s",
                "path": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1", "avoid": "hiroshima-kanazawa"},
            },
            {"phase": "continuous", "traffic": {"of": "h-k", "max_outage": "1s"}},
            {"phase": "after", "ping": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1"}},
        ],
    }


@pytest.fixture
def simulate(lab: dict[str, Any]) -> Callable[..., Simulation]:
    """Make a simulation of a drill behind a gate, on a testbed of its own; other keywords are those of `Behaviour`."""

    def make(
        arguments: dict[str, Any],
        gate: Callable[[], Any] = tuple,
        who: str = "aperson@ctl1",
        testbed: SimulatedTestbed | None = None,
        parallel: int = 32,
        **misbehaviour: Any,
    ) -> Simulation:
        testbed = testbed or SimulatedTestbed(lab, VirtualPace(), Behaviour(**misbehaviour))
        pace = testbed.pace
        said: list[tuple[str, str]] = []
        drill = parse(arguments, lab, {name: Power(POWER, name) for name in lab["nodes"]})
        makers = {fault.by for fault in drill.faults if fault.by}
        remotes = {name: SimulatedRemote(name, testbed) for name in (*lab["nodes"], *makers)}

        def progress(phase: str, text: str) -> None:
            said.append((phase, text))

        engine = Engine(drill, plans(drill, lab, Places(lab)), lab, remotes, pace, progress, parallel, gate, who)
        return Simulation(engine, testbed, pace, said)

    return make
