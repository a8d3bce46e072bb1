# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as a libvirt domain. Pure: XML out, XML in."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..libvirt.definition import extract, parse
from .capacity import Held

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .machine import Machine
    from .template import Template

NAMESPACE = "urn:okiagari:machine:1"
_MARK = f"{{{NAMESPACE}}}machine"
_TRANSLATION_CACHE_MIB = 32
"""What QEMU may keep of translated code; its own default is a part of the host's memory, for every guest anew."""


@dataclass(frozen=True)
class Place:
    """Where a guest lives on its host: `pool` holds its disk and its seed."""

    pool: str
    template: Template
    kvm: bool
    cache: str = "none"
    pins: tuple[int, ...] = ()

    def disk(self, name: str) -> str:
        """Give the guest's disk."""
        return f"{self.pool}/{name}.qcow2"

    def seed(self, name: str) -> str:
        """Give the guest's seed."""
        return f"{self.pool}/{name}.seed"


def console(name: str) -> str:
    """Give the file that keeps what a guest says on its console; libvirt keeps its own log beside it."""
    return f"/var/log/libvirt/qemu/{name}.console"


def render(machine: Machine, place: Place) -> str:
    """Give the domain's definition. It carries what was asked as metadata: that marks it as ours."""
    domain = ET.Element("domain", type="kvm" if place.kvm else "qemu")
    ET.SubElement(domain, "name").text = machine.name
    metadata = ET.SubElement(domain, "metadata")
    ET.SubElement(metadata, _MARK).text = json.dumps(_mark(machine, place), sort_keys=True)
    ET.SubElement(domain, "memory", unit="KiB").text = str(machine.memory_mib * 1024)
    ET.SubElement(domain, "vcpu", placement="static").text = str(machine.vcpus)
    if place.pins:
        tune = ET.SubElement(domain, "cputune")
        for number, cpu in enumerate(place.pins):
            ET.SubElement(tune, "vcpupin", vcpu=str(number), cpuset=str(cpu))
    _boot(domain, place.template)
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if place.kvm:
        ET.SubElement(domain, "cpu", mode="host-model")
    else:
        cache = ET.SubElement(ET.SubElement(features, "tcg"), "tb-cache", unit="KiB")
        cache.text = str(_TRANSLATION_CACHE_MIB * 1024)
    ET.SubElement(domain, "clock", offset="utc")
    _devices(ET.SubElement(domain, "devices"), machine, place)
    ET.register_namespace("okiagari", NAMESPACE)
    return ET.tostring(domain, encoding="unicode")


def _boot(domain: ET.Element, template: Template) -> None:
    system = ET.SubElement(domain, "os")
    ET.SubElement(system, "type", arch="x86_64", machine=template.chipset).text = "hvm"
    for tag in ("kernel", "initrd", "cmdline"):
        value = getattr(template, tag)
        if value:
            ET.SubElement(system, tag).text = value
    if not template.kernel:
        ET.SubElement(system, "boot", dev="hd")


def _devices(devices: ET.Element, machine: Machine, place: Place) -> None:
    disk = ET.SubElement(devices, "disk", type="file", device="disk")
    # A guest whose storage is fenced stops and waits; told of the error, it would lose what it meant to write.
    ET.SubElement(disk, "driver", name="qemu", type="qcow2", cache=place.cache, error_policy="stop", discard="unmap")
    ET.SubElement(disk, "source", file=place.disk(machine.name))
    ET.SubElement(disk, "target", dev="vda", bus="virtio")
    seed = ET.SubElement(devices, "disk", type="file", device="disk")
    ET.SubElement(seed, "driver", name="qemu", type="raw")
    ET.SubElement(seed, "source", file=place.seed(machine.name))
    ET.SubElement(seed, "target", dev="vdb", bus="virtio")
    ET.SubElement(seed, "readonly")
    for network in machine.networks:
        card = ET.SubElement(devices, "interface", type="bridge")
        ET.SubElement(card, "mac", address=network.mac)
        ET.SubElement(card, "source", bridge=network.bridge)
        ET.SubElement(card, "model", type="virtio")
        ET.SubElement(card, "mtu", size=str(network.mtu))
    serial = ET.SubElement(devices, "serial", type="pty")
    ET.SubElement(serial, "log", file=console(machine.name), append="on")
    ET.SubElement(serial, "target", port="0")
    random = ET.SubElement(devices, "rng", model="virtio")
    ET.SubElement(random, "backend", model="random").text = "/dev/urandom"
    ET.SubElement(devices, "controller", type="usb", model="none")
    ET.SubElement(devices, "memballoon", model="none")


def _mark(machine: Machine, place: Place) -> dict[str, Any]:
    return {
        "machine": machine.to_dict(),
        "place": {"pool": place.pool, "template": asdict(place.template), "cache": place.cache},
    }


def asked_of(definition: str) -> Mapping[str, Any] | None:
    """Give what was asked when the domain was defined (`machine` and `place`); None for a domain that isn't ours."""
    text = parse(definition).findtext(f"metadata/{_MARK}")
    try:
        mark = json.loads(text) if text else None
    except ValueError:
        return None
    return mark if isinstance(mark, dict) else None


def held_by(definition: str) -> Held:
    """Give what a domain holds, whoever has made it."""
    domain = parse(definition)
    memory = domain.find("memory")
    kib = int(memory.text or 0) if memory is not None else 0
    pins = [pin.get("cpuset", "") for pin in domain.findall("cputune/vcpupin")]
    return Held(
        domain.findtext("name") or "",
        int(domain.findtext("vcpu") or 1),
        -(-kib // 1024),
        tuple(int(pin) for pin in pins if pin.isdigit()),
    )


def is_kvm(definition: str) -> bool:
    """Say whether a domain runs with the processor's help."""
    return parse(definition).get("type") == "kvm"


def as_wanted(have: str, wanted: str) -> bool:
    """Say whether libvirt's definition is the wanted one, as far as that speaks.

    The chipset isn't compared: libvirt keeps the exact version that the guest was made with. Nor are controllers, of
    which it adds those that the chipset has.
    """
    mine, theirs = parse(wanted), parse(have)
    for devices in mine.findall("devices"):
        for controller in devices.findall("controller"):
            devices.remove(controller)
    kind = mine.find("os/type")
    if kind is not None:
        kind.attrib.pop("machine", None)
    pins = [[pin.attrib for pin in tree.findall("cputune/vcpupin")] for tree in (mine, theirs)]
    return extract(theirs, mine) == extract(mine, mine) and pins[0] == pins[1]


def identified(definition: str, have: str) -> str:
    """Give a definition with the identifier of the one that it shall replace."""
    domain, uuid = parse(definition), parse(have).findtext("uuid")
    if uuid:
        ET.SubElement(domain, "uuid").text = uuid
    return ET.tostring(domain, encoding="unicode")


def with_pins(definition: str, pins: tuple[int, ...]) -> str:
    """Give a definition with other processors: those of the host that the guest moves to."""
    domain = parse(definition)
    for tune in domain.findall("cputune"):
        for pin in tune.findall("vcpupin"):
            tune.remove(pin)
    if pins:
        standing = domain.find("cputune")
        tune = ET.SubElement(domain, "cputune") if standing is None else standing
        for number, cpu in enumerate(pins):
            ET.SubElement(tune, "vcpupin", vcpu=str(number), cpuset=str(cpu))
    ET.register_namespace("okiagari", NAMESPACE)
    return ET.tostring(domain, encoding="unicode")
