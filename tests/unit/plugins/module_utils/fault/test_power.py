# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of machines: the kinds, the way from state to state, and the guests of a simulated libvirt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import Fault, parse_fault
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.power import power_ops
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target.keeper import Keeper
from ansible_collections.okiagari.testbed.plugins.module_utils.target.store import Store
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Places
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import (
    HandClock,
    HandTimers,
    backend_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_VERBS = {"destroy": "shut off", "start": "running", "suspend": "paused", "resume": "running", "shutdown": "running"}


class SimulatedLibvirt:
    """A KVM host with guests; each `virsh` that changes something is kept. A guest takes its time to shut down."""

    def __init__(self, **guests: str) -> None:
        self.guests = guests
        self.transient: set[str] = set()
        self.marked: set[str] = set()
        self.done: list[str] = []
        self.runs = True
        # libvirt 9 does; 11 says nothing, and that all is well.
        self.says_what_is_missing = True

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        if argv[0] == "test":
            return Completed(0 if self.runs and "libvirt" in argv[2] else 1, "", "")
        if argv[0] != "virsh":
            return Completed(127, "", f"{argv[0]}: simulated: not here")
        verb, *names = argv[2:]
        if verb == "list":
            return Completed(0, "\n".join(sorted(self.guests.keys() - self.transient)) + "\n\n", "")
        if verb == "domstate":
            return Completed(0, f"{self.guests[names[0]]}\n\n", "")
        if verb == "metadata":
            return self._metadata(*names)
        self.done.append(f"{verb} {names[0]}")
        self.guests[names[0]] = _VERBS[verb]
        return Completed(0, "", "")

    def _metadata(self, name: str, *options: str) -> Completed:
        if "--set" in options:
            self.marked.add(name)
        elif "--remove" in options:
            self.marked.discard(name)
        elif name in self.marked:
            return Completed(0, "<stopping/>\n\n", "")
        elif self.says_what_is_missing:
            return Completed(1, "", "error: metadata not found: Requested metadata element is not present")
        return Completed(0, "\n", "")


@pytest.fixture(params=[9, 11])
def host(request: pytest.FixtureRequest) -> SimulatedLibvirt:
    made = SimulatedLibvirt(web="running", db="paused", old="shut off", odd="pmsuspended", late="in shutdown")
    made.says_what_is_missing = request.param == 9
    return made


@pytest.fixture
def keeper(host: SimulatedLibvirt, tmp_path: Path) -> Keeper:
    places = Places(str(tmp_path), str(tmp_path))
    return Keeper(backend_of(host), Store(places), HandTimers(), HandClock(), "boot", ("python3", "p"))


def fault(kind: str, name: str) -> Fault:
    return parse_fault({"id": kind, "kind": kind, "params": {"machine": name}, "lease_s": 20})


@pytest.mark.parametrize(
    ("have", "want", "steps"),
    [
        ("on", "off", ["cut"]),
        ("paused", "off", ["cut"]),
        ("on", "paused", ["pause"]),
        ("off", "paused", ["start", "pause"]),
        ("off", "on", ["start"]),
        ("paused", "on", ["resume"]),
        ("on", "stopping", ["shut"]),
        ("paused", "stopping", ["resume", "shut"]),
        ("stopping", "off", ["cut"]),
        ("stopping", "paused", ["cut", "start", "pause"]),
        ("stopping", "on", ["cut", "start"]),
        ("off", "stopping", []),
        ("on", "on", []),
        ("off", "off", []),
    ],
)
def test_the_way_to_a_power(have: str, want: str, steps: list[str]) -> None:
    assert power_ops("web", {"power": have}, {"power": want}) == [(step, "web") for step in steps]


def test_a_machine_that_is_gone_stays_gone() -> None:
    assert power_ops("web", {"missing": []}, {"power": "on"}) == []


@pytest.mark.parametrize(
    ("kind", "injected", "commands"),
    [
        ("power_cut", {"power": "off"}, ["destroy web", "start web"]),
        ("pause", {"power": "paused"}, ["suspend web", "resume web"]),
        ("reboot", {"power": "stopping"}, ["shutdown web", "destroy web", "start web"]),
    ],
)
def test_a_guest_loses_its_power_and_gets_it_back(
    keeper: Keeper, host: SimulatedLibvirt, kind: str, injected: dict[str, str], commands: list[str]
) -> None:
    receipt = keeper.inject(fault(kind, "web")).receipt()
    assert (receipt["before"], receipt["installed"]) == ({"power": "on"}, injected)
    undone = keeper.undo([kind], "module")[0]
    assert (undone.state, undone.after) == ("undone", {"power:web": {"power": "on"}})
    assert host.done == commands
    assert host.marked == set()


def test_a_guest_that_has_shut_down_only_boots(keeper: Keeper, host: SimulatedLibvirt) -> None:
    keeper.inject(fault("reboot", "web"))
    host.guests["web"] = "shut off"
    assert keeper.undo(["reboot"], "module")[0].after == {"power:web": {"power": "on"}}
    assert host.done == ["shutdown web", "start web"]
    assert host.marked == set()


def test_a_guest_that_was_started_meanwhile_is_left_as_it_is(keeper: Keeper, host: SimulatedLibvirt) -> None:
    keeper.inject(fault("power_cut", "web"))
    host.guests["web"] = "running"
    assert keeper.undo(["power_cut"], "module")[0].state == "undone"
    assert host.done == ["destroy web"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wep", "there is no machine wep on this target; did you mean web?"),
        ("db", "db is paused already, and not by Okiagari"),
        ("old", "old is off already, and not by Okiagari"),
        ("late", "late is stopping already, and not by Okiagari"),
        ("odd", "its output can't be understood: pmsuspended"),
    ],
)
@pytest.mark.parametrize("kind", ["power_cut", "pause", "reboot"])
def test_refused(keeper: Keeper, host: SimulatedLibvirt, kind: str, name: str, message: str) -> None:
    with pytest.raises(OkiagariError, match=message.replace("?", r"\?")):
        keeper.inject(fault(kind, name))
    assert host.done == []


def test_a_guest_that_would_be_forgotten_is_not_cut(keeper: Keeper, host: SimulatedLibvirt) -> None:
    host.transient.add("web")
    with pytest.raises(OkiagariError, match="there is no machine web"):
        keeper.inject(fault("power_cut", "web"))


def test_without_libvirt_the_capability_is_missing(keeper: Keeper, host: SimulatedLibvirt) -> None:
    host.runs = False
    with pytest.raises(OkiagariError, match="lacks the capability 'power'"):
        keeper.inject(fault("power_cut", "web"))


@pytest.mark.parametrize("name", ["", "-web", "a/b", "../web", 7, None])
def test_names_that_are_none(name: Any) -> None:
    with pytest.raises(BadInput, match="machine"):
        fault("pause", name)
