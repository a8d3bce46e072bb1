# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that QEMU runs, from its first boot or from where a replica has it; no image of either is written to."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from ..errors import OkiagariError
from ..guest.template import Template
from . import clock, restore, routed
from .capturer import Guest
from .disks import overlay
from .guest_memory import NAME, GuestMemory
from .machine import Disk
from .monitor import Monitor, Refusal
from .outlet import have, outlet, plug_in
from .pages import PAGE
from .stream import machine_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..guest.machine import Network
    from ..runner import Runner
    from .machine import Machine
    from .replica import Images

    Origin: TypeAlias = tuple[Machine, str, Mapping[str, tuple[int, int]]]

MIB = 1024 * 1024
_STARTS_S = 60.0
_POLL_S = 0.02


class Running:
    """A guest that stands still, with all that it needs in `folder`. A context manager, which ends it.

    Before its first boot; or its QEMU, over the images of a replica that has a state, waits until that is `restore`d.
    It goes on by `monitor`: whoever holds the service lets it. Raises `OkiagariError` with QEMU's words if it can't be.
    """

    monitor: Monitor
    """There is one before the first boot, or after `restore`."""

    def __init__(self, machine: Machine, runner: Runner, folder: Path, replica: Images | None = None) -> None:
        self._folder, self._runner, self._networks = folder, runner, machine.networks
        state = _state(replica) if replica else None
        self.origin = origin(machine, replica) if replica else None
        self._undone = ExitStack()
        try:
            self._begin(machine, replica, state)
        except BaseException:
            self._undone.close()
            raise

    def restore(self, replica: Images) -> None:
        """Have what the replica has now, whose images are those that it was started over; where it has none, nothing.

        Where QEMU doesn't take it, the guest is to be ended.
        """
        state = _state(replica)
        if state is None:
            return
        _look_whether_it_fits(self.memory, state)
        # QEMU may still be starting, and looks at it when its devices are loaded only.
        self.memory.fill(state.ram)
        self._reach(state)
        self._load(state)

    def _begin(self, machine: Machine, replica: Images | None, state: _State | None) -> None:
        template = _template(machine)
        if template:
            machine = replace(machine, disks={"root": Disk(Path(template.disk), "qcow2"), **machine.disks})
        if machine.seed:
            (self._folder / "seed").write_bytes(machine.seed)
        below = {
            _node(name): (replica.image(_node(name)), "raw") if replica and state else (disk.image, disk.format)
            for name, disk in machine.disks.items()
        }
        sizes: dict[str, int] = {}
        for name, (image, kind) in below.items():
            path = self._disk(name)
            path.unlink(missing_ok=True)
            sizes[name] = overlay(self._runner, path, image, kind)
        self._log = self._folder / "qemu.log"
        (self._folder / "qmp").unlink(missing_ok=True)
        have(self._runner, self._folder, machine.networks)
        self.memory = self._undone.enter_context(GuestMemory(machine.memory * MIB))
        self.guest = Guest(self.memory, sizes)
        self.process = self._started(self._argv(machine, template, state))
        self._undone.callback(self._end)
        if state is None:
            self._reach(state)

    def _reach(self, state: _State | None) -> None:
        self.monitor = self._undone.enter_context(closing(self._reached(state)))
        plug_in(self._runner, self._folder, self._networks)
        routed.connect(self._runner, self._folder, self._networks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> None:
        """End it, whatever it is at."""
        self._undone.close()

    def go_on(self) -> None:
        """Let the guest run, and tell the network where it is now."""
        routed.route(self._runner, self._folder, self._networks)
        self.monitor.execute("cont")
        with suppress(Refusal):
            self.monitor.execute("announce-self", initial=50, max=2000, rounds=10, step=150)

    def set_clock(self) -> bool:
        """Have the clock of a guest that goes on set to now; False where it has no agent that does."""
        return clock.set_to_now(self._folder / "agent")

    @property
    def words(self) -> str:
        """What QEMU said."""
        return self._log.read_text(errors="replace").strip()

    def _started(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            # Whoever asks this process to end asks its whole group; the guest is captured once more before that.
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                pass_fds=[self.memory.file],
            )

    def _argv(self, machine: Machine, template: Template | None, state: _State | None) -> list[str]:
        drives: list[str] = []
        for name in self.guest.disks:
            drives += _drive({"driver": "qcow2", "file": self._file(f"{name}.qcow2")}, name)
        if machine.seed:
            drives += _drive({"driver": "raw", "read-only": True, "file": self._file("seed")}, "seed")
        # A guest's machine stays that of its first boot, whatever QEMU's newest one is where it goes on.
        kind = state.type if state else machine.type or (template.chipset if template else "pc")
        cards = [word for name, network in machine.networks.items() for word in self._card(name, network)]
        return [
            # Whatever becomes of this process, a guest that nobody captures doesn't run on.
            "setpriv", "--pdeathsig", "KILL", "--",
            "qemu-system-x86_64",
            "-machine", f"{kind},accel={machine.accelerator},memory-backend={NAME}",
            "-m", f"{machine.memory}M", "-smp", str(machine.cpus), *self.memory.arguments(),
            *(restore.ARGUMENTS if state else ("-S",)), "-nodefaults", "-no-user-config",
            "-display", "none", "-qmp", f"unix:{self._folder / 'qmp'},server=on,wait=off",
            *(_boot(template) if template else ()), *drives, *cards, *clock.arguments(self._folder / "agent"),
            # By another number a guest knows that it goes on elsewhere, and makes its random numbers anew.
            "-device", "vmgenid,guid=auto",
            *machine.arguments,
        ]  # fmt: skip

    def _file(self, name: str) -> dict[str, str]:
        return {"driver": "file", "filename": str(self._folder / name)}

    def _card(self, name: str, network: Network) -> Sequence[str]:
        tap = f"tap,id=net-{name},ifname={outlet(self._folder, name).tap},script=no,downscript=no"
        return "-netdev", tap, "-device", f"virtio-net-pci,netdev=net-{name},mac={network.mac},romfile="

    def _disk(self, name: str) -> Path:
        return self._folder / f"{name}.qcow2"

    def _reached(self, state: _State | None) -> Monitor:
        end = time.monotonic() + _STARTS_S
        while True:
            try:
                return Monitor(self._folder / "qmp")
            except OkiagariError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    of = f" from {state}" if state else ""
                    raise OkiagariError(f"QEMU can't be started{of}: {self.words or error}") from error
                time.sleep(_POLL_S)

    def _load(self, state: _State) -> None:
        try:
            restore.load(self.monitor, state.devices)
        except OkiagariError as error:
            raise OkiagariError(f"QEMU can't go on from {state}: {self.words or error}") from error

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()


def origin(machine: Machine, replica: Images) -> Origin | None:
    """Give what a QEMU is started from that waits for this replica's state; None where it has none.

    Raises `OSError` or `OkiagariError` where that can't be seen.
    """
    if replica.head is None:
        return None
    with replica.image("devices").open("rb") as file:
        kind = machine_type(file.read(PAGE))
    files = {name: replica.image(name).stat() for name in replica.head.images}
    return machine, kind, {name: (file.st_dev, file.st_ino) for name, file in files.items()}


@dataclass(frozen=True)
class _State:
    """What a guest goes on from. As text it says what that takes, for whoever hears that it isn't possible here."""

    ram: Path
    ram_bytes: int
    devices: bytes
    qemu: str

    @property
    def type(self) -> str:
        return machine_type(self.devices)

    def __str__(self) -> str:
        return (
            f"a state that QEMU {self.qemu} has captured of a machine {self.type} "
            f"(have QEMU {self.qemu} or newer here, and the guest described as it was then)"
        )


def _state(replica: Images) -> _State | None:
    if replica.head is None:
        return None
    said = replica.head.machine
    with replica.image("devices").open("rb") as file:
        devices = file.read(int(said["devices_bytes"]))
    qemu = ".".join(map(str, said["qemu"]))
    return _State(replica.image("ram"), replica.page_count("ram") * PAGE, devices, qemu)


def _look_whether_it_fits(memory: GuestMemory, state: _State) -> None:
    if state.ram_bytes != memory.size:
        raise OkiagariError(
            f"the guest has {memory.size // MIB} MiB by its description, and had {state.ram_bytes // MIB} when captured"
        )


def _node(name: str) -> str:
    """Give the name of a disk's image, which its node in QEMU has, too."""
    return f"disk-{name}"


def _template(machine: Machine) -> Template | None:
    if machine.template is None:
        return None
    path = machine.template / "template.json"
    try:
        return Template.from_json(str(machine.template), path.read_text())
    except (OSError, ValueError, TypeError) as error:
        raise OkiagariError(f"{machine.template} is no template: {error}") from error


def _boot(template: Template) -> Sequence[str]:
    """Give what boots it; its console is there for who boots by it, and what is said there isn't kept."""
    words = ["-serial", "null"]
    for option, value in (("-kernel", template.kernel), ("-initrd", template.initrd), ("-append", template.cmdline)):
        words += [option, value] if value else []
    return words


def _drive(node: Mapping[str, Any], name: str) -> Sequence[str]:
    return "-blockdev", json.dumps({"node-name": name, **node}), "-device", f"virtio-blk-pci,drive={name}"
