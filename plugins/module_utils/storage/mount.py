# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk with a file system of its own, mounted by systemd; nothing is ever formatted that holds anything."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import OkiagariError
from ..runner import Runner, output, reason
from ..target.system import write_safely

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_UNITS = Path("etc/systemd/system")
_LOOKED_AT = 2**20
_REST_S = 10
_ROOT_MARK = "trusted.gfid"
_VOLUME_ID = "trusted.glusterfs.volume-id"


class Mount(NamedTuple):
    """A mount unit: `what` on `where`. `needs` are units that it starts after and stops with."""

    what: str
    where: str
    type: str
    options: str = "defaults"
    description: str = ""
    network: bool = False
    needs: tuple[str, ...] = ()

    def units(self) -> dict[str, str]:
        """Give the unit files by their names.

        What is in the network has a second one, which tries again: a host may boot before it reaches any server, and
        systemd tries a mount just once. One that is killed for taking too long may end without being called a failure.
        """
        name = unit_name(self.where)
        if not self.network:
            return {name: self._text()}
        again = again_name(self.where)
        return {
            name: self._text(f"After=network-online.target\nOnFailure={again}\nOnSuccess={again}\n"),
            again: self._again(),
        }

    def _again(self) -> str:
        return (
            f"[Unit]\nDescription=Another try to mount {self.where}\n\n[Service]\nType=oneshot\n"
            f"ExecStartPre=/bin/sleep {_REST_S}\nExecStart=/bin/systemctl start --no-block {self.where}\n"
        )

    def _text(self, online: str = "") -> str:
        after = "".join(f"After={unit}\nWants={unit}\n" for unit in self.needs)
        wanted_by = "remote-fs.target" if self.network else "local-fs.target"
        nofail = "" if self.network else "TimeoutSec=60\n"
        return (
            f"[Unit]\nDescription={self.description or self.where}\n{online}{after}\n"
            f"[Mount]\nWhat={self.what}\nWhere={self.where}\nType={self.type}\nOptions={self.options}\n{nofail}\n"
            f"[Install]\nWantedBy={wanted_by}\n"
        )


class MountDesire:
    """Brings one mount to be written down, enabled and mounted, as `reconcile` takes it. `root` is / but in tests."""

    def __init__(self, runner: Runner, mount: Mount, filesystem: bool = False, root: Path = Path("/")) -> None:
        """`filesystem`: `what` is a block device that gets a file system of `type` if it is empty."""
        self._runner, self._mount, self._make, self._root = runner, mount, filesystem, root
        self._unit = unit_name(mount.where)

    def read(self) -> dict[str, Any]:
        """Give the unit files, whether it is mounted, and what the device holds."""
        units = self._have()
        found: dict[str, Any] = {}
        if units:
            found = {"units": units, "mounted": mounted(self._runner, self._mount.where)}
        if self._make:
            found["filesystem"] = device_content(self._runner, self._mount.what)
        return found if any(found.values()) else {}

    def want(self) -> dict[str, Any]:
        """Give what `read` shows once it is mounted. Raises `OkiagariError` for a device that holds something else."""
        want: dict[str, Any] = {"units": self._mount.units(), "mounted": True}
        if self._make:
            have = device_content(self._runner, self._mount.what)
            if have not in ("", self._mount.type):
                raise OkiagariError(
                    f"{self._mount.what} holds {have} and is left alone: name another disk, or empty this one yourself"
                )
            want["filesystem"] = self._mount.type
        return want

    def create(self) -> None:
        """Make the file system on an empty device, write the unit and mount it."""
        if self._make and not device_content(self._runner, self._mount.what):
            output(self._runner, [f"mkfs.{self._mount.type}", self._mount.what], timeout=120.0)
        want = self._mount.units()
        if write_all({self._root / _UNITS / name: (text, 0o644) for name, text in want.items()}):
            output(self._runner, ["systemctl", "daemon-reload"])
        output(self._runner, ["systemctl", "enable", "--quiet", self._unit])
        # Whoever uses what is mounted isn't disturbed for new options: they count from the next time on.
        source = mounted_from(self._runner, self._mount.where)
        verb = "restart" if source and not self._make and source != self._mount.what else "start"
        done = self._runner.run(["systemctl", verb, self._unit], timeout=90.0)
        if done.rc:
            why = self._runner.run(["journalctl", "-u", self._unit, "-n", "3", "--no-pager", "-o", "cat"]).out
            words = "; ".join(line.strip() for line in why.splitlines() if line.strip())
            raise OkiagariError(f"{self._mount.where}: {words or reason(done)}")

    def remove(self) -> None:
        """Unmount and forget it; what the device holds stays there."""
        self._runner.run(["systemctl", "disable", "--quiet", "--now", self._unit], timeout=90.0)
        if mounted(self._runner, self._mount.where):
            raise OkiagariError(f"{self._mount.where} is in use, and stays mounted")
        if self._mount.network:
            self._runner.run(["systemctl", "stop", "--quiet", again_name(self._mount.where)])
        for name in self._mount.units():
            (self._root / _UNITS / name).unlink(missing_ok=True)
        output(self._runner, ["systemctl", "daemon-reload"])

    def _have(self) -> dict[str, str]:
        files = {name: self._root / _UNITS / name for name in self._mount.units()}
        return {name: file.read_text(encoding="utf-8") for name, file in files.items() if file.exists()}


