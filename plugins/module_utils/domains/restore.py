# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain is begun by libvirt from one of a folder's epochs: its disks are made of it, and a save image (P1.9)."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoint import digests
from ..checkpoint.engines import np
from ..checkpoint.pages import BLOCK, PAGE, pages_of
from ..checkpoint.sparse import filled
from ..checkpoint.stream import merged
from ..errors import OkiagariError
from ..runner import output
from .definition import Image, beginning, read_only, restored_from, with_images, written
from .epochs import all_of, chosen
from .save_image import header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..checkpoint.replica import Replica
    from ..runner import Runner
    from .domains import Domains
    from .epochs import Epoch, Epochs
    from .request import Request

_LONG_S = 3600.0
_STEP = 8 * BLOCK


class Restore:
    """Begins a domain of `epochs` by `domains`."""

    def __init__(self, runner: Runner, domains: Domains, epochs: Epochs, asked: Request) -> None:
        self._runner, self._domains, self._epochs, self._asked = runner, domains, epochs, asked

    def here(self) -> int | None:
        """Give the epoch from which the domain that runs here was begun, if it is one of the folder's."""
        epoch = self.epoch()
        if self._domains.state(epoch.name) not in ("running", "paused"):
            return None
        mark = restored_from(self._domains.live(epoch.name))
        roots = {each.root for each in self._epochs.all()}
        return mark[0] if mark and mark[1] in roots else None

    def epoch(self) -> Epoch:
        """Give the epoch that is asked for; raise `OkiagariError` if there is none."""
        return chosen(self._epochs.all(), self._asked.epoch, self._epochs.folder)

    def look(self) -> Epoch:
        """Give the epoch that is asked for; raise `OkiagariError` with what keeps the domain from being begun."""
        epoch = self.epoch()
        if self._asked.name not in (None, "", epoch.name):
            raise OkiagariError(f"{self._epochs.folder} has epochs of {epoch.name}, not of {self._asked.name}")
        if self._domains.state(epoch.name) in ("running", "paused"):
            raise OkiagariError(
                f"{epoch.name} runs here already: there must never be two of it (virsh destroy ends it)"
            )
        wrong = [
            f"{path} isn't here, and it needs it as it was"
            for path in read_only(epoch.definition)
            if not Path(path).exists()
        ]
        if epoch.disks and self._asked.disks is None:
            wrong.append("disks is missing: name a folder for the images of its disks")
        elif not self._asked.overwrite:
            wrong += [
                f"{image.path} is there already: name another folder by disks, or allow overwrite"
                for image in self._images(epoch).values()
                if image.path.exists()
            ]
        if wrong:
            raise OkiagariError(f"{epoch.name} can't be begun from epoch {epoch.number}: {'; '.join(wrong)}")
        return epoch

    def run(self) -> dict[str, Any]:
        """Begin the domain, and give what is told of it; raise `OkiagariError`, with nothing changed, if it fails."""
        begun = time.monotonic()
        with self._epochs.alone() as replica, self._epochs.work() as work, ExitStack() as undone:
            epoch = chosen(all_of(replica), self._asked.epoch, self._epochs.folder)
            images = self._images(epoch)
            self._look_whether_it_is_whole(replica, epoch, work)
            for name, image in images.items():
                self._make(replica, epoch, name, image, work, undone)
            saved = work / "saved"
            self._save(replica, epoch, images, saved, work)
            self._domains.restore(saved, self._asked.paused)
            undone.pop_all()
        for image in images.values():
            _old(image.path).unlink(missing_ok=True)
        if epoch.told["persistent"] and not self._domains.is_persistent(epoch.name):
            self._domains.define(written(with_images(epoch.definition, images)))
        return {
            "epoch": epoch.number, "name": epoch.name,
            "disks": {name: str(image.path) for name, image in images.items()},
            "took_ms": round(1000 * (time.monotonic() - begun), 1),
        }  # fmt: skip

    def _images(self, epoch: Epoch) -> Mapping[str, Image]:
        folder = self._asked.disks or Path()
        forms = {name: form if form == "qcow2" else "raw" for name, form in epoch.told["formats"].items()}
        return {name: Image(folder / f"{epoch.name}-{name}.{form}", form) for name, form in forms.items()}

    def _make(
        self, replica: Replica, epoch: Epoch, name: str, image: Image, work: Path, undone: ExitStack
    ) -> None:  # fmt: skip
        """Make the image of a disk; `undone` puts back what was there."""
        path = image.path
        # libvirt's QEMU may be somebody else, who passes through it to the image that libvirt gives him.
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        source = self._image(replica, epoch, name, work)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        undone.callback(part.unlink, missing_ok=True)
        argv = ["qemu-img", "convert", "-q", "-f", "raw", "-O", image.format, str(source), str(part)]
        output(self._runner, argv, timeout=_LONG_S)
        part.chmod(0o600)
        if path.exists():
            path.rename(_old(path))
            undone.callback(_old(path).rename, path)
        else:
            undone.callback(path.unlink, missing_ok=True)
        part.rename(path)

    def _save(self, replica: Replica, epoch: Epoch, images: Mapping[str, Image], path: Path, work: Path) -> None:
        """Write the save image of an epoch."""
        devices = self._image(replica, epoch, "devices", work).read_bytes()[: epoch.told["devices_bytes"]]
        memory = self._image(replica, epoch, "ram", work)
        definition = beginning(epoch.definition, images, epoch.number, epoch.root)
        with path.open("xb") as file, memory.open("rb") as source:
            file.write(header(definition))
            for part in merged(devices, epoch.told["memory"], filled(source.fileno(), epoch.images["ram"] * PAGE)):
                file.write(part)

    def _look_whether_it_is_whole(self, replica: Replica, epoch: Epoch, work: Path) -> None:
        tables = {}
        for name, count in epoch.images.items():
            image = pages_of(np.memmap(self._image(replica, epoch, name, work), np.uint8, "r"))
            tables[name] = np.empty((count, digests.BYTES), np.uint8)
            for start in range(0, count, _STEP):
                digests.begin(tables[name][start : start + _STEP], image[start : start + _STEP])
        if digests.root(tables) != epoch.root:
            raise OkiagariError(
                f"epoch {epoch.number} of {self._epochs.folder} is damaged: it isn't what was captured; "
                f"an older one may be whole, or a copy of the folder"
            )

    def _image(self, replica: Replica, epoch: Epoch, name: str, work: Path) -> Path:
        """Give a file of an image as it was in an epoch."""
        if replica.head and replica.head.root == epoch.root:
            return replica.image(name)
        path = work / f"{name}.then"
        if not path.exists():
            replica.copy(epoch.root, name, path)
        return path


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")
