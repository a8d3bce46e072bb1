# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a real node: what can be seen of them there, and that their leases end them with nothing left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.default_lab import DefaultLab
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

NODE = "naist-kvm1"
LEASE_S = 15
DISK = "/srv/okiagari-test"
# A disk of two pieces, as LVM makes them; without udev's help, whose links for it are of no interest.
MAKE_DISK = f"""set -e
modprobe loop; truncate -s 64M {DISK}.img; loop=$(losetup -f --show {DISK}.img)
printf '0 65536 linear %s 0\\n65536 65536 linear %s 65536\\n' $loop $loop | dmsetup create lab-disk
mkfs.ext4 -q /dev/mapper/lab-disk; mkdir -p {DISK}; mount /dev/mapper/lab-disk {DISK}"""
DROP_DISK = f"umount {DISK}; dmsetup remove --retry lab-disk; losetup -D; rm -rf {DISK} {DISK}.img"


@pytest.fixture(scope="module")
def lab() -> DefaultLab:
    return DefaultLab()


@pytest.fixture(autouse=True)
def unharmed(lab: DefaultLab) -> Iterator[None]:
    yield
    healed = lab.program(NODE, "heal", {"check": False})
    assert healed["found"] == [], healed


@pytest.fixture
def disk(lab: DefaultLab) -> Iterator[str]:
    """Give a directory on a disk of its own, which is a device of the device mapper."""
    lab.say(NODE, MAKE_DISK)
    yield DISK
    lab.say(NODE, DROP_DISK)


def inject(lab: DefaultLab, kind: str, **params: Any) -> str:
    fault = {"id": f"node-{time.time_ns()}", "kind": kind, "target": NODE, "params": params, "lease_s": LEASE_S}
    receipt = lab.program(NODE, "inject", fault)
    assert receipt.get("state") == "injected", receipt
    return str(receipt["id"])


def ended(lab: DefaultLab, fault: str) -> dict[str, Any]:
    """Wait for the end of the lease and give the receipt."""

    def receipt() -> dict[str, Any]:
        [found] = lab.program(NODE, "undo", {"ids": [fault]})["receipts"]
        return dict(found)

    wait_for("the lease ended", lambda: not lab.program(NODE, "heal", {"check": True})["found"], LEASE_S + 30)
    found = receipt()
    assert (found["state"], found["undone_by"], found["error"]) == ("undone", "lease", None)
    return found


def number(lab: DefaultLab, command: str) -> float:
    return float(lab.say(NODE, command))


def available_mib(lab: DefaultLab) -> float:
    return number(lab, "awk '/^MemAvailable/ {print $2 / 1024}' /proc/meminfo")


def seconds_to_write(lab: DefaultLab, path: str) -> float:
    command = f"f = os.open('{path}/file', os.O_RDWR | os.O_CREAT); os.pwrite(f, b'x', 0); b = time.time(); os.fsync(f)"
    return number(lab, f'python3 -c "import os, time; {command}; print(time.time() - b)"')


def test_processors(lab: DefaultLab) -> None:
    fault = inject(lab, "cpu_pressure", workers=3)
    assert number(lab, "pgrep -c -f 'okiagari.* load .*cpu'") >= 3
    wait_for("the load shows", lambda: number(lab, "cut -d' ' -f1 /proc/loadavg") > 0.5, LEASE_S)
    assert ended(lab, fault)["measured"]["cpu_s"] > 1
    assert lab.ssh(NODE, "pgrep -f 'okiagari.* load .*[c]pu'").returncode == 1


def test_memory(lab: DefaultLab) -> None:
    before = available_mib(lab)
    fault = inject(lab, "memory_pressure", take="100mib")
    wait_for("the memory is taken", lambda: available_mib(lab) < before - 80, LEASE_S)
    assert ended(lab, fault)["measured"]["held_mib"] == 100
    wait_for("the memory is free again", lambda: available_mib(lab) > before - 40, 10)


def test_a_disk_that_is_full(lab: DefaultLab, disk: str) -> None:
    fault = inject(lab, "disk_full", path=disk)
    refused = lab.ssh(NODE, f"dd if=/dev/zero of={disk}/big bs=1M count=1")
    assert b"No space left on device" in refused.stderr
    assert ended(lab, fault)["measured"]["taken_mib"] > 30
    lab.say(NODE, f"dd if=/dev/zero of={disk}/big bs=1M count=20")