def unit_name(where: str) -> str:
    """Give the name that systemd has for the mount unit of a folder."""
    parts = [part for part in where.split("/") if part]
    if not where.startswith("/") or not parts or ".." in parts:
        raise OkiagariError(f"{where} is not a folder's absolute path")
    escaped = [re.sub(r"[^A-Za-z0-9:_.]", lambda match: f"\\x{ord(match[0]):02x}", part) for part in parts]
    name = "-".join(escaped)
    return f"{name.replace('.', chr(92) + 'x2e', 1) if name.startswith('.') else name}.mount"


def again_name(where: str) -> str:
    """Give the name of the unit that tries once more to mount on a folder."""
    return f"{unit_name(where).removesuffix('.mount')}-again.service"


def mounted(runner: Runner, where: str) -> bool:
    """Say whether something is mounted on this very folder."""
    return runner.run(["findmnt", "--noheadings", "--mountpoint", where]).rc == 0


def mounted_from(runner: Runner, where: str) -> str:
    """Give what is mounted on this very folder, empty for nothing."""
    done = runner.run(["findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", where])
    return "" if done.rc else done.out.strip()


def device_content(runner: Runner, device: str) -> str:
    """Give what a block device holds: a file system's type, `partitions`, something unknown, or nothing (empty).

    Asks the device itself, not what was known of it; raises `OkiagariError` if there is no such device.
    """
    said = json.loads(output(runner, ["lsblk", "--json", "--output", "NAME,TYPE", device]) or "{}")
    devices = list(said.get("blockdevices") or ())
    if any(one.get("children") for one in devices):
        return "partitions"
    signatures = json.loads(output(runner, ["wipefs", "--no-act", "--json", device]) or "{}").get("signatures") or ()
    kinds = sorted({str(signature.get("type")) for signature in signatures})
    if not kinds and any(_beginning(device)):
        return "data of an unknown kind"
    return ", ".join(kinds)


def _beginning(device: str) -> bytes:
    with open(device, "rb") as file:  # noqa: PTH123 -- a device, or in tests a file, by its plain name
        return file.read(_LOOKED_AT)


class Folder(NamedTuple):
    """What a brick's folder is: its size, whether it is on the root file system, and whose copy it holds."""

    size_mib: int
    root: bool
    volume_id: str

    def to_dict(self) -> dict[str, Any]:
        return self._asdict()


def folder(path: Path, root: Path = Path("/")) -> Folder:
    """Look at a brick's folder, or at the nearest one above it that is there."""
    present = next(each for each in (path, *path.parents) if each.exists())
    status = os.statvfs(present)
    size = status.f_frsize * status.f_blocks // 2**20
    return Folder(size, present.stat().st_dev == root.stat().st_dev, volume_id(path))


def volume_id(path: Path) -> str:
    """Give the identity of the volume whose copy a folder holds; empty for none.

    A brick that was claimed and never ran holds no copy yet, and nobody has noted what it lacks.
    """
    try:
        os.getxattr(path, _ROOT_MARK)
        raw = os.getxattr(path, _VOLUME_ID)
    except OSError:
        return ""
    digits = raw.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])) if len(digits) == 32 else ""


def write_all(files: Mapping[Path, tuple[str, int]]) -> bool:
    """Write the files that differ, each with its mode; say whether any was. They are on the disk then.

    A unit that a power cut leaves empty is one that systemd takes for masked.
    """
    changed = False
    for path, (text, mode) in files.items():
        if same(path, text, mode):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_safely(path, text.encode(), mode)
        changed = True
    return changed


def same(path: Path, text: str, mode: int) -> bool:
    """Say whether a file is there with this very text and mode."""
    try:
        return path.read_text(encoding="utf-8") == text and (path.stat().st_mode & 0o777) == mode
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def differing(files: Mapping[Path, tuple[str, int]]) -> Iterable[Path]:
    """Give the files that `write_all` would write."""
    return [path for path, (text, mode) in files.items() if not same(path, text, mode)]
