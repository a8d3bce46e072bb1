# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests that the bench of checkpoints captures: one that ticks and writes, and a Linux that serves.

`Ticking` needs no operating system: 299 bytes of a boot sector. It fills a quarter of its memory with numbers that
nothing compresses, says a byte over its serial port 250 times a second, and rewrites these pages one after the other,
as many in a second as it is told. `Linux` is the lab's tiny guest, whose web server has on its disk what it answers;
most of its memory isn't used.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import yaml
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.machine import Disk, Machine
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.machine import LEAST_MEMORY_MIB, Network
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.seed import seed
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory, recipe_hash

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Monitor

MIB = 1024 * 1024
MB = 1_000_000
PAGE = 4096
TICKS_PER_S = 250
_ROLE = Path(__file__).parents[2] / "roles" / "guest_image"
_TEMPLATE = "ansible localhost -m include_role -a name=okiagari.testbed.guest_image"
_FROM = 16 * MIB
_WRITTEN = 0x8000
_CODE = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007c"  # cli; ax = ds = es = ss = 0; sp = 0x7c00
    "bf0080b91000f3ab"  # 32 zeros from 0x8000 on, where its variables are
    "0f01160d7d"  # lgdt [0x7d0d]
    "0f20c00c010f22c0bb08008ee324fe0f22c0"  # protected mode; fs = all 4 GiB; real mode again, and fs stays so
    "668b3e237d66893e1480"  # edi = [0x8014], the next page to write to = [0x7d23], the first one
    "e85c00"  # fill: call page
    "663b3e277d72f6"  # if edi < [0x7d27], where the last one ends, go to fill
    "c7062000b87cc70622000000"  # the timer's interrupt goes to tick
    "b034e643b8a512e64088e0e640"  # 250 times a second
    "b0fee621fb"  # no other interrupt; sti
    "66813e0480001000007303"  # main: if [0x8004], the bytes that are due, is 4096 or more, go to write
    "f4ebf2"  # hlt, until the next tick; go to main
    "66812e048000100000"  # write: [0x8004] -= 4096
    "668b3e1480e81800"  # edi = [0x8014]; call page
    "663b3e277d7205668b3e237d"  # if edi has come to [0x7d27], begin with the first page again
    "66893e1480"  # [0x8014] = edi
    "66ff060080ebc9"  # [0x8000], the pages that it has written, += 1; go to main
    "66a11080b90004"  # page: eax = [0x8010], the last number; cx = 1024
    "6669c00d66190066055ff36e3c"  # again: eax = eax * 1664525 + 1013904223
    "64676689076683c704"  # fs:[edi] = eax; edi += 4
    "e2e866a31080c3"  # loop again; [0x8010] = eax; return
    "665052"  # tick: keep eax and dx
    "66a1088066813e04800000000177056601060480"  # [0x8004] += [0x8008], the bytes a tick, unless 16 MiB are due
    "bafd03eca8017428"  # if a byte has come over the serial port,
    "b2f8ec66c12e0c8008a20f80"  # shift it into [0x800c],
    "fe061880f6061880037511"  # and if it is the fourth one,
    "66a10c8066a3088066c706048000000000"  # [0x8008] = [0x800c], and nothing is due
    "baf803b02eee"  # say "."
    "b020e6205a6658cf"  # the interrupt is served; eax and dx are what they were; iret
    "0f00137d0000"  # 0x7d0d: 16 bytes of segments, at 0x7d13
    "0000000000000000ffff000000928f00"
)
_LIMITS = struct.Struct("<2I")  # 0x7d23: the first page, and where the last one ends


class Guest(Protocol):
    """A guest of one kind, in a folder of its own."""

    name: str
    least_mib: int
    folder: Path

    def machine(self) -> Machine: ...

    def watched_by(self) -> list[str]:
        """Give the words of `onlooker.py` for what watches it."""

    def elsewhere(self, folder: Path) -> Guest:
        """Give the same guest in another folder."""

    def replaced(self, other: Guest) -> dict[str, str]:
        """Say what is to be replaced in QEMU's arguments, so that they are those of the other one."""


