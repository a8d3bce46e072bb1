# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A holder that captures states and packs them, without a guest."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import digests
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Image, Label, Pack, Writer
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pages import blocks
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = bytes(range(32))


def sign(said: bytes) -> bytes:
    """Sign as the simulated holder: what isn't signed so is refused."""
    return hashlib.sha256(b"holder" + said).digest()


def verify(holder: str, said: bytes, signature: bytes) -> None:
    if signature != sign(said):
        raise BadValue(f"is not signed by {holder}")


def noise(seed: int, number: int = 1) -> Any:
    return np.frombuffer(np.random.default_rng(seed).bytes(number * 4096), np.uint64).reshape(-1, 512).copy()


def root_of(images: dict[str, Any]) -> str:
    tables = {}
    for name, image in images.items():
        tables[name] = np.empty((len(image), digests.BYTES), np.uint8)
        digests.begin(tables[name], image)
    return digests.root(tables)


class Holder:
    """Makes packs of the states that it is given."""

    def __init__(self, service: str = "tally", term: int = 1, sign: Callable[[bytes], bytes] = sign) -> None:
        self.service, self.term, self.epoch, self._sign = service, term, 0, sign
        self.images: dict[str, Any] = {}
        self.parent = ""

    def successor(self, sign: Callable[[bytes], bytes] = sign) -> Holder:
        """Give the holder of the next term, who goes on from this one's last state."""
        found = Holder(self.service, self.term + 1, sign)
        found.images, found.parent, found.epoch = dict(self.images), self.parent, self.epoch
        return found

    def pack(self, images: dict[str, Any], key: bytes = KEY, **others: Any) -> bytes:
        """Give the pack that leads from the last state to this one."""
        self.epoch += 1
        file = io.BytesIO()
        writer = Writer(file, key)
        parts = []
        for name, image in images.items():
            old = self.images[name] if self.parent else np.zeros_like(image)
            found = list(blocks(old, image))
            for said in found:
                writer.add(said)
            parts.append(Image(name, len(image), len(found)))
        root = root_of(images)
        said = {
            "service": self.service, "holder": "a", "term": self.term, "epoch": self.epoch, "parent": self.parent,
            "root": root, "images": tuple(parts), "machine": {"memory": "ram"},
        }  # fmt: skip
        writer.finish(Label(**said | others), self._sign)
        self.images, self.parent = {name: image.copy() for name, image in images.items()}, root
        return file.getvalue()


def opened(said: bytes) -> Pack:
    return Pack(io.BytesIO(said), verify)


@pytest.fixture
def holder() -> Holder:
    return Holder()