def test_the_systems_own_disk_is_full_and_the_lease_ends_it_all_the_same(lab: DefaultLab) -> None:
    refused = lab.program(NODE, "inject", {"id": "x", "kind": "disk_full", "params": {"path": "/"}, "lease_s": 9})
    assert "leave 64mib" in refused["error"]
    fault = inject(lab, "disk_full", path="/var", leave="64mib")
    lab.ssh(NODE, "dd if=/dev/zero of=/var/big bs=1M count=100")
    assert number(lab, "stat -f -c %f /") * 4096 < 64 * 2**20
    ended(lab, fault)
    lab.say(NODE, "rm /var/big")


def test_a_disk_that_is_written_to(lab: DefaultLab, disk: str) -> None:
    refused = lab.program(
        NODE, "inject", {"id": "x", "kind": "disk_pressure", "params": {"path": disk}, "lease_s": LEASE_S}
    )
    assert "are needed" in refused["error"]
    fault = inject(lab, "disk_pressure", path="/var")
    wrote = ended(lab, fault)["measured"]
    assert wrote["written_mib"] > 10
    assert wrote["failures"] == 0


def test_a_slow_disk(lab: DefaultLab, disk: str) -> None:
    assert seconds_to_write(lab, disk) < 0.3
    fault = inject(lab, "disk_slow", path=disk, delay="300ms")
    assert seconds_to_write(lab, disk) >= 0.3
    ended(lab, fault)
    assert seconds_to_write(lab, disk) < 0.3


def test_a_disk_that_fails(lab: DefaultLab, disk: str) -> None:
    read = "dd if=/dev/mapper/lab-disk of=/dev/null bs=4k count=1 iflag=direct"
    table = lab.say(NODE, "dmsetup table lab-disk")
    fault = inject(lab, "disk_failing", path=disk)
    assert b"Input/output error" in lab.ssh(NODE, read).stderr
    ended(lab, fault)
    # What could not be written meanwhile is told once, to whoever reads first.
    wait_for("the disk is read", lambda: lab.ssh(NODE, read).returncode == 0, 5)
    assert lab.say(NODE, "dmsetup table lab-disk") == table


def test_a_disk_that_fails_now_and_then(lab: DefaultLab, disk: str) -> None:
    read = "dd if=/dev/mapper/lab-disk of=/dev/null bs=4k count=1 iflag=direct"
    fault = inject(lab, "disk_failing", path=disk, up=1, down=1)
    for works in (True, False, True):
        wait_for(f"it works: {works}", lambda works=works: (lab.ssh(NODE, read).returncode == 0) is works, 5)  # type: ignore[misc]
    ended(lab, fault)


def test_the_wall_clock(lab: DefaultLab) -> None:
    ahead = number(lab, "date +%s") - time.time()
    fault = inject(lab, "clock_step", by="-1h")
    assert number(lab, "date +%s") - time.time() == pytest.approx(ahead - 3600, abs=10)
    receipt = ended(lab, fault)
    assert number(lab, "date +%s") - time.time() == pytest.approx(ahead, abs=10)
    assert LEASE_S <= receipt["undone_at"] - receipt["armed_at"] < LEASE_S + 30


def test_a_service_that_is_stopped(lab: DefaultLab) -> None:
    units = "virtlogd.service virtlogd.socket virtlogd-admin.socket"
    lab.say(NODE, "systemctl start virtlogd.service")
    before = lab.ssh(NODE, f"systemctl is-active {units}").stdout
    fault = inject(lab, "service_stop", service="virtlogd")
    assert lab.ssh(NODE, f"systemctl is-active {units}").stdout.split() == 3 * [b"inactive"]
    ended(lab, fault)
    assert lab.ssh(NODE, f"systemctl is-active {units}").stdout == before


def test_a_service_that_hangs(lab: DefaultLab) -> None:
    lab.say(NODE, "systemctl start virtlogd.service")
    frozen = "grep -c '^frozen 1' /sys/fs/cgroup/system.slice/virtlogd.service/cgroup.events || true"
    fault = inject(lab, "service_freeze", service="virtlogd")
    assert number(lab, frozen) == 1
    ended(lab, fault)
    assert number(lab, frozen) == 0


def test_a_service_that_dies_while_it_hangs_runs_again(lab: DefaultLab) -> None:
    """Its supervisor notices that it hangs, for example, and kills it."""
    lab.say(NODE, "systemctl start virtlogd.service")
    fault = inject(lab, "service_freeze", service="virtlogd")
    lab.say(NODE, "echo 1 >/sys/fs/cgroup/system.slice/virtlogd.service/cgroup.kill")
    ended(lab, fault)
    lab.say(NODE, "systemctl start virtlogd.service")
    assert lab.ssh(NODE, "systemctl is-active virtlogd.service").stdout.split() == [b"active"]
