# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`virsh save` and `virsh restore`: libvirt ends the guest that ticks when its state is in a file, and begins it again.

The guest is one of a libvirt of the bench's own, which needs no rights, and has the disk, the memory and the serial
port of the others. It stands still until it is restored, in the same minute here.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.tests.contract.real_libvirt import RealLibvirt
from captures import ROUNDS
from costs import drop
from guests import Ticking, told
from onlooker import Onlooker
from side_by_side import CACHED, SHIPPED, STILL, TOOK, UNCACHED, Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from captures import Order

NAME = "virsh save"
_NEEDED = ("libvirtd", "virsh", "setpriv")
_DOMAIN = """\
<domain type="{type}">
 <name>{name}</name>
 <memory unit="MiB">{mib}</memory>
 <os><type arch="x86_64" machine="pc">hvm</type></os>
 <features><acpi/></features>
 <devices>
  <emulator>{qemu}</emulator>
  <disk type="file"><driver name="qemu" type="raw"/><source file="{disk}"/><target dev="vda" bus="virtio"/></disk>
  <serial type="unix"><source mode="bind" path="{serial}"/></serial>
  <controller type="usb" model="none"/>
  <memballoon model="none"/>
 </devices>
</domain>
"""


def measure(order: Order) -> list[Line]:
    """Measure loads of the guest that ticks, of which an order says how large it is."""
    lines = [Line(order.mib, load.name, NAME, load.unit) for load in order.loads]
    if missing := [name for name in _NEEDED if not shutil.which(name)]:
        return [replace(line, why=f"there is no {missing[0]} here") for line in lines]
    with RealLibvirt(watched=False) as libvirt:
        guest = Ticking(libvirt.made("guest"), order.mib, order.accelerator)
        with _domain(order, libvirt, guest) as domain, Onlooker(guest.watched_by()) as onlooker:
            onlooker.first()
            for line, load in zip(lines, order.loads, strict=True):
                onlooker.say(told(load.rate))
                _save_and_restore(line, libvirt, domain, guest.folder / "state", onlooker)
    return lines


def _save_and_restore(line: Line, libvirt: RealLibvirt, domain: str, state: Path, onlooker: Onlooker) -> None:
    for figure in [CACHED] * ROUNDS + [UNCACHED] * ROUNDS:
        begun = time.monotonic()
        libvirt.virsh("save", domain, str(state))
        saved = time.monotonic()
        why = drop([state]) if figure == UNCACHED else ""
        onlooker.look()
        restores = time.monotonic()
        libvirt.virsh("restore", str(state))
        answered = onlooker.again()
        if not why:
            line.note(figure, 1000 * (answered - restores))
        line.note(STILL, 1000 * (answered - restores + saved - begun))
        line.note(TOOK, 1000 * (saved - begun))
        line.note(SHIPPED, state.stat().st_size / 1024)
        state.unlink()


@contextmanager
def _domain(order: Order, libvirt: RealLibvirt, guest: Ticking) -> Iterator[str]:
    """Have the guest run, and give its name."""
    name = f"okiagari-bench-{os.getpid()}"
    kind = {"tcg": "qemu"}.get(order.accelerator, order.accelerator)
    description = guest.folder / "domain.xml"
    disk = guest.disk()
    libvirt.own(disk)
    description.write_text(
        _DOMAIN.format(
            type=kind, name=name, mib=order.mib, qemu=shutil.which("qemu-system-x86_64"), disk=disk,
            serial=guest.serial,
        )
    )  # fmt: skip
    libvirt.virsh("create", str(description))
    try:
        yield name
    finally:
        libvirt.virsh("destroy", name)
