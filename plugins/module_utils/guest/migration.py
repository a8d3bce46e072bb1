# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running machine moves to another host. Three steps: look at the source, prepare the destination, move.

Whatever goes wrong, the machine runs at its source or the error says where it stands; what was prepared is discarded.
"""

from __future__ import annotations

import base64
import re
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, OkiagariError, Problem
from ..runner import CommandFailed, reason
from ..target.system import write_safely
from .capacity import Capacity, Held, choose_pins, shortages
from .disk import backing_file, make_overlay, virtual_mib
from .domain import with_pins
from .libvirtd import Libvirt
from .machine import read_machines
from .machines import remove_files, remove_logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .libvirtd import Domain

_LINKS = Path("/sys/class/net")
_MOUNTS = Path("/proc/mounts")
_SHARED = re.compile(r"nfs4?|ceph|fuse\.(glusterfs|ceph|sshfs)|gfs2|ocfs2|9p|virtiofs")
_KIB = 1024
_PAUSE = 0.25


@dataclass(frozen=True)
class Destination:
    """Where a machine moves: the host's address in the migration segment, which its certificate carries as its name."""

    address: str

    @property
    def uri(self) -> str:
        """Give libvirt's connection there: TLS, both ends with certificates."""
        return f"qemu+tls://{self.address}/system"


def look(libvirt: Libvirt, host: str, name: str) -> dict[str, Any]:
    """Give all that the destination must know of a running machine; refuse one that can't move.

    Empty when the machine isn't here.
    """
    domain = libvirt.domains().get(name)
    if domain is None:
        return {}
    asked = domain.asked
    if asked is None:
        raise OkiagariError(f"{host}: {name} was not made here: it is left alone")
    if domain.state != "running":
        raise OkiagariError(f"{host}: {name} is {domain.state}; only a running machine moves")
    pool = asked["place"]["pool"]
    disk, seed = Path(f"{pool}/{name}.qcow2"), Path(f"{pool}/{name}.seed")
    template = asked["place"]["template"]
    files = [template[key] for key in ("disk", "kernel", "initrd") if template.get(key)]
    return {
        "name": name,
        "machine": asked["machine"],
        "pool": pool,
        "shared": is_shared(pool),
        "disk_mib": virtual_mib(disk),
        "template_disk": backing_file(disk),
        "files": {path: Path(path).stat().st_size for path in files},
        "seed": base64.b64encode(seed.read_bytes()).decode(),
    }


def is_shared(folder: str, mounts: str | None = None) -> bool:
    """Say whether a folder is on a file system that other hosts mount too."""
    table = [line.split() for line in (_MOUNTS.read_text() if mounts is None else mounts).splitlines()]
    path = f"{folder.rstrip('/')}/"
    over = [(len(row[1]), row[2]) for row in table if path.startswith(f"{row[1].rstrip('/')}/")]
    # Of two mounts on one place the later one counts.
    kind = max(enumerate(over), key=lambda entry: (entry[1][0], entry[0]), default=(0, (0, "")))[1][1]
    return bool(_SHARED.fullmatch(kind))


def prepare(
    runner: Runner, libvirt: Libvirt, host: str, capacity: Capacity, moving: Mapping[str, Any], only_look: bool = False
) -> dict[str, Any]:
    """Refuse what can't run here; else make the disk that the source fills, unless the storage is shared.

    Gives `pins`, and `copy`: whether the disk moves too.
    """
    (machine,) = read_machines([moving["machine"]])
    found = libvirt.domains()
    asking = [Held(machine.name, machine.vcpus, machine.memory_mib)]
    problems = _obstacles(host, found, moving)
    problems += shortages(host, capacity, [domain.held for domain in found.values()], asking)
    if problems:
        raise BadInput(problems)
    copy = not moving["shared"]
    if copy and not only_look:
        disk, seed = _files(moving)
        make_overlay(runner, disk, moving["template_disk"], moving["disk_mib"])
        write_safely(seed, base64.b64decode(moving["seed"]))
    pins = choose_pins(capacity, [domain.held for domain in found.values()], asking)[machine.name]
    return {"copy": copy, "pins": list(pins)}


