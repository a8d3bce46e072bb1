# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica: the last state of a service on this host's disk, ready to run, brought forward pack by pack (P1.2, P1.9).

    head.json           which state this is, and which states before it can be gone back to
    fence.json          the oldest term from which packs are taken
    N/images/NAME       each image as it is, page after page; N is another one after each first pack
    N/digests/NAME      the digests of its pages
    undo/TERM-EPOCH     what the pages were in that epoch that the next one has changed

Before an image is touched, what it was is on the disk: after a power cut at any instant the replica has either the
state before a pack or the one after it. A pack of an older term than the newest that was seen is refused: its holder
has lost the service, and may not know (design section 5).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import BadValue, OkiagariError
from ..target.system import sync_names, write_safely
from ..values import Shape, from_json, mismatch
from . import digests, pages
from .engines import np
from .mirror import Mirror
from .pack import Image, Label, Writer
from .pages import PAGE
from .sparse import filled, have_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from .pack import Pack
    from .pages import Block, Numbers, Pages

KEPT = 2
"""How many epochs a replica can go back: to what is committed, where what came after it isn't (design section 6)."""
_EPOCH: dict[str, Shape] = {
    "term": int, "epoch": int, "root": str, "generation": int, "images": {"*": int}, "machine": dict,
}  # fmt: skip
_HEAD: Shape = {**_EPOCH, "back": [_EPOCH], "restore?": bool}
_FENCE: Shape = {"term": int}
_RECORD = struct.Struct(">HQ")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


class Refused(BadValue):
    """A pack that isn't taken; the text says why."""


class Missing(Refused):
    """A pack that would be taken if those before it had come. `parent` is the root of the state that it changes."""

    def __init__(self, parent: str) -> None:
        super().__init__("the packs before it haven't come here yet")
        self.parent = parent


@dataclass(frozen=True)
class Epoch:
    """A state of the service that a replica has or can go back to; `images` are the numbers of their pages."""

    term: int
    epoch: int
    root: str
    generation: int
    images: Mapping[str, int]
    machine: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.term}-{self.epoch}"


class Images(Protocol):
    """The present state of a replica, `head`, and where its images are."""

    head: Epoch | None

    def image(self, name: str) -> Path:
        """Give the file of an image."""

    def page_count(self, name: str) -> int:
        """Give the number of pages that it has."""


