# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU: with KVM where KVM really works, else by translation (TCG), which is many times slower."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from typing import TYPE_CHECKING

from .provider import Provider

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .plan import NodePlan

_EMULATOR = "qemu-system-x86_64"
_PROBE_SECONDS = 8
_PROBE_MARK = b"okiagari-probe-booted"


class Qemu(Provider):
    """Nodes under QEMU, copy-on-write over the image. `accelerator` is `kvm` or `tcg`."""

    name = "qemu"

    def __init__(self, image: Path, accelerator: str) -> None:
        super().__init__(image)
        self.accelerator = accelerator

    def missing(self) -> list[str]:
        lacks = [
            f"{program} is missing: install {package}"
            for program, package in ((_EMULATOR, "qemu-system-x86"), ("qemu-img", "qemu-utils"))
            if shutil.which(program) is None
        ]
        if platform.machine() != "x86_64":
            lacks.append(f"the node image is for x86_64, this machine is {platform.machine()}")
        return lacks

    def prepare(self, node: NodePlan, directory: Path) -> list[Sequence[str]]:  # noqa: ARG002
        base = str(self.image / "root.raw")
        return [["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, str(directory / "disk")]]

    def command(self, node: NodePlan, directory: Path) -> list[str]:
        network = []
        for index, tap in enumerate(node.taps):
            network += ["-netdev", f"tap,id=n{index},ifname={tap.name},script=no,downscript=no"]
            network += ["-device", f"virtio-net-pci,netdev=n{index},mac={tap.mac},romfile="]
        kernel = f"root=/dev/vda rw console=ttyS0 net.ifnames=0 systemd.machine_id={node.machine_id}"
        return [
            *_machine(self.accelerator, self.image),
            "-m",
            str(node.memory_mb),
            "-smp",
            str(node.cpus),
            "-append",
            f"{kernel} systemd.hostname={node.name} systemd.show_status=0 quiet",
            # Nobody writes to the image, and QEMU's locks on it don't agree with those of User-Mode Linux.
            *_disk("root", f"file={directory / 'disk'},format=qcow2,backing.file.locking=off"),
            *_disk("seed", f"file={directory / 'seed'},format=raw"),
            *(word for disk in node.disks for word in _disk(disk.name, f"file={directory / disk.name}.raw,format=raw")),
            "-serial",
            "stdio",
            "-qmp",
            f"unix:{directory / 'qmp'},server=on,wait=off",
            *network,
        ]


def kvm_boots(image: Path) -> bool:
    """Boot the image's kernel under KVM and see it say so. That `/dev/kvm` exists proves nothing."""
    if shutil.which(_EMULATOR) is None or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    probe = [*_machine("kvm", image, image / "qemu" / "probe.cpio"), "-m", "256", "-serial", "stdio"]
    try:
        done = subprocess.run(
            [*probe, "-append", "console=ttyS0 panic=-1 quiet"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return _PROBE_MARK in done.stdout


def _disk(name: str, drive: str) -> list[str]:
    """The guest sees the disks in this order, and each as `/dev/disk/by-id/virtio-NAME`."""
    return ["-drive", f"{drive},if=none,id={name}", "-device", f"virtio-blk-pci,drive={name},serial={name}"]


def _machine(accelerator: str, image: Path, initrd: Path | None = None) -> list[str]:
    cpu = "host" if accelerator == "kvm" else "max"
    return [
        _EMULATOR,
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-machine",
        f"q35,accel={accelerator}",
        "-cpu",
        cpu,
        "-kernel",
        str(image / "qemu" / "vmlinuz"),
        "-initrd",
        str(initrd or image / "qemu" / "initrd"),
    ]
