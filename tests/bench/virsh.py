# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`virsh save` and `virsh restore`: libvirt ends the guest that ticks when its state is in a file, and begins it again.

The guest is one of the user's own libvirt (`qemu:///session`), which needs no rights, and has the disk, the memory and
the serial port of the others. It stands still until it is restored, in the same minute here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from captures import ROUNDS
from costs import drop
from guests import Ticking, told
from onlooker import Onlooker
from rivals import made
from side_by_side import CACHED, SHIPPED, STILL, TOOK, UNCACHED, Line
from unpacked import Unavailable, last_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from captures import Order

NAME = "virsh save"
_PATIENCE_S = 300
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
    """Measure loads of the guest that ticks, of which an order says how large it is and where its files are."""
    lines = [Line(order.mib, load.name, NAME, load.unit) for load in order.loads]
    try:
        with TemporaryDirectory(prefix="okiagari-bench-", dir=order.folder) as name:
            folder = Path(name)
            guest = Ticking(made(folder / "guest"), order.mib, order.accelerator)
            with _domain(order, guest) as domain, Onlooker(guest.watched_by()) as onlooker:
                onlooker.first()
                for line, load in zip(lines, order.loads, strict=True):
                    onlooker.say(told(load.rate))
                    _save_and_restore(line, domain, folder / "state", onlooker)
    except Unavailable as error:
        for line in lines:
            line.why = line.why or str(error)
    return lines


def _save_and_restore(line: Line, domain: str, state: Path, onlooker: Onlooker) -> None:
    for figure in [CACHED] * ROUNDS + [UNCACHED] * ROUNDS:
        begun = time.monotonic()
        _virsh("save", domain, str(state))
        saved = time.monotonic()
        why = drop([state]) if figure == UNCACHED else ""
        onlooker.look()
        restores = time.monotonic()
        _virsh("restore", str(state))
        answered = onlooker.again()
        if not why:
            line.note(figure, 1000 * (answered - restores))
        line.note(STILL, 1000 * (answered - restores + saved - begun))
        line.note(TOOK, 1000 * (saved - begun))
        line.note(SHIPPED, state.stat().st_size / 1024)
        state.unlink()


@contextmanager
def _domain(order: Order, guest: Ticking) -> Iterator[str]:
    """Have the guest run, and give its name."""
    if not shutil.which("virsh"):
        raise Unavailable("there is no virsh here")
    name = f"okiagari-bench-{os.getpid()}"
    kind = {"tcg": "qemu"}.get(order.accelerator, order.accelerator)
    description = guest.folder / "domain.xml"
    description.write_text(
        _DOMAIN.format(
            type=kind, name=name, mib=order.mib, qemu=shutil.which("qemu-system-x86_64"), disk=guest.disk(),
            serial=guest.serial,
        )
    )  # fmt: skip
    _virsh("create", str(description))
    try:
        yield name
    finally:
        _virsh("destroy", name)


def _virsh(*words: str) -> None:
    argv = ["virsh", "--quiet", "--connect", "qemu:///session", *words]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_PATIENCE_S)
    if done.returncode:
        raise Unavailable(f"virsh {words[0]} says: {last_line(done.stderr)}")