class Glance:
    """A replica as whoever isn't its one process sees it: it may be another one a moment later, files included.

    While a pack is applied it has no state.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        said = _read(folder, "head.json", _HEAD)
        self.head = _epoch(said) if said and not said.get("restore") else None

    def image(self, name: str) -> Path:
        return _images(self._folder, self._present()) / name

    def page_count(self, name: str) -> int:
        return self._present().images[name]

    def _present(self) -> Epoch:
        if self.head is None:
            raise OkiagariError(f"there is no state in {self._folder} just now")
        return self.head


class Replica:
    """The replica of `service` in a folder of its own, which one process uses at a time; `close` it in the end.

    `key` is the service's. It can go back `kept` epochs. `step` is called between the steps of whatever is done: tests
    stop there.
    """

    def __init__(
        self, folder: Path, service: str, key: bytes, step: Callable[[], object] = lambda: None, kept: int = KEPT
    ) -> None:  # fmt: skip
        self._folder, self._service, self._key, self._step, self._kept_epochs = folder, service, key, step, kept
        self._torn = False
        (folder / "undo").mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise OkiagariError(f"{folder} is in use by another process") from None
        try:
            self.head, self.back = self._opened()
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        os.close(self._lock)

    def image(self, name: str) -> Path:
        """Give the file of an image of the present state."""
        self._mend()
        return self._images(self._present()) / name

    def copy(self, root: str, name: str, path: Path) -> None:
        """Write to a new file what an image was in this state, the present one or one that can be gone back to.

        Raises `Refused` if it isn't kept. Nothing is changed here.
        """
        self._mend()
        epochs = [self._present(), *self.back]
        place = next((place for place, epoch in enumerate(epochs) if epoch.root == root), None)
        if place is None:
            raise Refused("that state isn't kept here any more")
        # The images of a generation are as its newest epoch left them.
        last = next(number for number, epoch in enumerate(epochs) if epoch.generation == epochs[place].generation)
        with (self._images(epochs[place]) / name).open("rb") as source, path.open("xb") as file:
            size = epochs[place].images[name] * PAGE
            file.truncate(size)
            for first, content in filled(source.fileno(), size):
                _write_all(file.fileno(), content.tobytes(), first * PAGE)
            for epoch in epochs[last + 1 : place + 1]:
                for other, block in self._kept(epoch):
                    if other == name:
                        _write(file.fileno(), block.numbers, pages.outcome(self._pages(epoch, name), block))

    def mirror(self, name: str, room: Pages) -> Mirror:
        """Give an image of the present state in a room of zeros, for whoever captures what becomes of it."""
        path, present = self.image(name), self._present()
        if len(room) != present.images[name]:
            raise BadValue(f"{name} has {present.images[name]} pages here, and not {len(room)}")
        with path.open("rb") as file:
            for first, content in filled(file.fileno(), len(room) * PAGE):
                have_room(room, first, first + len(content))
                room[first : first + len(content)] = content
        return Mirror(room, np.array(self._table(present, name)))

    def mirror_over(self, name: str) -> Mirror:
        """Give an image of the present state that takes no room but for what changes, as long as nothing is taken."""
        image = np.memmap(self.image(name), np.uint8, "c")
        return Mirror(pages.pages_of(image), np.array(self._table(self._present(), name)))

    def whole(self, file: BinaryIO, holder: str, sign: Callable[[bytes], bytes]) -> Label:
        """Write a first pack of the present state, for a replica that is too far behind; this host signs for it."""
        self._mend()
        present, writer, images = self._present(), Writer(file, self._key), []
        for name, count in present.images.items():
            begun = writer.sections
            for block in pages.whole(self._pages(present, name)):
                writer.add(block)
            images.append(Image(name, count, writer.sections - begun))
        label = Label(
            self._service, holder, present.term, present.epoch, "", present.root, tuple(images), present.machine
        )  # fmt: skip
        writer.finish(label, sign)
        return label

    def page_count(self, name: str) -> int:
        """Give the number of pages that an image of the present state has."""
        return self._present().images[name]

    @property
    def fence(self) -> int:
        """The oldest term from which packs are taken."""
        return max(self._fence_on_disk(), self.head.term if self.head else 0)

    def raise_fence(self, term: int) -> None:
        """Take no packs from before this term any more: somebody else holds the service."""
        if term > self._fence_on_disk():
            write_safely(self._folder / "fence.json", json.dumps({"term": term}).encode())

    def take(self, pack: Pack) -> Epoch:
        """Bring the replica forward by a pack; when this returns, it is on the disk as a whole.

        Raises `Refused`, and `Missing` if packs before it have to come first. After that, and after an `OSError` such
        as of a full disk, the replica is as it was; or at the earlier state from which a newer holder says, by its
        signature, that it went on.
        """
        label = pack.label
        self._mend()
        self._look_whether_it_fits(label)
        if self.head and label.parent and label.parent != self.head.root:
            self.go_back(label.parent)
        return self._forward(pack) if label.parent else self._begin_with(pack)

    def go_back(self, root: str) -> Epoch:
        """Go back to an earlier state: what came after it was never committed. Raises `Refused` if it isn't kept."""
        self._mend()
        if root not in (epoch.root for epoch in self.back):
            raise Refused("that state isn't kept here any more")
        self.raise_fence(self._present().term)
        while self._present().root != root:
            before, *further = self.back
            same = before.generation == self._present().generation
            self._write_head(before, further, restore=same)
            self._step()
            self.head, self.back, self._torn = before, further, same
            self._mend()
        self._clear()
        return self._present()

    def _fence_on_disk(self) -> int:
        said = _read(self._folder, "fence.json", _FENCE)
        return int(said["term"]) if said else 0

    def _look_whether_it_fits(self, label: Label) -> None:
        if label.service != self._service:
            raise Refused(f"is a pack of {label.service}, not of {self._service}")
        if label.term < self.fence:
            raise Refused(f"is of term {label.term}, older than {self.fence}: its holder has lost the service since")
        if not label.images or not all(_NAME.fullmatch(image.name) and image.pages > 0 for image in label.images):
            raise Refused("has no images, or some without a proper name or size")
        head = self.head
        if head and (label.term, label.epoch) <= (head.term, head.epoch):
            raise Refused(f"is of epoch {label.epoch} of term {label.term}: that is here, or a later one")
        if not label.parent:
            return
        newer_holder = head is not None and label.term > head.term
        kept = [epoch for epoch in [head, *(self.back if newer_holder else [])] if epoch]
        parent = next((epoch for epoch in kept if epoch.root == label.parent), None)
        if parent is None:
            raise Missing(label.parent)
        if dict(parent.images) != {image.name: image.pages for image in label.images}:
            raise Refused("has images of other names or sizes than the state that it changes")

    def _begin_with(self, pack: Pack) -> Epoch:
        """Take a first pack, which changes no other state: beside the present one, which can be gone back to."""
        generation = 1 + max((int(path.name) for path in self._folder.glob("[0-9]*")), default=0)
        new = self._epoch(pack.label, generation)
        try:
            for part in ("images", "digests"):
                (self._folder / str(generation) / part).mkdir(mode=0o700, parents=True)
            for name, count in new.images.items():
                with (self._images(new) / name).open("xb") as file:
                    file.truncate(count * PAGE)
                with (self._digests(new) / name).open("xb") as file:
                    file.truncate(count * digests.BYTES)
                digests.begin(self._table(new, name))
            for folder in (self._images(new), self._digests(new), self._folder / str(generation)):
                sync_names(folder)
            self._change(new, self._blocks(pack, new))
            self._look_whether_it_leads_there(new)
        except BaseException:
            shutil.rmtree(self._folder / str(generation), ignore_errors=True)
            raise
        return self._become(new)

    def _forward(self, pack: Pack) -> Epoch:
        old = self._present()
        new = self._epoch(pack.label, old.generation)
        self._keep(old, self._blocks(pack, new))
        self._step()
        self._write_head(old, self.back, restore=True)
        self._step()
        try:
            self._change(new, self._blocks(pack, new))
            self._look_whether_it_leads_there(new)
        except (OSError, BadValue):
            self._torn = True
            self._mend()
            raise
        return self._become(new)

    def _epoch(self, label: Label, generation: int) -> Epoch:
        images = {image.name: image.pages for image in label.images}
        return Epoch(label.term, label.epoch, label.root, generation, images, label.machine)

    def _become(self, new: Epoch) -> Epoch:
        back = [self.head, *self.back][: self._kept_epochs] if self.head else []
        self._write_head(new, back)
        self.head, self.back = new, back
        self._clear()
        return new

    def _look_whether_it_leads_there(self, new: Epoch) -> None:
        if self._root(new) != new.root:
            raise Refused("leads to another state than it says")

    def _blocks(self, pack: Pack, epoch: Epoch) -> Iterator[tuple[str, Block]]:
        for image, said in pack.blocks(self._key):
            yield image.name, pages.read(said, epoch.images[image.name])

    def _keep(self, old: Epoch, changes: Iterator[tuple[str, Block]]) -> None:
        """Write down what the pages are that are going to change."""
        names = sorted(old.images)
        path = self._undo(old)
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                for name, block in changes:
                    before = pages.kept(self._pages(old, name), block.numbers)
                    file.write(_RECORD.pack(names.index(name), len(before)) + before)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            part.unlink(missing_ok=True)
            raise
        part.replace(path)
        sync_names(path.parent)

    def _restore(self, epoch: Epoch, back: list[Epoch]) -> None:
        """Make the images what they were in this epoch. Whatever was done of it before may be done again."""
        self._change(epoch, self._kept(epoch))
        if self._root(epoch) != epoch.root:
            raise OkiagariError(f"{self._folder} is damaged: remove it, and the replica is made anew from another")
        self._write_head(epoch, back)

    def _mend(self) -> None:
        """Finish what a full disk or a power cut has kept from being restored; raises `OSError` while it still does."""
        if self._torn:
            self._restore(self._present(), self.back)
            self._torn = False

    def _root(self, epoch: Epoch) -> str:
        return digests.root({name: self._table(epoch, name) for name in epoch.images})

    def _kept(self, epoch: Epoch) -> Iterator[tuple[str, Block]]:
        names = sorted(epoch.images)
        with self._undo(epoch).open("rb") as file:
            while record := file.read(_RECORD.size):
                place, length = _RECORD.unpack(record)
                yield names[place], pages.read(file.read(length), epoch.images[names[place]])

    def _change(self, epoch: Epoch, changes: Iterator[tuple[str, Block]]) -> None:
        """Write to the images, by calls that a full disk makes fail: a mapped file would end the process."""
        files = {name: os.open(self._images(epoch) / name, os.O_WRONLY) for name in epoch.images}
        tables = {name: self._table(epoch, name) for name in epoch.images}
        try:
            for name, block in changes:
                image = self._pages(epoch, name)
                content = pages.outcome(image, block)
                # What is as it should be isn't written: a hole stays one, and restoring needs no room.
                other = (image[block.numbers] != content).any(axis=1)
                _write(files[name], block.numbers[other], content[other])
                digests.note(tables[name], block.numbers, content)
                self._step()
            for descriptor in files.values():
                os.fsync(descriptor)
            for table in tables.values():
                table.flush()
        finally:
            for descriptor in files.values():
                os.close(descriptor)

    def _opened(self) -> tuple[Epoch | None, list[Epoch]]:
        said = _read(self._folder, "head.json", _HEAD)
        if said is None:
            self._clear_all_but(set(), set())
            return None, []
        head, *back = map(_epoch, (said, *said["back"]))
        if said.get("restore"):
            self._restore(head, back)
        self.head, self.back = head, back
        self._clear()
        return head, back

    def _clear(self) -> None:
        """Remove what nothing refers to any more."""
        epochs = [self._present(), *self.back]
        self._clear_all_but({str(epoch.generation) for epoch in epochs}, {epoch.name for epoch in self.back})

    def _clear_all_but(self, generations: set[str], names: set[str]) -> None:
        for path in self._folder.glob("[0-9]*"):
            if path.name not in generations:
                shutil.rmtree(path, ignore_errors=True)
        for path in (self._folder / "undo").iterdir():
            if path.name not in names:
                with suppress(OSError):
                    path.unlink()

    def _write_head(self, head: Epoch, back: list[Epoch], *, restore: bool = False) -> None:
        said = {**asdict(head), "back": [asdict(epoch) for epoch in back], **({"restore": True} if restore else {})}
        write_safely(self._folder / "head.json", json.dumps(said).encode())
        self._step()

    def _present(self) -> Epoch:
        if self.head is None:
            raise OkiagariError(f"there is no state of {self._service} here yet")
        return self.head

    def _images(self, epoch: Epoch) -> Path:
        return _images(self._folder, epoch)

    def _digests(self, epoch: Epoch) -> Path:
        return self._folder / str(epoch.generation) / "digests"

    def _undo(self, epoch: Epoch) -> Path:
        return self._folder / "undo" / epoch.name

    def _pages(self, epoch: Epoch, name: str) -> Pages:
        return pages.pages_of(np.memmap(self._images(epoch) / name, np.uint8, "r"))

    def _table(self, epoch: Epoch, name: str) -> np.memmap[Any, np.dtype[np.uint8]]:
        shape = (epoch.images[name], digests.BYTES)
        return np.memmap(self._digests(epoch) / name, np.uint8, "r+", shape=shape)


