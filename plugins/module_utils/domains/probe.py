# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether domains can be captured here: found out by capturing and restoring a small one, not by asking.

The small one needs no operating system: 60 bytes of a boot sector, which count. Eighteen times a second it writes its
number to its disk, then adds one to it in memory, then says it over its serial port, if it has one: so what the disk
has is the memory's number, or one less, in every state that there ever was.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadValue, OkiagariError
from ..guest.libvirtd import Libvirt
from ..target.system import Places, boot_id, write_safely
from ..values import from_json
from .capture import Capture
from .domains import Domains
from .epochs import Epochs
from .libraries import missing
from .request import Request
from .restore import Restore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..runner import Runner

COUNTER = 0x8000
"""Where in its memory the small domain has its number."""
_SECTOR = 512
_CODE = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007c"  # cli; ax = ds = es = ss = 0; sp = 0x7c00
    "66a30080fb"  # [0x8000] = eax (whose upper half is 0 after reset); sti
    "f4"  # loop: hlt, until the next tick
    "b80103bb0080b90200ba8000cd13"  # int 13h: write one sector, from 0x8000 to the disk's second
    "66ff060080"  # [0x8000] += 1
    "be0080b90400baf803"  # si = 0x8000; cx = 4; dx = the serial port
    "acee"  # say: lodsb; out dx, al
    "e2fc"  # loop say
    "ebdd"  # jmp loop
)
_NAME = "okiagari-probe"
_NOTE = "domain_checkpoint"
_PATIENCE_S = 30.0
_STEPS = 3
_DOMAIN = """\
<domain type="{kind}">
 <name>{name}</name>
 <memory unit="MiB">16</memory>
 <os><type arch="x86_64" machine="pc">hvm</type></os>
 <features><acpi/></features>
 <devices>
  <disk type="file"><driver name="qemu" type="raw"/><source file="{disk}"/><target dev="vda" bus="virtio"/></disk>
  <controller type="usb" model="none"/>
  <memballoon model="none"/>
 </devices>
</domain>
"""


def boot_disk(path: Path) -> Path:
    """Make the disk that a small domain boots from."""
    path.write_bytes(_CODE.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa" + bytes(1024 * 1024 - _SECTOR))
    return path


def written(disk: Path) -> int:
    """Give the number that a small domain has written to its disk last."""
    with disk.open("rb") as file:
        file.seek(_SECTOR)
        return int.from_bytes(file.read(4), "little")


class Probed(NamedTuple):
    """What a probe found. `why` is empty if domains can be captured; `way` is how, and `pause_ms` how long it took."""

    why: str
    way: str = ""
    pause_ms: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {"possible": not self.why, "why": self.why, "way": self.way, "pause_ms": self.pause_ms}


class Probe:
    """Finds out, and remembers until the next boot, whether domains of the libvirt at `uri` can be captured here."""

    def __init__(
        self, runner: Runner, uri: str, places: Places | None = None,
        trial: Callable[[Runner, str], dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self._runner, self._uri = runner, uri
        self._note = (places or Places()).run / _NOTE
        self._trial = trial or try_out

    def look(self) -> Probed:
        """Try it out."""
        try:
            if lacks := missing():
                return Probed(_sentence(lacks))
            made = self._trial(self._runner, self._uri)
        except OkiagariError as error:
            return Probed(_sentence(str(error)))
        except OSError as error:
            return Probed(_sentence(f"{error.filename}: {error.strerror}"))
        self._remember()
        return Probed("", made["way"], made["pause_ms"])

    def assure(self) -> None:
        """Raise `OkiagariError` unless a small domain was captured and restored here since the boot, or can be now."""
        if lacks := missing():
            raise OkiagariError(_sentence(lacks))
        if self._key() not in self._known() and (why := self.look().why):
            raise OkiagariError(why)

    def _key(self) -> str:
        # libvirt's own version and QEMU's, of the libvirt that is asked.
        return f"{boot_id()} {self._uri} {Libvirt(self._runner, self._uri or None).do('version')}"

    def _known(self) -> list[str]:
        try:
            return list(from_json(self._note.read_text(encoding="utf-8"))["possible"])
        except (OSError, BadValue, KeyError, TypeError):
            return []

    def _remember(self) -> None:
        key = self._key()
        known = [each for each in self._known() if each.startswith(boot_id())]
        with contextlib.suppress(OSError):
            write_safely(self._note, json.dumps({"possible": sorted({*known, key})}).encode())


def try_out(runner: Runner, uri: str) -> dict[str, Any]:
    """Capture a small domain, restore it, and give what its checkpoint was; raise `OkiagariError` if that failed."""
    with tempfile.TemporaryDirectory(prefix="okiagari-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # libvirt's QEMU is somebody else where libvirt is the host's.
        folder.chmod(0o711)
        with _counting(runner, uri, folder) as disk:
            return _trial(runner, uri, folder, disk)


@contextlib.contextmanager
def _counting(runner: Runner, uri: str, folder: Path) -> Iterator[Path]:
    """Have a small domain that counts, and give its disk."""
    libvirt, disk = Libvirt(runner, uri or None), boot_disk(folder / "disk")
    if libvirt.state(_NAME):
        libvirt.cut_power(_NAME)
    description = folder / "domain.xml"
    for kind in ["kvm", "qemu"] if libvirt.has_kvm() else ["qemu"]:
        description.write_text(_DOMAIN.format(kind=kind, name=_NAME, disk=disk), encoding="utf-8")
        try:
            libvirt.do("create", str(description))
            break
        except OkiagariError:
            # libvirt may have the processor's help, and its QEMU not.
            if kind == "qemu":
                raise
    try:
        if not _until(lambda: written(disk) > _STEPS):
            raise OkiagariError("a small domain doesn't run")
        yield disk
    finally:
        if libvirt.state(_NAME):
            libvirt.cut_power(_NAME)


def _trial(runner: Runner, uri: str, folder: Path, disk: Path) -> dict[str, Any]:
    domains, epochs = Domains(runner, uri), Epochs(folder / "epochs")
    made = Capture(runner, domains, epochs, Request("captured", epochs.folder, _NAME, uri)).run()
    reached = written(disk)
    if not _until(lambda: written(disk) > reached + _STEPS):
        raise OkiagariError("a small domain was captured, and doesn't run any more")
    Libvirt(runner, uri or None).cut_power(_NAME)
    asked = Request("restored", epochs.folder, uri=uri, disks=folder / "disks", paused=True)
    restore = Restore(runner, domains, epochs, asked)
    restore.look()
    image = Path(restore.run()["disks"]["vda"])
    captured = written(image)
    Libvirt(runner, uri or None).do("resume", _NAME)
    if not _until(lambda: written(image) > captured + _STEPS):
        raise OkiagariError("a small domain was restored, but doesn't go on")
    return made


def _sentence(why: str) -> str:
    return f"not here, because {why}"


def _until(look: Callable[[], bool]) -> bool:
    end = time.monotonic() + _PATIENCE_S
    while not (there := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return there
