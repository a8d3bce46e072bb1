# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconcile step of a host's machines: what is, what shall be, how to get there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, OkiagariError, Problem
from ..target.system import write_safely
from .capacity import Capacity, Held, choose_pins, shortages
from .disk import make_overlay, virtual_mib
from .domain import Place, as_wanted, console, identified, is_kvm, render
from .seed import seed
from .template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..runner import Runner
    from .libvirtd import Domain, Libvirt
    from .machine import Machine

_LINKS = Path("/sys/class/net")


@dataclass(frozen=True)
class Settings:
    """How machines are made on this host. `templates` maps a template's name to its folder on the host."""

    host: str
    pool: str
    templates: Mapping[str, str]
    authorized_keys: Sequence[str]
    capacity: Callable[[], Capacity]
    cache: str = "none"
    accelerator: str = "auto"
    timeout: float = 60.0
    force: bool = False
    only_look: bool = False
    """Check mode: what other steps would bring (libvirt, bridges, templates) may be missing yet."""


class Machines:
    """The wish that `machines` are `running` or `stopped` here. Nothing is made unless all of it fits."""

    def __init__(
        self, runner: Runner, libvirt: Libvirt, settings: Settings, machines: Sequence[Machine], state: str
    ) -> None:
        self._runner, self._libvirt, self._settings = runner, libvirt, settings
        self._machines, self._state = machines, state
        self.restart_needed: list[str] = []
        """After `want`: running machines whose new definition waits for their next start."""

    @cached_property
    def _found(self) -> dict[str, Domain]:
        return self._libvirt.domains(absent_is_empty=self._settings.only_look)

    def read(self) -> dict[str, Any]:
        """Give what stands of the machines; refuse what isn't ours."""
        self.__dict__.pop("_found", None)
        _refuse_foreign(self._settings.host, self._found, [machine.name for machine in self._machines])
        return {
            machine.name: self._look(machine, self._found[machine.name])
            for machine in self._machines
            if machine.name in self._found
        }

    def want(self) -> dict[str, Any]:
        """Give what `read` shows once the wish is true; refuse what can't be."""
        problems = shortages(self._settings.host, self._settings.capacity(), self._holding(), self._asking())
        problems += [problem for machine in self._machines for problem in self._obstacles(machine)]
        if problems:
            raise BadInput(problems)
        self.restart_needed = [machine.name for machine in self._machines if self._waits_for_restart(machine)]
        return {
            machine.name: _shown(machine, self._state, _digest(self._seed(machine)), as_defined=True, disk=True)
            for machine in self._machines
        }

    def act(self) -> None:
        """Make what is missing, then bring all to their state."""
        before = dict(self._found)
        for machine in self._machines:
            self._make(machine, before.get(machine.name))
        if self._state == "stopped":
            running = [m.name for m in self._machines if m.name in before and before[m.name].state != "stopped"]
            if self._settings.force:
                for name in running:
                    self._libvirt.cut_power(name)
            else:
                self._libvirt.shut_down(running, self._settings.timeout)
            return
        for machine in self._machines:
            domain = before.get(machine.name)
            self._libvirt.start(machine.name, domain.state if domain else None)

    def _look(self, machine: Machine, domain: Domain) -> dict[str, Any]:
        asked = (domain.asked or {}).get("machine", {})
        place = self._place(machine)
        return _shown(
            machine,
            domain.state,
            _digest(_content(Path(place.seed(machine.name)))),
            as_defined=as_wanted(domain.definition, self._definition(machine)),
            disk=Path(place.disk(machine.name)).exists(),
            asked=asked,
        )

    def _make(self, machine: Machine, domain: Domain | None) -> None:
        place, definition = self._place(machine), self._definition(machine)
        if domain is None or not as_wanted(domain.definition, definition):
            self._libvirt.define(definition if domain is None else identified(definition, domain.definition))
        disk, seed_file, content = Path(place.disk(machine.name)), Path(place.seed(machine.name)), self._seed(machine)
        if not disk.exists():
            make_overlay(self._runner, disk, place.template.disk, machine.disk_mib)
        if _content(seed_file) != content:
            write_safely(seed_file, content)

    def _waits_for_restart(self, machine: Machine) -> bool:
        domain = self._found.get(machine.name)
        if domain is None or domain.state == "stopped" or self._state == "stopped":
            return False
        return not as_wanted(domain.definition, self._definition(machine))

    def _obstacles(self, machine: Machine) -> list[Problem]:
        """Say what of the host stands in the way of one machine."""
        messages = []
        place, known = self._place(machine), machine.name in self._found
        disk, below = Path(place.disk(machine.name)), Path(place.template.disk)
        if disk.exists() and not known:
            messages.append(f"{disk} is there, but no machine of this name: it may belong to one on another host")
        elif disk.exists() and machine.disk_mib and virtual_mib(disk) != machine.disk_mib:
            messages.append(f"its disk has {virtual_mib(disk)} MiB; a disk's size can't be changed")
        if below.exists() and 0 < machine.disk_mib < virtual_mib(below):
            messages.append(f"the template {machine.template} alone needs {virtual_mib(below)} MiB of disk")
        if not self._settings.only_look:
            if not below.exists():
                messages.append(f"the template {machine.template} isn't on the host: {below} is missing")
            messages += [
                f"the bridge {bridge} isn't there"
                for bridge in sorted({network.bridge for network in machine.networks})
                if not (_LINKS / bridge / "bridge").exists()
            ]
        return [Problem("", None, self._settings.host, f"{machine.name}: {message}") for message in messages]

    def _definition(self, machine: Machine) -> str:
        return render(machine, self._place(machine))

    def _place(self, machine: Machine) -> Place:
        """Give where the machine lives, or shall live. What stands stays, and keeps its template's version."""
        settings, domain = self._settings, self._found.get(machine.name)
        if domain is not None and domain.asked is not None:
            asked, place = domain.asked["machine"], domain.asked["place"]
            if asked["template"] == machine.template:
                template = Template(**place["template"])
                return Place(
                    place["pool"], template, is_kvm(domain.definition), settings.cache, self._pins[machine.name]
                )
        template = self._template(machine.template)
        return Place(settings.pool, template, self._kvm, settings.cache, self._pins[machine.name])

    def _template(self, name: str) -> Template:
        path = self._settings.templates[name]
        try:
            return Template.from_json(path, (Path(path) / "template.json").read_text())
        except FileNotFoundError:
            return Template(path, f"{path}/disk.qcow2")
        except (ValueError, KeyError) as error:
            raise OkiagariError(f"{path}/template.json can't be read: {error}") from error

    @cached_property
    def _kvm(self) -> bool:
        chosen = self._settings.accelerator
        return self._libvirt.has_kvm() if chosen == "auto" else chosen == "kvm"

    @property
    def _pins(self) -> dict[str, tuple[int, ...]]:
        return choose_pins(self._settings.capacity(), self._holding(), self._asking())

    def _holding(self) -> list[Held]:
        return [domain.held for domain in self._found.values()]

    def _asking(self) -> list[Held]:
        return [Held(machine.name, machine.vcpus, machine.memory_mib) for machine in self._machines]

    def _seed(self, machine: Machine) -> bytes:
        return seed(machine.name, machine.networks, self._settings.authorized_keys)


