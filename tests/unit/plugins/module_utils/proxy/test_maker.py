# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maker of a device's faults, over a simulated device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import parse_fault
from ansible_collections.okiagari.testbed.plugins.module_utils.proxy.lasting import Lasting
from ansible_collections.okiagari.testbed.plugins.module_utils.proxy.maker import DeviceMaker
from ansible_collections.okiagari.testbed.plugins.module_utils.target.program import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.target.store import Store
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.target.timeline import Timeline
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.proxy.simulated_device import (
    NotedRunners,
    SimulatedDevice,
    VirtualClock,
    fault,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import Fault

UNIT = "okiagari-drill-d"


class Rig:
    """A device and makers of its faults, each of which has a session of its own."""

    def __init__(self, path: Path) -> None:
        self.clock = VirtualClock()
        self.device = SimulatedDevice(self.clock)
        self.runners = NotedRunners()
        self.path = path
        self.logins = 0

    def maker(self) -> DeviceMaker:
        places = Places(str(self.path), str(self.path))
        clock: Any = self.clock
        return DeviceMaker(Lasting("simulated", self._login), Store(places), self.runners, clock, "boot")

    def _login(self) -> SimulatedDevice:
        self.logins += 1
        return self.device

    def armed(self, maker: DeviceMaker, lasts: float = 20.0, *interfaces: str) -> list[str]:
        """Arm faults of the drill d; give their ids."""
        faults = [(planned(each, lasts), 100.0) for each in interfaces or ("eth1",)]
        self.runners.start(UNIT, ())
        return [record.fault.id for record in maker.arm("d", faults)]

    def run(self, maker: DeviceMaker, *faults: dict[str, Any]) -> list[tuple[str, float]]:
        """Run a program whose T0 is in 10 s; give its events with their instants after T0."""
        document = {"drill": "d", "t0": self.clock.now() + 10, "ends": 100, "faults": list(faults), "target": "r1"}
        program = parse(document)
        self.runners.start(UNIT, ())
        maker.arm("d", [(each.fault, 10 + each.until + 1) for each in program.faults])
        start = self.clock.monotonic() + 10
        told: list[tuple[str, float]] = []

        def tell(name: str, fault: str | None = None, detail: str = "", **more: object) -> None:
            told.append((name, self.clock.monotonic() - start))

        clock: Any = self.clock
        none: Any = None
        Timeline(program, maker, dict, none, clock, start, tell).run()
        return told


def planned(interface: str, lasts: float) -> Fault:
    return parse_fault(fault(interface, at=5, **{"for": lasts}), in_program=True)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_arming_looks_and_changes_nothing(rig: Rig) -> None:
    [fault_id] = rig.armed(rig.maker())
    assert rig.device.done == []
    [record] = rig.maker().of_drill("d")
    assert (record.fault.id, record.state, record.touched) == (fault_id, "armed", False)
    assert record.want["link:eth1"]["admin"] == "down"


def test_the_lease_comes_with_the_change_and_is_longer_than_the_fault(rig: Rig) -> None:
    maker = rig.maker()
    [fault_id] = rig.armed(maker, 60.0)
    maker.prepare(fault_id)
    assert (rig.device.done, rig.device.ends) == (["ready"], None)
    [record] = maker.strike([fault_id])
    assert (record.state, record.error, record.installed["link:eth1"]["admin"]) == ("injected", None, "down")
    assert rig.device.ends == rig.clock.now() + 120
    assert record.lease_ends_at == rig.device.ends


def test_a_program_is_run_in_one_session(rig: Rig) -> None:
    told = rig.run(rig.maker(), fault("eth1", at=20, **{"for": 30}), fault("eth2", at=70, **{"for": 5}))
    assert told == [("injected", 20), ("undone", 50), ("injected", 70), ("undone", 75)]
    assert (rig.logins, rig.device.ends) == (1, None)
    assert rig.device.admin == {"eth1": "up", "eth2": "up"}
    assert {(each.state, each.undone_by) for each in rig.maker().of_drill("d")} == {("undone", "program")}


def test_the_device_ends_what_a_dead_controller_leaves(rig: Rig) -> None:
    maker = rig.maker()
    maker.strike(rig.armed(maker))
    rig.runners.stop(UNIT)
    rig.clock.sleep(60)
    [record] = rig.maker().of_drill("d")
    assert (record.state, record.undone_by, record.undone_at) == ("undone", "lease", rig.clock.now())
    assert rig.device.admin["eth1"] == "up"


def test_what_a_dead_runner_never_made_is_over_in_time(rig: Rig) -> None:
    rig.armed(rig.maker())
    rig.runners.stop(UNIT)
    rig.clock.sleep(101)
    [record] = rig.maker().of_drill("d")
    assert (record.state, record.live, record.error) == ("failed", False, "not injected: its drill's runner was gone")
    assert rig.device.done == []


def test_all_that_is_wrong_is_told_and_then_nothing_is_armed(rig: Rig) -> None:
    maker = rig.maker()
    with pytest.raises(BadInput, match=r"(?s)no interface eth8 on.*no interface eth9 on"):
        rig.armed(maker, 20.0, "eth8", "eth1", "eth9")
    assert maker.of_drill("d") == []


def test_a_device_without_leases_is_refused(rig: Rig) -> None:
    rig.device.able = {"link"}
    with pytest.raises(BadInput, match="lacks the capability 'lease'"):
        rig.armed(rig.maker())


def test_a_fault_of_somebody_else_is_in_the_way(rig: Rig) -> None:
    rig.maker().inject(parse_fault(fault("eth2", lease_s=30)))
    with pytest.raises(BadInput, match="the fault d-eth2 stands on this device"):
        rig.armed(rig.maker())


def test_and_an_armed_one_is_in_the_way_of_others(rig: Rig) -> None:
    rig.armed(rig.maker())
    with pytest.raises(OkiagariError, match="the fault d-eth1 is armed for this device"):
        rig.maker().inject(parse_fault(fault("eth2", lease_s=30)))


def test_a_refused_change_is_no_fault(rig: Rig) -> None:
    rig.device.refuses = "being changed by somebody else"
    told = rig.run(rig.maker(), fault("eth1", at=20, **{"for": 5}))
    assert [name for name, _at in told] == ["failed"]
    [record] = rig.maker().of_drill("d")
    assert (record.state, record.live) == ("failed", False)
    assert "being changed by somebody else" in str(record.error)


@pytest.mark.parametrize(("silent", "told"), [(0, "injected"), (1, "failed")])
def test_a_device_that_is_not_heard_to_the_end_is_asked_again(rig: Rig, silent: int, told: str) -> None:
    """What isn't known to stand is undone in time all the same."""
    rig.device.silent = silent
    events = rig.run(rig.maker(), fault("eth1", at=20, **{"for": 5}))
    assert events == [(told, 20), ("undone", 25)]
    assert (rig.device.admin["eth1"], rig.device.ends) == ("up", None)


def test_a_session_that_broke_is_made_anew(rig: Rig) -> None:
    maker = rig.maker()
    [fault_id] = rig.armed(maker)
    rig.device.lost = 1
    maker.prepare(fault_id)
    assert rig.logins == 2
    [record] = maker.strike([fault_id])
    assert record.error is None


def test_an_abort_takes_back_what_stands_and_keeps_the_rest_from_coming(rig: Rig) -> None:
    maker = rig.maker()
    first, second = rig.armed(maker, 20.0, "eth1", "eth2")
    maker.strike([first])
    rig.maker().abort("d", "somebody")
    assert rig.device.admin == {"eth1": "up", "eth2": "up"}
    assert rig.runners.units() == []
    with pytest.raises(OkiagariError, match="already over"):
        maker.strike([second])
    assert {(each.state, each.undone_by) for each in rig.maker().of_drill("d")} == {("undone", "abort")}


def test_an_abort_before_the_change_does_not_ask_the_device(rig: Rig) -> None:
    rig.armed(rig.maker())
    logins = rig.logins
    rig.maker().abort("d", "somebody")
    assert rig.logins == logins


def test_a_device_is_one_drills_at_a_time(rig: Rig) -> None:
    assert rig.maker().claim("d", "a", 60)[0]
    granted, holder = rig.maker().claim("e", "b", 60)
    assert (granted, holder.drill) == (False, "d")
    assert rig.maker().drills() == ["d"]
    rig.maker().release("d", "a")
    assert rig.maker().claim("e", "b", 60)[0]


def test_a_drill_with_a_runner_keeps_others_away(rig: Rig) -> None:
    rig.armed(rig.maker())
    assert rig.maker().claim("e", "b", 60)[0] is False


def test_heal_ends_the_runner_the_claim_and_the_fault(rig: Rig) -> None:
    maker = rig.maker()
    maker.claim("d", "a", 60)
    maker.strike(rig.armed(maker))
    check = rig.maker().heal(check=True)
    assert {each["what"] for each in check["left"]} == {"fault", "drill"}
    report = rig.maker().heal()
    assert (report["left"], rig.runners.units(), rig.maker().claims.holder()) == ([], [], None)
    assert rig.device.admin["eth1"] == "up"


def test_what_a_device_can_not_have(rig: Rig) -> None:
    maker = rig.maker()
    [fault_id] = rig.armed(maker)
    with pytest.raises(OkiagariError, match="can't change"):
        maker.change(fault_id, {})
    with pytest.raises(OkiagariError, match="can't be renewed"):
        maker.renew(fault_id, 5)
    assert maker.expire(fault_id, "any") == []


def test_what_was_made_ready_is_given_up_for_a_question(rig: Rig) -> None:
    lasting = Lasting("simulated", rig._login)
    lasting.ready_commit([("eth1", "down")], 60)
    lasting.gather(["link:eth1"])
    assert (rig.device.done, rig.logins) == (["ready", "close"], 2)
    lasting.ready_commit([("eth1", "down")], 60)()
    lasting.gather(["link:eth1"])
    assert rig.logins == 2
