# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest as people describe it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..values import Shape

SHAPE: dict[str, Shape] = {
    "memory": int, "disks": {"*": {"image": str, "format?": str}},
    "networks?": {"*": {"bridge": str, "mac?": str}}, "arguments?": [str], "cpus?": int, "accelerator?": str,
}  # fmt: skip
# QEMU's names of nodes have 31 characters at most, and ours begin with 14 others.
_NAME = re.compile("[a-z0-9][a-z0-9-]{0,15}")
_DEVICE = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_UNICAST = re.compile("[0-9a-f][02468ace](:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class Disk:
    """A disk as the guest finds it at its first boot: an image file, and its format as QEMU calls it."""

    image: Path
    format: str = "raw"


@dataclass(frozen=True)
class Network:
    """A guest's interface: the bridge of its host that it is in, and its MAC address, the same wherever it runs."""

    bridge: str
    mac: str


@dataclass(frozen=True)
class Machine:
    """A guest: its memory in MiB, virtual processors, disks and networks by name, and further arguments of QEMU."""

    memory: int
    disks: Mapping[str, Disk]
    arguments: tuple[str, ...] = ()
    cpus: int = 1
    accelerator: str = "kvm:tcg"
    networks: Mapping[str, Network] = field(default_factory=dict)


def machine(service: str, said: Mapping[str, Any]) -> Machine:
    """Give the machine of a service that a mapping of this shape, without flaws, describes."""
    disks = {
        name: Disk(Path(disk["image"]), **({"format": disk["format"]} if "format" in disk else {}))
        for name, disk in said["disks"].items()
    }
    rest = {key: said[key] for key in ("cpus", "accelerator") if key in said}
    networks = {
        name: Network(network["bridge"], network.get("mac", "").lower() or _mac(service, name))
        for name, network in said.get("networks", {}).items()
    }
    return Machine(said["memory"], disks, tuple(said.get("arguments", ())), networks=networks, **rest)


def flaws(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what is wrong in a mapping of this shape: the key, and why."""
    if said["memory"] < 1:
        yield "memory", "is less than 1 MiB"
    for kind in ("disks", "networks"):
        for name in said.get(kind, {}):
            if not _NAME.fullmatch(name):
                yield f"{kind}.{name}", "is no name: take 16 small letters, digits and hyphens at most"
    for name, network in said.get("networks", {}).items():
        if not _DEVICE.fullmatch(network["bridge"]):
            yield f"networks.{name}.bridge", f"{network['bridge']} is no name of a device"
        if not _UNICAST.fullmatch(network.get("mac", "02:00:00:00:00:00").lower()):
            yield f"networks.{name}.mac", f"{network['mac']} is no MAC address of one host, such as 02:00:00:00:00:17"


def _mac(service: str, network: str) -> str:
    """Give an address of those that nobody has bought (02:...), the same at all hosts."""
    digest = hashlib.sha256(f"{service}/{network}".encode()).hexdigest()
    return ":".join(["02", *(digest[place : place + 2] for place in range(0, 10, 2))])
