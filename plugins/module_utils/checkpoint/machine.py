# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest as people describe it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..values import Shape

SHAPE: dict[str, Shape] = {
    "memory": int, "disks": {"*": {"image": str, "format?": str}}, "arguments?": [str], "cpus?": int,
    "accelerator?": str,
}  # fmt: skip


@dataclass(frozen=True)
class Disk:
    """A disk as the guest finds it at its first boot: an image file, and its format as QEMU calls it."""

    image: Path
    format: str = "raw"


@dataclass(frozen=True)
class Machine:
    """A guest: its memory in MiB, virtual processors, disks by name, and further arguments of QEMU, its network say."""

    memory: int
    disks: Mapping[str, Disk]
    arguments: tuple[str, ...] = ()
    cpus: int = 1
    accelerator: str = "kvm:tcg"


def machine(said: Mapping[str, Any]) -> Machine:
    """Give the machine that a mapping of this shape describes."""
    disks = {
        name: Disk(Path(disk["image"]), **({"format": disk["format"]} if "format" in disk else {}))
        for name, disk in said["disks"].items()
    }
    rest = {key: said[key] for key in ("cpus", "accelerator") if key in said}
    return Machine(said["memory"], disks, tuple(said.get("arguments", ())), **rest)
