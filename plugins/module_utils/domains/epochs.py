# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of epochs of one domain: a replica, which takes packs that never leave this host.

head.json, N/, undo/, ...    the replica: the newest epoch ready to run, and what older ones need
work/                        what a capture or a restore is at; removed when the next one begins
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from ..checkpoint.pack import KEY_BYTES, Pack
from ..checkpoint.pages import PAGE
from ..checkpoint.replica import Replica
from ..errors import BadValue, OkiagariError
from ..target.system import look_whether_private
from ..values import mismatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..checkpoint.replica import Epoch as State
    from ..values import Shape

SERVICE, HOLDER = "domain", "here"
_HEAD, _UNDO, _WORK = "head.json", "undo", "work"
_OURS = {_HEAD, _UNDO, _WORK, "fence.json"}
TOLD: dict[str, Shape] = {
    "name": str, "uuid": str, "definition": str, "captured": (int, float), "persistent": bool, "formats": {"*": str},
    "memory": str, "devices_bytes": int, "qemu": [int],
}  # fmt: skip
"""What an epoch's label says of its domain."""


@dataclass(frozen=True)
class Epoch:
    """One epoch: its `number`, and the `root` of its state. `told` is of the shape `TOLD`."""

    number: int
    root: str
    images: dict[str, int]
    told: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.told["name"])

    @property
    def definition(self) -> str:
        return str(self.told["definition"])

    @property
    def disks(self) -> list[str]:
        return sorted(self.told["formats"])

    def to_dict(self, now: float) -> dict[str, Any]:
        """Give it as the module tells of it."""
        return {
            "epoch": self.number, "age_s": round(max(0.0, now - self.told["captured"]), 1),
            "memory_bytes": self.images["ram"] * PAGE,
            "disks": {name: self.images[name] * PAGE for name in self.disks},
        }  # fmt: skip


class Epochs:
    """The epochs in `folder`, of which `keep` are kept."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self._keep = folder, keep
        # No pack is there for longer than it takes to take it, and nobody else ever opens one.
        self.key = os.urandom(KEY_BYTES)

    def there(self) -> bool:
        """Say whether there are any; raise `OkiagariError` if the folder isn't one of epochs, or others can read it."""
        try:
            names = {path.name for path in self.folder.iterdir()}
        except FileNotFoundError:
            return False
        except OSError as error:
            raise OkiagariError(f"{self.folder}: {error.strerror}") from error
        # Each folder of a replica has this one from the first moment on; numbers alone may be anybody's.
        begun = _UNDO in names
        foreign = {name for name in names if not (begun and (name in _OURS or name.isdigit()))}
        if foreign:
            raise OkiagariError(f"{self.folder} holds {min(foreign)}, which is no epoch: name another folder")
        look_whether_private(self.folder)
        return _HEAD in names

    @contextmanager
    def alone(self) -> Iterator[Replica]:
        """Have the folder for oneself, made if need be; raise `OkiagariError` if somebody else has it."""
        self.there()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        look_whether_private(self.folder)
        replica = Replica(self.folder, SERVICE, self.key, kept=self._keep - 1)
        try:
            yield replica
        finally:
            replica.close()

    @contextmanager
    def work(self) -> Iterator[Path]:
        """Have a place for what is made meanwhile, while one is `alone`."""
        path = self.folder / _WORK
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def all(self) -> list[Epoch]:
        """Give the epochs that there are, oldest first; raise `OkiagariError` if what is said of one is damaged."""
        if not self.there():
            return []
        with self.alone() as replica:
            return all_of(replica)

    def size(self) -> int:
        """Give how many bytes of the disk all of it takes."""
        return sum(path.stat().st_blocks * 512 for path in self.folder.rglob("*") if path.is_file())

    def take(self, replica: Replica, file: BinaryIO) -> Epoch:
        """Have one more epoch from a pack."""
        return _epoch(replica.take(Pack(file, lambda *_said: None)))


def all_of(replica: Replica) -> list[Epoch]:
    """Give a replica's epochs, oldest first."""
    return [_epoch(state) for state in reversed([state for state in (replica.head, *replica.back) if state])]


def chosen(epochs: list[Epoch], number: int | None, folder: Path) -> Epoch:
    """Give the epoch of a number, or the newest one; raise `OkiagariError` if there is none."""
    if not epochs:
        raise OkiagariError(f"{folder} has no epoch")
    found = [epoch for epoch in epochs if number in (None, epoch.number)]
    if not found:
        raise OkiagariError(
            f"{folder} has no epoch {number}: there are {', '.join(str(each.number) for each in epochs)}"
        )
    return found[-1]


def _epoch(state: State) -> Epoch:
    if wrong := mismatch(dict(state.machine), TOLD, f"epoch {state.term}"):
        raise BadValue(f"it isn't one of a domain: {wrong}")
    return Epoch(state.term, state.root, dict(state.images), dict(state.machine))
