# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.definition import (
    Disk,
    Image,
    beginning,
    domain,
    read_only,
    restored_from,
    same_devices,
    with_images,
    written,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.save_image import header
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

DISK = """<disk type="file" device="disk"><driver name="qemu" type="qcow2" cache="none"/><source file="/p/tally.qcow2"/>
<backingStore type="file"><format type="raw"/><source file="/p/template"/></backingStore>
<target dev="vda" bus="virtio"/><alias name="virtio-disk0"/></disk>"""
SEED = """<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="/p/tally.seed"/>
<target dev="vdb" bus="virtio"/><readonly/></disk>"""
NETWORKED = (
    """<disk type="network" device="disk"><source protocol="nbd" name="x"/><target dev="sda" bus="scsi"/></disk>"""
)


def xml(*devices: str, rest: str = "", kind: str = "kvm") -> str:
    return f"""<domain type="{kind}"><name>tally</name><uuid>u-1</uuid><os><type>hvm</type><kernel>/boot/linux</kernel>
</os>{rest}<devices>{"".join(devices)}</devices></domain>"""


def test_a_domain_is_read() -> None:
    found = domain(xml(DISK, SEED, NETWORKED), "<domain/>")
    assert (found.name, found.uuid, found.definition) == ("tally", "u-1", "<domain/>")
    assert found.disks == (Disk("vda", "virtio-disk0", "qcow2"), Disk("sda", "", "raw"))
    assert read_only(xml(DISK, SEED)) == ["/boot/linux", "/p/tally.seed"]


@pytest.mark.parametrize(
    ("description", "why"),
    [
        (xml(kind="lxc"), "the type lxc, and QEMU isn't what runs it"),
        (xml("<hostdev/>"), "a device of the host"),
        (xml("<filesystem/>"), "a file system that it shares with the host"),
        (xml("<tpm/>"), "a TPM"),
        (xml('<interface type="vhostuser"/>'), "a network card of the type vhostuser"),
        (xml(rest="<launchSecurity/>"), "memory that is encrypted"),
        (xml().replace("</os>", "<nvram>/n</nvram></os>"), "firmware with variables of its own (UEFI)"),
        (xml(DISK.replace("</disk>", "<shareable/></disk>")), "the disk vda, which is shared with other guests"),
        (xml(DISK.replace("</disk>", "<mirror/></disk>")), "the disk vda, which is being copied: wait for that"),
        (xml(DISK.replace("</disk>", "<encryption/></disk>")), "the disk vda, which is encrypted"),
        (xml(DISK.replace('device="disk"', 'device="lun"')), "the disk vda, which is a device of the host"),
        (xml(DISK.replace('device="disk"', 'device="floppy"')), "the floppy disk vda, which it may write to"),
        (xml(DISK.replace('"vda"', '"../a"')), "a disk of the name ../a"),
    ],
)
def test_what_cannot_be_captured_is_told(description: str, why: str) -> None:
    with pytest.raises(OkiagariError) as refused:
        domain(description, "")
    assert str(refused.value).startswith("tally can't be captured: it has ")
    assert why in str(refused.value)


def test_all_that_is_in_the_way_is_told_at_once() -> None:
    with pytest.raises(OkiagariError, match="a device of the host; a TPM; memory modules"):
        domain(xml("<tpm/>", "<hostdev/>", "<memory/>"), "")


def test_a_domain_begins_with_other_images_and_says_from_where() -> None:
    images = {"vda": Image(Path("/d/tally-vda.qcow2"), "qcow2"), "sda": Image(Path("/d/tally-sda.raw"), "raw")}
    definition = xml(DISK, SEED, NETWORKED, rest='<metadata><x:y xmlns:x="urn:x"/></metadata>')
    assert restored_from(definition) is None
    # One that was begun so is captured and begun so again.
    for epoch in (3, 4):
        definition = beginning(definition, images, epoch, f"root{epoch}")
        assert restored_from(definition) == (epoch, f"root{epoch}")
    disks = ET.fromstring(definition).findall("devices/disk")
    assert [disk.get("type") for disk in disks] == ["file"] * 3
    assert [disk.find("source").get("file") for disk in disks] == [  # type: ignore[union-attr]
        "/d/tally-vda.qcow2", "/p/tally.seed", "/d/tally-sda.raw",
    ]  # fmt: skip
    assert disks[0].find("driver").attrib == {"name": "qemu", "type": "qcow2", "cache": "none"}  # type: ignore[union-attr]
    assert disks[0].find("backingStore") is None
    assert disks[2].find("driver").attrib == {"name": "qemu", "type": "raw"}  # type: ignore[union-attr]
    kept = written(with_images(definition, images))
    assert restored_from(kept) is None
    assert "urn:x" in kept
    assert "metadata" not in written(with_images(beginning(xml(), {}, 1, "r"), {}))


def test_a_balloon_changes_no_devices() -> None:
    one, other = (xml(rest=f"<currentMemory>{size}</currentMemory>") for size in (1, 2))
    assert same_devices(one, other)
    assert not same_devices(one, xml(DISK, rest="<currentMemory>1</currentMemory>"))


def test_a_save_image_begins_as_libvirt_reads_it() -> None:
    said = header("<domain>ä</domain>")
    magic, version, length, running, compressed, cookie = struct.unpack("=16s5I", said[:36])
    assert (magic, version, running, compressed, cookie) == (b"LibvirtQemudSave", 2, 1, 0, 0)
    assert said[36:92] == bytes(56)
    assert len(said) == 92 + length
    assert said[92:].split(b"\0")[0].decode() == "<domain>ä</domain>"
