# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storms over the lab's agents: never two beacons by their own notes, which have the clock of this machine.

`OKIAGARI_STORMS` says how many storms there are (50), `OKIAGARI_STORM_SEED` which ones.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.contract.storm_plan import KINDS, Fault, Run, blow, check, storm
from ansible_collections.okiagari.testbed.tests.lab.default_lab import PROJECT, DefaultLab
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

ROUNDS = int(os.environ.get("OKIAGARI_STORMS", "50"))
SEED = int(os.environ.get("OKIAGARI_STORM_SEED") or random.SystemRandom().randrange(1 << 32))
STORM_S = 30.0
TTL_S = 10.0
BOUND_S = 60.0
"""By when after the end of all faults a beacon serves that stays; a host that was without power boots meanwhile."""
STEADY_S = 3.0
NOTED_S = 2.0
"""A beacon whose newest note is older doesn't serve, or its host doesn't answer."""
LEASE_S = 60
# A boot takes as long as a storm: of power cuts there is one at a time.
CHOSEN = [kind for kind in KINDS if kind not in ("flapping", "power cut everywhere")]
UNITS = {
    "kill": ("okiagari-agent.service",),
    "supervisor": ("okiagari-supervisor@beacon.service",),
    "store": ("okiagari-etcd.service",),
}
BEACON = ["/usr/bin/python3", "/usr/local/lib/beacon.py", "runs", "/var/lib/beacon"]


