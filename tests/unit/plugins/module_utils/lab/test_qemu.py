# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import Disk, NodePlan, Tap, qemu
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.qemu import Qemu, kvm_boots

NODE = NodePlan(
    name="a-r1",
    kind="router",
    memory_mb=256,
    cpus=2,
    taps=(Tap("t024dac1f0001", "mgmt0", "02:4d:ac:1f:00:01", "mgmt", 1500),),
    management="172.31.0.1",
    files={},
    disks=(Disk("disk1", 4096),),
)
APPEND = (
    f"root=/dev/vda rw console=ttyS0 net.ifnames=0 systemd.machine_id={NODE.machine_id} systemd.hostname=a-r1 "
    "systemd.show_status=0 quiet"
)


@pytest.mark.parametrize(("accelerator", "cpu"), [("kvm", "host"), ("tcg", "max")])
def test_command_line(accelerator: str, cpu: str) -> None:
    assert Qemu(Path("/cache/1f2e"), accelerator).command(NODE, Path("/lab/nodes/a-r1")) == [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", f"q35,accel={accelerator}", "-cpu", cpu,
        "-kernel", "/cache/1f2e/qemu/vmlinuz", "-initrd", "/cache/1f2e/qemu/initrd",
        "-m", "256", "-smp", "2", "-append", APPEND,
        "-drive", "file=/lab/nodes/a-r1/disk,format=qcow2,backing.file.locking=off,if=none,id=root",
        "-device", "virtio-blk-pci,drive=root,serial=root",
        "-drive", "file=/lab/nodes/a-r1/seed,format=raw,if=none,id=seed",
        "-device", "virtio-blk-pci,drive=seed,serial=seed",
        "-drive", "file=/lab/nodes/a-r1/disk1.raw,format=raw,if=none,id=disk1",
        "-device", "virtio-blk-pci,drive=disk1,serial=disk1",
        "-serial", "stdio", "-qmp", "unix:/lab/nodes/a-r1/qmp,server=on,wait=off",
        "-netdev", "tap,id=n0,ifname=t024dac1f0001,script=no,downscript=no",
        "-device", "virtio-net-pci,netdev=n0,mac=02:4d:ac:1f:00:01,romfile=",
    ]  # fmt: skip


def test_the_disk_is_copy_on_write() -> None:
    assert Qemu(Path("/cache/1f2e"), "tcg").prepare(NODE, Path("/lab/nodes/a-r1")) == [
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/cache/1f2e/root.raw", "/lab/nodes/a-r1/disk"]
    ]


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", "")
    assert Qemu(Path("image"), "tcg").missing() == [
        "qemu-system-x86_64 is missing: install qemu-system-x86",
        "qemu-img is missing: install qemu-utils",
        "the node image is for x86_64, this machine is riscv64",
    ]


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of a fake emulator, first in `PATH`, on a machine whose `/dev/kvm` can be opened."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    return tmp_path / "qemu-system-x86_64"


@pytest.mark.parametrize(
    ("script", "boots"),
    [
        ("echo okiagari-probe-booted", True),
        ("echo 'Could not access KVM kernel module' >&2; exit 1", False),
        ("exec sleep 20", False),
    ],
)
def test_kvm_is_believed_when_a_kernel_speaks(
    emulator: Path, monkeypatch: pytest.MonkeyPatch, script: str, boots: bool
) -> None:
    monkeypatch.setattr(qemu, "_PROBE_SECONDS", 1)
    emulator.write_text(f"#!/bin/sh\n{script}\n")
    emulator.chmod(0o755)
    assert kvm_boots(Path("image")) is boots


def test_no_emulator_no_kvm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not kvm_boots(Path("image"))