def _read(folder: Path, name: str, shape: Shape) -> dict[str, Any] | None:
    path = folder / name
    try:
        said = from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (BadValue, UnicodeDecodeError) as error:
        raise OkiagariError(f"{path} is damaged: remove {folder}, and the replica is made anew") from error
    if (wrong := mismatch(said, shape, name)) or not isinstance(said, dict):
        raise OkiagariError(f"{path}: {wrong}; remove {folder}, and the replica is made anew")
    return said


def _epoch(said: Mapping[str, Any]) -> Epoch:
    return Epoch(**{key: said[key] for key in _EPOCH})


def _images(folder: Path, epoch: Epoch) -> Path:
    return folder / str(epoch.generation) / "images"


def _write(descriptor: int, numbers: Numbers, content: Pages) -> None:
    """Write pages to an image, those that are side by side at once."""
    order = np.argsort(numbers)
    numbers, content = numbers[order].astype(np.int64), content[order]
    for run in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(numbers) != 1) + 1):
        if len(run):
            _write_all(descriptor, content[run[0] : run[-1] + 1].tobytes(), int(numbers[run[0]]) * PAGE)


def _write_all(descriptor: int, said: bytes, position: int) -> None:
    while said:
        done = os.pwrite(descriptor, said, position)
        said, position = said[done:], position + done
