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

from ..guest.machine import read_network
from ..guest.seed import seed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..errors import Problem
    from ..guest.machine import Network
    from ..values import Shape

SHAPE: dict[str, Shape] = {
    "memory": int, "template?": str, "disks?": {"*": {"image": str, "format?": str}},
    "networks?": {
        "*": {"bridge?": str, "routed?": bool, "mac?": str, "address?": str, "gateway?": str, "mtu?": int}
    },
    "authorized_keys?": [str], "arguments?": [str], "cpus?": int, "accelerator?": str, "type?": str,
}  # fmt: skip
# QEMU's names of nodes have 31 characters at most, and ours begin with 14 others.
_NAME = re.compile("[a-z0-9][a-z0-9-]{0,15}")
TYPE = re.compile("[a-z0-9][a-z0-9.-]{0,63}")
"""A machine type as QEMU calls it; a comma would begin something else."""


@dataclass(frozen=True)
class Disk:
    """A disk as the guest finds it at its first boot: an image file, and its format as QEMU calls it."""

    image: Path
    format: str = "raw"


@dataclass(frozen=True)
class Machine:
    """A guest: its memory in MiB, virtual processors, disks and networks by name, and further arguments of QEMU.

    `template` is a folder of the host, from which it has its first disk, its kernel and its chipset; `seed` is a disk
    that tells it who it is. A guest's own MAC addresses are the same wherever it runs. `type` is QEMU's machine type in
    its first boot, the template's if there is none; of that it keeps the version for good.
    """

    memory: int
    disks: Mapping[str, Disk]
    arguments: tuple[str, ...] = ()
    cpus: int = 1
    accelerator: str = "kvm:tcg"
    networks: Mapping[str, Network] = field(default_factory=dict)
    template: Path | None = None
    seed: bytes = b""
    type: str = ""


def machine(service: str, said: Mapping[str, Any]) -> Machine:
    """Give the machine of a service that a mapping of this shape, without flaws, describes."""
    disks = {
        name: Disk(Path(disk["image"]), **({"format": disk["format"]} if "format" in disk else {}))
        for name, disk in said.get("disks", {}).items()
    }
    networks = {name: _network(service, name, network, []) for name, network in said.get("networks", {}).items()}
    keys = said.get("authorized_keys", ())
    told = "template" in said or keys or any(network.address for network in networks.values())
    return Machine(
        said["memory"],
        disks,
        tuple(said.get("arguments", ())),
        networks=networks,
        template=Path(said["template"]) if "template" in said else None,
        seed=seed(service, networks.values(), keys) if told else b"",
        **{key: said[key] for key in ("cpus", "accelerator", "type") if key in said},
    )


def flaws(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what is wrong in a mapping of this shape: the key, and why."""
    if said["memory"] < 1:
        yield "memory", "is less than 1 MiB"
    if not said.get("disks") and "template" not in said:
        yield "disks", "is empty: give the image of a disk, or a template"
    if not TYPE.fullmatch(said.get("type", "pc")):
        yield "type", "is no machine type: take one that qemu-system-x86_64 -machine help names"
    for kind in ("disks", "networks"):
        for name in said.get(kind, {}):
            if not _NAME.fullmatch(name):
                yield f"{kind}.{name}", "is no name: take 16 small letters, digits and hyphens at most"
    problems: list[Problem] = []
    for name, network in said.get("networks", {}).items():
        _network("", name, network, problems)
    yield from ((problem.key, problem.message) for problem in problems)


def _network(service: str, name: str, said: Mapping[str, Any], problems: list[Problem]) -> Network:
    return read_network(f"networks.{name}", {"name": name, "mac": _mac(service, name), **said}, problems)


def _mac(service: str, network: str) -> str:
    """Give an address of those that nobody has bought (02:...), the same at all hosts."""
    digest = hashlib.sha256(f"{service}/{network}".encode()).hexdigest()
    return ":".join(["02", *(digest[place : place + 2] for place in range(0, 10, 2))])
