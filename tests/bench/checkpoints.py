# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest captured while it runs, in both ways, and restored: how long it stands still, and what travels.

The guest is emulated, most of its memory is zero, and it changes a few pages: what is measured is the least that a
capture costs.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2] / ".collections"))

import numpy as np
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import pages
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import (
    BACKGROUND,
    WAYS,
    Memory,
    capture,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.restore import arguments, load
from ansible_collections.okiagari.testbed.tests.contract.counting_guest import Guest, boot_disk
from figures import Row, row, show

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
SIZES_MIB = (512, 1024)
ROUNDS = 20
SCANNED_MIB = 1024


def main() -> int:
    rows = [difference_engine()]
    for size in SIZES_MIB:
        with TemporaryDirectory(dir="/dev/shm") as folder:
            rows += guest(Path(folder), size)
    show(rows)
    return 0


def difference_engine() -> Row:
    """Compare two images of which one page in a thousand differs by a word."""
    old = np.random.default_rng(1).integers(0, 2**63, (SCANNED_MIB * MIB // pages.PAGE, 512), dtype=np.uint64)
    new = old.copy()
    new[::1000, 7] += 1
    rates = []
    for _round in range(5):
        begun = time.monotonic()
        for _block in pages.blocks(old, new):
            pass
        rates.append(SCANNED_MIB * MIB / (time.monotonic() - begun) / 1e9)
    return row("difference engine", "GB/s", rates, 2.0)


def guest(folder: Path, size: int) -> list[Row]:
    """Capture and restore a guest of so many MiB."""
    disk, copy, ram = boot_disk(folder / "disk"), folder / "copy", folder / "ram"
    with ram.open("wb") as file:
        file.truncate(size * MIB)
    rows, memory = [], Memory(size * MIB)
    running = Guest(folder / "guest", disk, size=size * MIB)
    try:
        running.wait_for(3)
        for way in WAYS:
            pauses, totals, shipped = [], [], []
            for _round in range(ROUNDS + 1):
                found: list[tuple[str, bytes]] = []
                with running.monitor() as monitor:
                    took = capture(monitor, memory, way, _into(found), between=lambda: shutil.copy(disk, copy))
                pauses.append(took.pause_ms)
                totals.append(took.total_ms)
                shipped.append(sum(len(said) for _image, said in found) / 1024)
                running.wait_for(1)
            # The first one of all is a full one.
            name = f"{size} MiB, {way}"
            rows += [
                row(f"{name}: stands still", "ms", pauses[1:], 50.0 if way == BACKGROUND else None),
                row(f"{name}: capture", "ms", totals[1:], None),
                row(f"{name}: shipped", "KiB", shipped[1:], size * 1.024),
            ]
    finally:
        running.end()
    ram.write_bytes(memory.images["ram"].image.tobytes())
    devices = memory.images["devices"].image.tobytes()[: memory.devices_bytes]
    times = [restored(folder, size, devices) for _round in range(5)]
    return [*rows, row(f"{size} MiB: restored to first word", "ms", times, 500.0)]


def _into(found: list[tuple[str, bytes]]) -> Callable[[str, bytes], object]:
    return lambda image, said: found.append((image, said))


def restored(folder: Path, size: int, devices: bytes) -> float:
    """Time a guest from the start of QEMU to the first word that it says."""
    begun = time.monotonic()
    again = Guest(folder / "again", folder / "copy", *arguments(folder / "ram", size * MIB), size=size * MIB)
    try:
        with again.monitor() as monitor:
            load(monitor, devices)
            monitor.execute("cont")
        again.wait_for(1)
        return 1000 * (time.monotonic() - begun)
    finally:
        again.end()
        again.path.unlink()


if __name__ == "__main__":
    sys.exit(main())
