# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import platform
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.lab import Disk, NodePlan, Tap
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.uml import Uml

if TYPE_CHECKING:
    import pytest

NODE = NodePlan(
    name="a-r1",
    kind="router",
    memory_mb=256,
    cpus=1,
    taps=(
        Tap("t024dac1f0001", "mgmt0", "02:4d:ac:1f:00:01", "mgmt", 1500),
        Tap("t020200000000", "w-x", "02:02:00:00:00:00", "b-a-x", 1600),
    ),
    management="172.31.0.1",
    files={},
    disks=(Disk("disk1", 4096), Disk("disk2", 64)),
)


def test_command_line() -> None:
    assert Uml(Path("/cache/1f2e")).command(NODE, Path("/lab/nodes/a-r1")) == [
        "/lab/nodes/a-r1/linux",
        "ubd0=/lab/nodes/a-r1/disk,/cache/1f2e/root.raw",
        "ubd1=/lab/nodes/a-r1/seed",
        "ubd2=/lab/nodes/a-r1/disk1.raw",
        "ubd3=/lab/nodes/a-r1/disk2.raw",
        "root=/dev/ubda",
        "rw",
        "mem=256M",
        "con=null",
        "con0=null,fd:1",
        "net.ifnames=0",
        "seccomp=on",
        "umid=a-r1",
        "uml_dir=/lab/nodes/a-r1",
        "systemd.machine_id=8f22005457cf2444105d01dbacd8462b",
        "systemd.hostname=a-r1",
        "systemd.show_status=0",
        "quiet",
        "vec0:transport=tap,ifname=t024dac1f0001,mac=02:4d:ac:1f:00:01,mtu=1500,depth=128,gro=1",
        "vec1:transport=tap,ifname=t020200000000,mac=02:02:00:00:00:00,mtu=1600,depth=128,gro=1",
    ]
    assert Uml(Path("/cache/1f2e")).prepare(NODE, Path("/lab/nodes/a-r1")) == []


def test_further_disks_have_the_names_of_virtio_ones() -> None:
    assert Uml(Path("image")).files(NODE) == {
        "etc/udev/rules.d/60-okiagari-disks.rules": (
            'KERNEL=="ubdc", SYMLINK+="disk/by-id/virtio-disk1"\nKERNEL=="ubdd", SYMLINK+="disk/by-id/virtio-disk2"\n'
        )
    }
    assert Uml(Path("image")).files(replace(NODE, disks=())) == {}


def test_the_starter_closes_files_forgets_the_last_run_and_keeps_its_name(tmp_path: Path) -> None:
    image = tmp_path / "an image"
    (image / "uml").mkdir(parents=True)
    kernel = image / "uml" / "linux"
    kernel.write_text('#!/bin/bash\nreadlink /proc/$$/fd/9; echo "$@"\n')
    kernel.chmod(0o755)
    node = tmp_path / "a-r1"
    (node / "a-r1").mkdir(parents=True)
    (node / "a-r1" / "pid").write_text("1\n")
    (script,) = Uml(image).scripts(NODE).items()
    starter = node / script[0]
    starter.write_text(script[1])
    starter.chmod(0o700)
    with_open_tap = ["bash", "-c", 'exec 9< /dev/null "$@"', "bash", str(starter), "quiet", "b c"]
    done = subprocess.run(with_open_tap, capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout == "quiet b c\n"
    assert not (node / "a-r1").exists()


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", "")
    assert Uml(Path("image")).missing() == [
        "User-Mode Linux needs an x86_64 machine, this one is riscv64",
        "nsenter is missing: install util-linux",
    ]
