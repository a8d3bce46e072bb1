# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a node itself, over a simulated one: commands, refusals, and what is found without the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault import mapper
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.load import unit_of
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import parse_fault
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import SimulatedTarget
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_node import LINEAR

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import Fault

FULL = unit_of("full@/srv")
RUN = (
    "--property=Type=notify --property=TimeoutStartSec=8s --property=TimeoutStopSec=2s --property=OOMScoreAdjust=1000 "
    "--property=MemorySwapMax=0 --property=RuntimeMaxSec=86400s -- python3 okiagari.pyz load"
)
CHANGING = {"systemd-run", "stop", "start", "resume", "remove"}
CPU = '{"kind": "cpu", "percent": 100.0, "workers": 4}'
MEMORY = '{"kind": "memory", "mib": 900}'


def fault(kind: str, **params: Any) -> Fault:
    return parse_fault({"id": "x", "kind": kind, "params": params, "lease_s": 20})


@pytest.fixture
def target(tmp_path: Path) -> SimulatedTarget:
    return SimulatedTarget(tmp_path)


@pytest.mark.parametrize(
    ("asked", "inject", "undo"),
    [
        (fault("cpu_pressure"),
         [f"systemd-run --quiet --collect --unit=okiagari-load-cpu --description={CPU} {RUN} {CPU}"],
         ["systemctl stop okiagari-load-cpu.service"]),
        (fault("memory_pressure", leave="100mib"),
         [f"systemd-run --quiet --collect --unit=okiagari-load-memory --description={MEMORY} {RUN} {MEMORY}"],
         ["systemctl stop okiagari-load-memory.service"]),
        (fault("service_stop", service="web"), ["systemctl stop web.service shop.service web.socket"],
         ["systemctl start web.service shop.service web.socket"]),
        (
            fault("service_freeze", service="shop"),
            ["sh -c echo 1 >$0 /sys/fs/cgroup/system.slice/shop.service/cgroup.freeze"],
            ["sh -c echo 0 >$0 /sys/fs/cgroup/system.slice/shop.service/cgroup.freeze"],
        ),
        (fault("disk_slow", path="/srv", delay="50ms"),
         ["dmsetup create okiagari-vg-srv of vg-srv",
          "dmsetup load vg-srv: 0 2000 delay BELOW 0 50", "dmsetup resume --nolockfs --noudevsync vg-srv"],
         ["dmsetup uncover vg-srv by okiagari-vg-srv"]),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)  # fmt: skip
def test_commands_are_exactly_these(target: SimulatedTarget, asked: Fault, inject: list[str], undo: list[str]) -> None:
    before = target.kernel.state()
    target.keeper.inject(asked)
    assert written(target) == inject
    assert target.kernel.state() != before
    target.keeper.undo(["x"], "module")
    assert written(target) == undo
    assert target.kernel.state() == before


def written(target: SimulatedTarget) -> list[str]:
    """Give the commands since the last time that change something, those of the device mapper without their shell."""
    found = []
    for argv in target.kernel.ran:
        if argv[0] == "sh" and argv[5:]:
            _sh, _c, script, _name, of, *words = argv
            said = {
                mapper._CREATE: f"dmsetup create {words[0]} of {of}",
                mapper._COVER: f"dmsetup load {of}: {words[-1]}",
                mapper._UNCOVER: f"dmsetup uncover {of} by {words[0]}",
            }
            found.append(said[script])
        elif CHANGING & {*argv[:2]} or (argv[-1].endswith("/cgroup.freeze") and argv[0] != "cat"):
            found.append(" ".join(argv))
    target.kernel.ran.clear()
    return found


def test_a_disk_below_its_fault_is_as_it_was(target: SimulatedTarget) -> None:
    record = target.keeper.inject(fault("disk_failing", path="/srv", up=5, down=2))
    devices = dict(target.kernel.node.devices.values())
    assert devices == {"vg-srv": ["0 2000 flakey 253:1 0 5 2"], "okiagari-vg-srv": LINEAR}
    assert record.installed["device:/srv"]["fault"] == {"type": "flakey", "up_s": 5, "down_s": 2}


@pytest.mark.parametrize(
    ("kind", "params", "claim"),
    [
        ("cpu_pressure", {"percent": 50}, "okiagari-load-cpu"),
        ("disk_full", {"path": "/srv"}, FULL),
        ("disk_failing", {"path": "/srv"}, "okiagari-vg-srv"),
    ],
)
def test_what_carries_a_mark_is_healed_without_the_journal(
    target: SimulatedTarget, kind: str, params: dict[str, Any], claim: str
) -> None:
    before = target.kernel.state()
    target.keeper.inject(fault(kind, **params))
    (target.places.journal / "x.json").unlink()
    with pytest.raises(OkiagariError, match="heal_all"):
        target.keeper.inject(fault(kind, **params))
    assert claim in [each["name"] for each in target.keeper.heal(check=True)["found"]]
    assert target.keeper.heal()["left"] == []
    assert target.kernel.state() == before


@pytest.mark.parametrize("kind", ["disk_failing", "disk_slow"])
def test_the_table_of_a_disk_stays_known_until_the_disk_has_it(target: SimulatedTarget, kind: str) -> None:
    before = target.kernel.state()
    target.keeper.inject(fault(kind, path="/srv", **({"delay": "50ms"} if kind == "disk_slow" else {})))
    target.kernel.broken = lambda argv: argv[0] == "sh" and argv[2] == mapper._UNCOVER
    [record] = target.keeper.undo(["x"], "lease")
    assert record.live
    assert LINEAR in dict(target.kernel.node.devices.values()).values()
    target.kernel.broken = lambda _argv: False
    target.keeper.undo(["x"], "lease")
    assert target.kernel.state() == before


def test_a_helper_that_covers_nothing_yet_is_removed(target: SimulatedTarget) -> None:
    before = target.kernel.state()
    target.kernel.broken = lambda argv: argv[0] == "sh" and "BELOW" in argv[-1]
    with pytest.raises(OkiagariError, match="not injected"):
        target.keeper.inject(fault("disk_slow", path="/srv", delay="50ms"))
    assert target.kernel.state() == before


@pytest.mark.parametrize(
    ("table", "mounts", "told"),
    [
        (["0 9 crypt aes 0 0 8:16 0"], ["/srv"], "vg-srv is of the type crypt: only linear and striped devices"),
        (LINEAR, ["/srv", "/var"], "vg-srv has /var, without which the fault could not be ended"),
        (LINEAR, ["[SWAP]"], r"vg-srv has \[SWAP\], without which"),
    ],
)
def test_a_disk_that_cannot_be_covered_safely_is_refused(
    target: SimulatedTarget, table: list[str], mounts: list[str], told: str
) -> None:
    target.kernel.node.devices[253, 0] = ("vg-srv", table)
    target.kernel.node.mounts[253, 0] = mounts
    with pytest.raises(OkiagariError, match=told):
        target.keeper.inject(fault("disk_failing", path="/srv"))


@pytest.mark.parametrize(
    ("kind", "params", "told"),
    [
        ("disk_slow", {"path": "/nope", "delay": "5ms"}, "there is no /nope on this target"),
        ("disk_slow", {"path": "/var/lib", "delay": "5ms"}, "/var/lib is not on a device of the device mapper"),
        ("disk_full", {"path": "/"}, "the leases or the journal need room on the file system of /: leave 64mib"),
        ("disk_full", {"path": "/run", "leave": "63mib"}, "need room on the file system of /run: leave 64mib"),
        ("disk_full", {"path": "/srv", "leave": "1gib"}, "only 390 MiB are free in /srv already: leave less"),
        ("disk_pressure", {"path": "/nope"}, "there is no directory /nope on this target"),
        ("memory_pressure", {"leave": "1gib"}, "only 1000 MiB of memory are available already: leave less"),
        ("service_stop", {"service": "cron"}, "cron.service isn't running: start it or choose another service"),
    ],
)
def test_refusals(target: SimulatedTarget, kind: str, params: dict[str, Any], told: str) -> None:
    before = target.kernel.state()
    with pytest.raises(OkiagariError, match=told):
        target.keeper.inject(fault(kind, **params))
    assert target.kernel.state() == before


def test_a_clock_that_a_daemon_keeps_is_left_alone(target: SimulatedTarget) -> None:
    target.kernel.node.units["chrony.service"]["active"] = True
    with pytest.raises(OkiagariError, match="chrony keeps the clock of this target, and would set it back"):
        target.keeper.inject(fault("clock_step", by="5min"))


def test_a_service_that_somebody_else_froze_is_left_alone(target: SimulatedTarget) -> None:
    target.kernel.node.units["shop.service"]["frozen"] = True
    with pytest.raises(OkiagariError, match="frozen already, and not by Okiagari"):
        target.keeper.inject(fault("service_freeze", service="shop"))


def test_the_clock_goes_back_by_what_it_went_forth_and_the_receipt_does_not_notice(
    target: SimulatedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, clock = target.kernel.node, target.clock
    booted_at = node.booted_at
    monkeypatch.setattr(clock, "now", lambda: node.booted_at + clock.monotonic())
    armed = clock.now()
    target.keeper.inject(fault("clock_step", by="1h"))
    assert node.booted_at == pytest.approx(booted_at + 3600)
    clock.sleep(7)
    [record] = target.keeper.undo(["x"], "lease")
    assert node.booted_at == pytest.approx(booted_at)
    receipt = record.receipt()
    times = [receipt[key] - armed for key in ("armed_at", "injected_at", "undone_at", "lease_ends_at")]
    assert times == pytest.approx([0, 0, 7, 20])


def test_a_load_that_the_kernel_killed_is_told(target: SimulatedTarget) -> None:
    target.keeper.inject(fault("memory_pressure", take="500mib"))
    target.kernel.node.loads.clear()
    [record] = target.keeper.undo(["x"], "lease")
    assert (record.state, record.measured) == ("undone", {"running": False})


def test_what_a_load_did_is_measured(target: SimulatedTarget) -> None:
    target.keeper.inject(fault("memory_pressure", take="500mib"))
    [record] = target.keeper.undo(["x"], "lease")
    assert record.measured == {"running": True, "cpu_s": 1.5, "held_mib": 7}


def test_a_fault_whose_record_finds_no_room_is_undone(target: SimulatedTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    before = target.kernel.state()
    save, saved = target.store.save, []

    def full(record: Any) -> None:
        saved.append(record.state)
        if target.kernel.node.loads and record.installed:
            raise OkiagariError("the journal can't be written: No space left on device")
        save(record)

    monkeypatch.setattr(target.store, "save", full)
    with pytest.raises(OkiagariError, match="not injected: the journal can't be written"):
        target.keeper.inject(fault("disk_full", path="/srv"))
    assert target.kernel.state() == before
    assert [record.live for record in target.keeper.records()] == [False]


@pytest.mark.parametrize("capability", ["service", "clock", "dm_delay"])
def test_missing_capabilities_are_named(target: SimulatedTarget, capability: str) -> None:
    target.kernel.node.able.discard(capability)
    asked = {
        "service": fault("cpu_pressure"),
        "clock": fault("clock_step", by="5s"),
        "dm_delay": fault("disk_slow", path="/srv", delay="5ms"),
    }
    with pytest.raises(OkiagariError, match=f"lacks the capability '{capability}'"):
        target.keeper.inject(asked[capability])


def test_units_of_paths_are_told_apart() -> None:
    assert unit_of("cpu") == "okiagari-load-cpu"
    assert len({unit_of(f"full@{path}") for path in ("/", "/a-b", "/a/b", "/a b")}) == 4
