# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt says of a domain: which disks are captured with it, what can't be, and what it is begun by. Pure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, NamedTuple

from ..errors import OkiagariError
from ..libvirt.definition import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAMESPACE = "urn:okiagari:domain:1"
_MARK = f"{{{NAMESPACE}}}restored"
_IMAGE = re.compile(r"[a-z0-9][a-z0-9_-]{0,21}")
# What a guest has beside its memory and disks, and nobody can capture.
_FOREIGN = {
    "devices/hostdev": "a device of the host",
    "devices/filesystem": "a file system that it shares with the host",
    "devices/tpm": "a TPM",
    "devices/shmem": "memory that it shares with others",
    "devices/memory": "memory modules",
    "devices/vsock": "a socket to the host (vsock)",
    "os/nvram": "firmware with variables of its own (UEFI)",
    "launchSecurity": "memory that is encrypted",
}


_KINDS = {
    "shareable": "is shared with other guests",
    "transient": "is lost with it",
    "mirror": "is being copied: wait for that, or end it (virsh blockjob)",
    "encryption": "is encrypted: its image here would not be",
    "source/encryption": "is encrypted: its image here would not be",
}


class Disk(NamedTuple):
    """A disk that a domain writes to: the device that it sees (vda), libvirt's alias of that, its image's format."""

    target: str
    alias: str
    format: str


class Image(NamedTuple):
    """The file that a disk is, and its format."""

    path: Path
    format: str


class Domain(NamedTuple):
    """A domain: its `definition` is what another libvirt begins it by, with the secrets that it has."""

    name: str
    uuid: str
    disks: tuple[Disk, ...]
    definition: str


def domain(live: str, definition: str) -> Domain:
    """Read a running domain; raise `OkiagariError` with all that keeps it from being captured."""
    tree = parse(live)
    name, uuid = tree.findtext("name") or "", tree.findtext("uuid") or ""
    wrong = list(_obstacles(tree))
    if wrong:
        raise OkiagariError(f"{name} can't be captured: it has {'; '.join(wrong)}")
    disks = tuple(
        Disk(_target(disk), _of(disk, "alias", "name"), _of(disk, "driver", "type") or "raw")
        for disk in tree.findall("devices/disk")
        if _is_written(disk)
    )
    return Domain(name, uuid, disks, definition)


def same_devices(one: str, other: str) -> bool:
    """Say whether two definitions of a domain are the same but for the memory that its balloon leaves it."""
    return _without_balloon(one) == _without_balloon(other)


def read_only(definition: str) -> list[str]:
    """Give the files that a domain reads only: they aren't captured, and have to be there where it goes on."""
    tree = parse(definition)
    media = [disk.find("source") for disk in tree.findall("devices/disk") if not _is_written(disk)]
    words = [tree.findtext(f"os/{tag}") or "" for tag in ("kernel", "initrd")]
    return [path for path in (*words, *(source.get("file", "") for source in media if source is not None)) if path]


def beginning(definition: str, images: Mapping[str, Image], epoch: int, root: str) -> str:
    """Give what a domain is begun by whose disks are these images now; it says itself from where it goes on."""
    tree = with_images(definition, images)
    metadata = tree.find("metadata")
    if metadata is None:
        metadata = ET.SubElement(tree, "metadata")
    ET.SubElement(metadata, _MARK, epoch=str(epoch), root=root)
    return written(tree)


def with_images(definition: str, images: Mapping[str, Image]) -> ET.Element:
    """Give a definition with these images for disks, and nothing that says that it was restored."""
    tree = parse(definition)
    for disk in tree.findall("devices/disk"):
        if (target := _target(disk)) in images:
            _lie_on(disk, images[target])
    metadata = tree.find("metadata")
    if metadata is not None:
        for mark in metadata.findall(_MARK):
            metadata.remove(mark)
        if not len(metadata):
            tree.remove(metadata)
    return tree


def written(tree: ET.Element) -> str:
    """Give a tree as text."""
    ET.register_namespace("okiagari-domain", NAMESPACE)
    return ET.tostring(tree, encoding="unicode")


def restored_from(live: str) -> tuple[int, str] | None:
    """Give the epoch and the state's root from which a running domain was begun; None for one that booted."""
    mark = parse(live).find(f"metadata/{_MARK}")
    return None if mark is None else (int(mark.get("epoch", "0")), mark.get("root", ""))


def _without_balloon(definition: str) -> str:
    tree = parse(definition)
    for memory in tree.findall("currentMemory"):
        memory.text = None
    return written(tree)


def _lie_on(disk: ET.Element, image: Image) -> None:
    disk.set("type", "file")
    for tag in ("source", "backingStore", "mirror", "auth"):
        for child in disk.findall(tag):
            disk.remove(child)
    driver = disk.find("driver")
    if driver is None:
        driver = ET.Element("driver", name="qemu")
        disk.insert(0, driver)
    driver.set("type", image.format)
    ET.SubElement(disk, "source", file=str(image.path))


def _obstacles(tree: ET.Element) -> Iterator[str]:
    if tree.get("type") not in ("kvm", "qemu"):
        yield f"the type {tree.get('type')}, and QEMU isn't what runs it"
    for place, what in _FOREIGN.items():
        if tree.find(place) is not None:
            yield what
    for card in tree.findall("devices/interface"):
        if card.get("type") in ("vhostuser", "hostdev", "vdpa"):
            yield f"a network card of the type {card.get('type')}"
    for disk in tree.findall("devices/disk"):
        yield from _obstacles_of(disk, _target(disk))


def _obstacles_of(disk: ET.Element, target: str) -> Iterator[str]:
    if not _is_written(disk):
        if disk.get("device") == "floppy" and disk.find("readonly") is None and disk.find("source") is not None:
            yield f"the floppy disk {target}, which it may write to"
        return
    if not _IMAGE.fullmatch(target):
        yield f"a disk of the name {target}"
    if disk.get("device") == "lun" or disk.get("type") == "vhostuser":
        yield f"the disk {target}, which is a device of the host"
    for tag, what in _KINDS.items():
        if disk.find(tag) is not None:
            yield f"the disk {target}, which {what}"


def _is_written(disk: ET.Element) -> bool:
    return disk.get("device", "disk") in ("disk", "lun") and disk.find("readonly") is None


def _target(disk: ET.Element) -> str:
    return _of(disk, "target", "dev")


def _of(element: ET.Element, tag: str, attribute: str) -> str:
    child = element.find(tag)
    return "" if child is None else child.get(attribute, "")