def _obstacles(host: str, found: Mapping[str, Domain], moving: Mapping[str, Any]) -> list[Problem]:
    name, machine = moving["name"], moving["machine"]
    disk, _seed = _files(moving)
    messages = []
    if name in found:
        messages.append(f"there is a guest of this name, {found[name].state}")
    if moving["shared"] and not (is_shared(moving["pool"]) and disk.exists()):
        messages.append(f"{disk} is on shared storage at its source, but not here")
    if not moving["shared"] and disk.exists():
        messages.append(f"{disk} is there already: it may belong to a machine on another host")
    for path, size in moving["files"].items():
        if not Path(path).exists() or Path(path).stat().st_size != size:
            messages.append(f"the template's file {path} is missing or another one: bring the template here first")
    bridges = sorted({network["bridge"] for network in machine["networks"]})
    messages += [f"the bridge {bridge} isn't there" for bridge in bridges if not (_LINKS / bridge / "bridge").exists()]
    return [Problem("", None, host, f"{name}: {message}") for message in messages]


def discard(libvirt: Libvirt, moving: Mapping[str, Any]) -> bool:
    """Take back what `prepare` made, unless the machine is here after all. Say whether there was anything."""
    disk, seed = _files(moving)
    if moving["shared"] or moving["name"] in libvirt.domains() or not (disk.exists() or seed.exists()):
        return False
    remove_files(moving["name"], moving["pool"])
    return True


def move(
    runner: Runner,
    libvirt: Libvirt,
    destination: Destination,
    moving: Mapping[str, Any],
    prepared: Mapping[str, Any],
    timeout: float,
) -> dict[str, Any]:
    """Move, and give the figures. When it fails the machine is seen to be running here, and the error says so."""
    name = moving["name"]
    with NamedTemporaryFile("w", suffix=".xml") as live, NamedTemporaryFile("w", suffix=".xml") as kept:
        pins = tuple(prepared["pins"])
        live.write(with_pins(libvirt.do("dumpxml", name, "--migratable"), pins))
        kept.write(with_pins(libvirt.definition(name), pins))
        live.flush()
        kept.flush()
        done = runner.run(
            _command(name, destination, bool(prepared["copy"]), timeout, live.name, kept.name), timeout=timeout + 30
        )
    if done.rc:
        why = f"it took longer than {timeout:g} s" if done.rc == 124 else reason(done).removeprefix("error: ")
        raise OkiagariError(f"{name} did not move: {why}. {_aftermath(libvirt, destination, runner, name)}")
    figures = _figures(Libvirt(runner, destination.uri), name)
    if prepared["copy"]:
        remove_files(name, moving["pool"])
    remove_logs(name)
    return figures


def _command(name: str, destination: Destination, copy: bool, timeout: float, live: str, kept: str) -> list[str]:
    disks = ["--copy-storage-inc", "--migrate-disks", "vda", "--disks-uri", f"tcp://{destination.address}"]
    return [
        # At an interrupt virsh tells libvirt to give up; just killed, it would leave the migration running.
        "timeout", "--signal=INT", "--kill-after=20", f"{timeout:g}",
        "virsh", "--quiet", "migrate", name, "--desturi", destination.uri, "--live", "--p2p", "--persistent",
        "--undefinesource", "--abort-on-error", "--auto-converge", "--tls",
        "--migrateuri", f"tcp://{destination.address}", "--xml", live, "--persistent-xml", kept,
        *(disks if copy else []),
    ]  # fmt: skip


def _aftermath(libvirt: Libvirt, destination: Destination, runner: Runner, name: str) -> str:
    """Say where the machine is after a failure: libvirt lets it go on at its source, if it can be sure."""
    for _try in range(20):
        state = libvirt.state(name)
        if state == "running":
            break
        time.sleep(_PAUSE)
    if state == "running":
        return "It runs at its source."
    try:
        there = Libvirt(runner, destination.uri).state(name)
    except OkiagariError:
        there = None
    return (
        f"It is {state or 'gone'} at its source and {there or 'unknown'} at {destination.address}: "
        "look at both before you resume either"
    )


def _figures(libvirt: Libvirt, name: str) -> dict[str, Any]:
    """Give what libvirt has measured, in milliseconds and MiB."""
    try:
        text = libvirt.do("domjobinfo", name, "--completed", "--rawstats")
    except CommandFailed:
        return {}
    raw = {key.strip(): value.strip() for key, _colon, value in (line.partition(":") for line in text.splitlines())}
    wanted = {
        "total_ms": ("time_elapsed", 1),
        "downtime_ms": ("downtime", 1),
        "memory_mib": ("memory_processed", _KIB * _KIB),
        "disk_mib": ("disk_processed", _KIB * _KIB),
    }
    return {key: int(raw[field]) // unit for key, (field, unit) in wanted.items() if raw.get(field, "").isdigit()}


def _files(moving: Mapping[str, Any]) -> tuple[Path, Path]:
    return Path(f"{moving['pool']}/{moving['name']}.qcow2"), Path(f"{moving['pool']}/{moving['name']}.seed")