class LabPlace:
    """The lab's hosts. Faults of links are the toolkit's own, and have its leases."""

    def __init__(self, lab: DefaultLab) -> None:
        self._lab, self._pool = lab, ThreadPoolExecutor()
        nodes = lab.testbed["nodes"]
        self.hosts = [name for name, node in nodes.items() if node["kind"] == "kvm_host"]
        self._ends = {name: [each["name"] for each in nodes[name]["interfaces"]] for name in self.hosts}
        self._routers = {name: f"{nodes[name]['site']}-r1" for name in self.hosts}
        self._injected: dict[Fault, list[tuple[str, str]]] = {}
        self._off: dict[str, Future[None] | None] = {}
        self._known: dict[str, list[Run]] = {}
        self._begun = time.time()

    def runs(self) -> list[Run]:
        """Give what has run since this was made. Of a host that doesn't answer, what it said before."""
        for host, said in zip(self.hosts, self._pool.map(self._noted, self.hosts), strict=True):
            if said is not None:
                self._known[host] = [run for run in said if run.last > self._begun]
        return [run for found in self._known.values() for run in found]

    def serving(self) -> str | None:
        newest = max(self.runs(), key=lambda run: run.last, default=None)
        return newest.host if newest and time.time() - newest.last < NOTED_S else None

    def stays(self) -> bool:
        newest = max(self.runs(), default=None)
        return bool(newest and newest.last - newest.first > STEADY_S and time.time() - newest.last < NOTED_S)

    def begin(self, fault: Fault) -> None:
        if fault.kind in ("cut", "slow"):
            self._injected[fault] = []
            list(self._pool.map(partial(self._inject, fault), self._places(fault)))
        elif fault.kind == "stop":
            self._everywhere(fault, "systemctl kill --signal=STOP okiagari-agent.service")
        elif fault.kind == "power":
            for host in fault.hosts:
                if not self._off:
                    self._lab.power_cut(host)
                    self._off[host] = None
        else:
            units = " ".join(UNITS[fault.kind])
            self._everywhere(fault, f"systemctl kill --signal=KILL {units}; systemctl stop {units}")

    def end(self, fault: Fault) -> None:
        if fault.kind in ("cut", "slow"):
            for node, number in self._injected.pop(fault):
                self._pool.submit(self._lab.program, node, "undo", {"ids": [number]})
        elif fault.kind == "stop":
            self._everywhere(fault, "systemctl kill --signal=CONT okiagari-agent.service")
        elif fault.kind == "power":
            for host in set(fault.hosts) & self._off.keys():
                self._off[host] = self._off[host] or self._pool.submit(self._lab.boot, host)
        else:
            self._everywhere(fault, f"systemctl start {' '.join(UNITS[fault.kind])}")

    def heal(self) -> None:
        """End what hasn't ended by itself."""
        for host, boots in self._off.items():
            (boots or self._pool.submit(self._lab.boot, host)).result()
        self._off.clear()
        wait_for("all nodes answer and have no fault", self._healed, BOUND_S)
        units = " ".join(unit for found in UNITS.values() for unit in found)
        start = f"systemctl kill --signal=CONT okiagari-agent.service; systemctl start {units}"
        list(self._pool.map(lambda host: self._lab.say(host, start), self.hosts))

    def _healed(self) -> bool:
        return not any(each["left"] for each in self._lab.everywhere("heal", {"check": False}).values())

    def _noted(self, host: str) -> list[Run] | None:
        with suppress(subprocess.TimeoutExpired, json.JSONDecodeError):
            said: list[dict[str, Any]] = json.loads(self._lab.ssh(host, " ".join(BEACON), timeout=4).stdout)
            return [Run(run["first"], run["last"], run["host"], run["token"]) for run in said]
        return None

    def _places(self, fault: Fault) -> list[tuple[str, str]]:
        """Give whose interfaces send what is to be lost: the host's own, or those of its router towards it."""
        found = []
        for host in fault.hosts:
            found += [(host, name) for name in self._ends[host] if fault.way != "in"]
            found += [(self._routers[host], name) for name in self._ends[host] if fault.way != "out"]
        return found

    def _inject(self, fault: Fault, place: tuple[str, str]) -> None:
        node, interface = place
        params: dict[str, Any] = {"interface": interface}
        if fault.kind == "cut":
            params["percent"] = 100
        else:
            params |= {"delay": {"delay": f"{fault.delay_s:g}s"}, "loss": {"percent": 100 * fault.loss}}
        number = f"storm-{time.time_ns()}"
        kind = "loss" if fault.kind == "cut" else "impairment"
        asked = {"id": number, "kind": kind, "target": node, "params": params, "lease_s": LEASE_S}
        # Refused where another one stands, and not answered where there is no power.
        with suppress(subprocess.TimeoutExpired, json.JSONDecodeError):
            if self._lab.program(node, "inject", asked).get("state") == "injected":
                self._injected[fault].append((node, number))

    def _everywhere(self, fault: Fault, command: str) -> None:
        def tell(host: str) -> None:
            with suppress(subprocess.TimeoutExpired):
                self._lab.ssh(host, command, timeout=10)

        list(self._pool.map(tell, fault.hosts))


@pytest.fixture(scope="module")
def place() -> Iterator[LabPlace]:
    """Have the beacon kept going at the lab's hosts."""
    drill = PROJECT / "scenarios" / "agent_election" / "drill.yml"
    subprocess.run(["ansible-playbook", str(drill), "--tags", "install"], cwd=PROJECT, check=True, timeout=900)
    lab = DefaultLab()
    wait_for("the lab is routed", lab.routed, 60)
    place = LabPlace(lab)
    try:
        yield place
    finally:
        place.heal()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_storm_leaves_one_beacon(place: LabPlace, number: int) -> None:
    wait_for("a beacon serves", place.serving, BOUND_S)
    faults = storm(f"{SEED} {number}", place.hosts, STORM_S, TTL_S, CHOSEN)
    again = f"OKIAGARI_STORM_SEED={SEED}, storm {number}:\n" + "\n".join(map(str, faults))
    blow(place, faults, STORM_S)
    place.heal()
    wait_for(f"a beacon serves again; {again}", place.stays, BOUND_S)
    try:
        check(place.runs())
    except AssertionError as error:
        raise AssertionError(f"{error}\n{again}") from error