class Removal:
    """The wish that machines are gone, with their disks: those that are ours, and no others."""

    def __init__(self, libvirt: Libvirt, host: str, names: Sequence[str], only_look: bool = False) -> None:
        self._libvirt, self._host, self._names, self._only_look = libvirt, host, names, only_look

    def read(self) -> dict[str, Any]:
        """Give the machines that are there."""
        found = self._libvirt.domains(absent_is_empty=self._only_look)
        _refuse_foreign(self._host, found, self._names)
        return {name: {"state": found[name].state} for name in self._names if name in found}

    def act(self) -> None:
        """Cut their power, forget them, delete their files."""
        found = self._libvirt.domains()
        for name in self._names:
            if name in found:
                remove(self._libvirt, found[name])


def remove(libvirt: Libvirt, domain: Domain) -> None:
    """Remove a machine of ours with its files."""
    asked, name = domain.asked, domain.name
    if asked is None:
        raise OkiagariError(f"{name} was not made here")
    if domain.state != "stopped":
        libvirt.cut_power(name)
    libvirt.forget(name)
    remove_files(name, asked["place"]["pool"])
    remove_logs(name)


def remove_files(name: str, pool: str) -> None:
    """Delete a machine's disk and seed."""
    for path in (f"{pool}/{name}.qcow2", f"{pool}/{name}.seed"):
        Path(path).unlink(missing_ok=True)


def remove_logs(name: str) -> None:
    """Delete what a machine has said on its console, and libvirt's logs of it, also the older ones."""
    said = Path(console(name))
    for path in (said, *said.parent.glob(f"{name}.log*")):
        path.unlink(missing_ok=True)


def _refuse_foreign(host: str, found: Mapping[str, Domain], names: Sequence[str]) -> None:
    problems = [
        Problem("", None, host, f"there is a guest {name} that was not made here: it is left alone")
        for name in names
        if name in found and found[name].asked is None
    ]
    if problems:
        raise BadInput(problems)


def _shown(
    machine: Machine,
    state: str,
    seed_digest: str,
    *,
    as_defined: bool,
    disk: bool,
    asked: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give what reconcile compares, and a person reads in a diff."""
    return {
        "state": state,
        "asked": machine.to_dict() if asked is None else dict(asked),
        "seed": seed_digest,
        "as_defined": as_defined,
        "disk": disk,
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
