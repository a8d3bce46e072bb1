# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests captured while they run, and begun again; beside other ways to save a state, in one run.

For each guest and load there is a table with a line a way: how long the guest stands still, by QEMU's own events, and
how long it says nothing, as somebody outside sees it; what one capture takes, ships and costs of processors, QEMU's
part included; what the guest gets done meanwhile; and how soon one that is begun again gives its first answer. Then
come the aims, and all figures as JSON. Needs no lab.

All of it takes some ten minutes, 8 GB of memory and 12 GB of the disk; the options have it measure a part.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / ".collections"))

import captures
import numpy as np
import virsh
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import pages
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import BACKGROUND, WAYS
from ansible_collections.okiagari.testbed.plugins.module_utils.suggest import nearest
from figures import Row, judged, row, show
from guests import KINDS, MIB, Ticking, absent
from loads import LOADS, Load, writer
from rivals import RIVALS
from side_by_side import CACHED, SHIPPED, STILL, UNCACHED, Line, show_lines

MEMORY = (512, 1024, 2048)
MOST_MIB = 3072
"""What a PC has below the gap for its devices; the guest that ticks would find nothing there."""
WRITERS = (10, 50, 200)
EPOCHS = 10
QEMU = "qemu-system-x86_64"
VIRSH = "virsh"
SCANNED_MIB = 1024
STILL_MS, STILL_AT_MIB = 50.0, 1024
RESTORED_MS = 500.0
BESIDE_MIB = 64
IDLE, IDLE_SHARE = ("idle", "linux"), 1 / 1000
_MEMORY_TIMES, _DISK_TIMES, _MORE_MIB = 4, 6, 512
"""So much of both is needed, in sizes of the guest, and beside that."""


def main() -> int:
    asked = _asked()
    if asked.qemu:
        os.environ["PATH"] = os.pathsep.join((str(asked.qemu.parent), os.environ["PATH"]))
    rows, lines = [difference_engine()], list[Line]()
    for mib in asked.memory:
        outcomes: dict[str, captures.Outcome] = {}
        for kind in KINDS:
            order = captures.Order(
                mib, kind, tuple(load for load in asked.loads if load.kind == kind), asked.epochs,
                tuple(name for name in asked.rivals if name in RIVALS), asked.accelerator, asked.folder,
            )  # fmt: skip
            if not order.loads:
                continue
            if why := absent(kind, mib) or _no_room(order):
                lines += [Line(mib, load.name, "all ways", load.unit, why) for load in order.loads]
                continue
            outcomes[kind] = _in_its_own_process(order)
            lines += outcomes[kind].lines
            if kind == Ticking.name and VIRSH in asked.rivals:
                lines += virsh.measure(order)
        rows += [each for kind, outcome in outcomes.items() for each in aims(mib, kind, outcome)]
    names = [load.name for load in asked.loads]
    show_lines(sorted(lines, key=lambda line: (line.mib, names.index(line.load))))
    print(f"\nn is how often; of so few the 99th percentile is nearly the longest. Files are in {asked.folder}.")
    print(subprocess.run([QEMU, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0])
    show(rows, [each for line in lines for each in line.rows()])
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
    return judged(row("difference engine", "GB/s", rates, 2.0), "median", least=True)


def aims(mib: int, kind: str, outcome: captures.Outcome) -> list[Row]:
    """Give what was aimed at, and what the guest came to."""
    rows = []
    for line in outcome.lines:
        if line.way == BACKGROUND and STILL in line.values:
            aim = STILL_MS if mib == STILL_AT_MIB else None
            rows.append(judged(line.row(STILL, aim), "p99"))
            if line.load in IDLE:
                rows.append(judged(line.row(SHIPPED, outcome.state_kib * IDLE_SHARE), "median"))
        rows += [
            judged(line.row(figure, RESTORED_MS), "median")
            for figure in (CACHED, UNCACHED)
            if figure in line.values and line.way in WAYS
        ]
    of = f"{mib} MiB, {kind}"
    return [
        *rows,
        row(f"{of}: a successor's mirrors, after that", "ms", outcome.mirrored_ms, None),
        row(f"{of}: first pack, took", "ms", [outcome.first.took_ms], None),
        row(f"{of}: first pack", "KiB", [outcome.first.shipped_kib], None),
        judged(
            row(f"{of}: memory of the capturer", "MiB", [outcome.memory_mib], outcome.image_mib + BESIDE_MIB), "max"
        ),
    ]


def _in_its_own_process(order: captures.Order) -> captures.Outcome:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(captures.measure, order).result()


def _no_room(order: captures.Order) -> str:
    """Say what this machine has too little of for an order."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    memory, disk = int(lines["MemAvailable"].split()[0]) // 1024, shutil.disk_usage(order.folder).free // MIB
    wanted = _MEMORY_TIMES * order.mib + _MORE_MIB, _DISK_TIMES * order.mib + _MORE_MIB
    short = [
        f"{need} MiB of {what}, and there are {there}"
        for what, need, there in (("memory", wanted[0], memory), (f"{order.folder}", wanted[1], disk))
        if there < need
    ]
    return f"it needs {'; '.join(short)}" if short else ""


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=_mib, nargs="+", default=MEMORY, metavar="MIB", help="of the guests")
    parser.add_argument(
        "--loads", type=_load, nargs="+", metavar="LOAD", default=[*LOADS.values(), *map(writer, WRITERS)],
        help=f"what guests do: {', '.join(LOADS)}, or a number, so many MB/s written to memory",
    )  # fmt: skip
    parser.add_argument("--epochs", type=_number, default=EPOCHS, help="captures of each load in each way")
    parser.add_argument(
        "--rivals", nargs="*", choices=(*RIVALS, VIRSH), default=(*RIVALS, VIRSH), help="other ways; none, if empty"
    )
    parser.add_argument("--accelerator", choices=("tcg", "kvm"), default="tcg", help="QEMU's")
    parser.add_argument(
        "--qemu", type=_qemu, metavar="PROGRAM", help=f"another {QEMU} than the first in $PATH; qemu-img is beside it"
    )
    parser.add_argument("--folder", type=_folder, default=Path("/var/tmp"), help="where files are, best on a disk")
    return parser.parse_args()


def _number(said: str) -> int:
    if not said.isdecimal() or not int(said):
        raise argparse.ArgumentTypeError(f"{said!r} is no number above 0")
    return int(said)


def _mib(said: str) -> int:
    mib = _number(said)
    if not Ticking.least_mib <= mib <= MOST_MIB or mib % 4:
        raise argparse.ArgumentTypeError(f"{mib} is no multiple of 4 from {Ticking.least_mib} to {MOST_MIB}")
    return mib


def _load(said: str) -> Load:
    if said in LOADS:
        return LOADS[said]
    if said.isdecimal() and int(said):
        return writer(int(said))
    near = nearest(said, LOADS)
    hint = f"; did you mean {near}?" if near else ""
    raise argparse.ArgumentTypeError(f"{said!r} is no load: {', '.join(LOADS)}, or a number of MB/s{hint}")


def _qemu(said: str) -> Path:
    path = Path(said).absolute()
    if path.name != QEMU or not os.access(path, os.X_OK):
        raise argparse.ArgumentTypeError(f"{said} is no program {QEMU}")
    return path


def _folder(said: str) -> Path:
    if not Path(said).is_dir():
        raise argparse.ArgumentTypeError(f"{said} is no folder")
    return Path(said)


if __name__ == "__main__":
    sys.exit(main())