class Ticking:
    """The guest that ticks and writes."""

    name, least_mib = "ticking", 64

    def __init__(self, folder: Path, mib: int, accelerator: str) -> None:
        self.folder, self._mib, self._accelerator = folder, mib, accelerator

    def machine(self) -> Machine:
        words = ("-serial", f"unix:{self.serial},server=on,wait=off")
        return Machine(self._mib, {"root": Disk(self.disk())}, words, accelerator=self._accelerator)

    def disk(self) -> Path:
        """Give the disk that it boots from, which nobody writes to."""
        path = self.folder.parent / "ticking.disk"
        if not path.exists():
            limits = _LIMITS.pack(_FROM, _FROM + self._mib * MIB // 4)
            path.write_bytes((_CODE + limits).ljust(510, b"\0") + b"\x55\xaa" + bytes(MIB - 512))
        return path

    def watched_by(self) -> list[str]:
        return ["ticks", self.serial]

    def elsewhere(self, folder: Path) -> Ticking:
        return Ticking(folder, self._mib, self._accelerator)

    def replaced(self, other: Guest) -> dict[str, str]:
        assert isinstance(other, Ticking)
        return {str(self.folder): str(other.folder)}

    @property
    def serial(self) -> str:
        return str(self.folder / "serial")


class Linux:
    """The lab's tiny guest, whose web server is at a port of this machine."""

    name, least_mib = "linux", max(128, LEAST_MEMORY_MIB)
    _mac, _address, _gateway = "02:00:00:00:00:01", "10.0.2.15", "10.0.2.2"

    def __init__(self, folder: Path, mib: int, accelerator: str) -> None:
        self.folder, self._mib, self._accelerator = folder, mib, accelerator
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]

    def machine(self) -> Machine:
        card = Network("web", "none", self._mac, f"{self._address}/24", self._gateway)
        ports = f"hostfwd=tcp:127.0.0.1:{self._port}-{self._address}:8000"
        words = ("-netdev", f"user,id=web,restrict=on,{ports}")
        device = ("-device", f"virtio-net-pci,netdev=web,mac={self._mac},romfile=")
        return Machine(
            self._mib, {}, words + device, accelerator=self._accelerator, template=template(),
            seed=seed("bench", [card], ()),
        )  # fmt: skip

    def watched_by(self) -> list[str]:
        return ["web", str(self._port)]

    def elsewhere(self, folder: Path) -> Linux:
        return Linux(folder, self._mib, self._accelerator)

    def replaced(self, other: Guest) -> dict[str, str]:
        assert isinstance(other, Linux)
        return {str(self.folder): str(other.folder), f":{self._port}-": f":{other._port}-"}


KINDS: dict[str, type[Ticking | Linux]] = {kind.name: kind for kind in (Ticking, Linux)}


def template() -> Path:
    """Give where the tiny guest's template is, in the cache of images."""
    said = yaml.safe_load((_ROLE / "defaults" / "main.yml").read_text())
    options = {key: said[f"guest_image_{key}"] for key in ("mirror", "suite")}
    return cache_directory(os.environ) / recipe_hash(_ROLE / "files", options)


def absent(kind: str, mib: int) -> str:
    """Say why there can be no guest of this kind with so much memory here; nothing if there can be."""
    if mib < KINDS[kind].least_mib:
        return f"it needs {KINDS[kind].least_mib} MiB"
    if kind == Linux.name and not template().is_dir():
        return f"its template isn't built yet: {_TEMPLATE}"
    return ""


def told(rate: int) -> bytes:
    """Give what the guest that ticks is told, so that it writes so many bytes a second."""
    return struct.pack("<I", rate // TICKS_PER_S)


def written(monitor: Monitor) -> int:
    """Give how many bytes the guest that ticks has written so far, by its own count."""
    said = monitor.execute("human-monitor-command", command_line=f"xp /1wx {_WRITTEN:#x}")
    return int(said.split()[1], 16) * PAGE
