# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pack: one epoch of a service as it travels and is kept (P1.2). It never changes, so anybody may pass it on.

    magic, sections, label (JSON), signature, lengths of label and signature, magic

The label says which state the pack leads from and to, and the digest of all sections; it is signed by the key of the
holder's certificate. Each section, a block of pages, is sealed by the service's own key (AES-256-GCM, bound to the pack
and its place), so that whoever only passes packs on, or steals a disk, reads no guest's memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import BadValue, shown
from ..values import Shape, from_json, mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

KEY_BYTES = 32
_MAGIC = b"okipack1"
_END = struct.Struct(">II8s")
_SALT = 8
_LONGEST_LABEL = 16 * 1024 * 1024
_LONGEST_SIGNATURE = 1024
_TAG = 16
_IMAGE: dict[str, Shape] = {"name": str, "pages": int, "blocks": int}
_LABEL: Shape = {
    "service": str, "holder": str, "term": int, "epoch": int, "parent": str, "root": str, "images": [_IMAGE],
    "machine": dict, "salt": str, "sections": [int], "digest": str,
}  # fmt: skip


@dataclass(frozen=True)
class Image:
    """One image of a state: so many pages, of which the pack changes some by so many blocks."""

    name: str
    pages: int
    blocks: int


@dataclass(frozen=True)
class Label:
    """What a pack is: epoch `epoch` of `service`, captured by `holder` in its term `term`.

    `parent` is the root of the state that it changes, empty for a first one; `root` is that of the state it leads to.
    `machine` is what whoever restores it has to know. The sections are the blocks of each image in turn.
    """

    service: str
    holder: str
    term: int
    epoch: int
    parent: str
    root: str
    images: tuple[Image, ...]
    machine: Mapping[str, Any]


class Writer:
    """Writes a pack to a binary file, section by section; `finish` last."""

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        self._file, self._salt = file, os.urandom(_SALT)
        self._sealer = _Sealer(key, self._salt)
        self._digest = hashlib.sha256()
        self._lengths: list[int] = []
        file.write(_MAGIC)

    def add(self, section: bytes) -> None:
        sealed = self._sealer.seal(len(self._lengths), section)
        self._digest.update(sealed)
        self._lengths.append(len(sealed))
        self._file.write(sealed)

    @property
    def sections(self) -> int:
        """How many there are so far."""
        return len(self._lengths)

    def finish(self, label: Label, sign: Callable[[bytes], bytes]) -> None:
        """Close the pack with its label, which has one image for each that blocks were added of."""
        said = {
            **asdict(label), "salt": self._salt.hex(), "sections": self._lengths, "digest": self._digest.hexdigest(),
        }  # fmt: skip
        text = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        signature = sign(text)
        self._file.write(text + signature + _END.pack(len(text), len(signature), _MAGIC))


class Pack:
    """A pack that was received, as a binary file. What its label says is signed; `check` compares the rest with it.

    `verify` gets the holder's name, what it should have signed and the signature; it raises `BadValue` if it hasn't.
    """

    def __init__(self, file: BinaryIO, verify: Callable[[str, bytes, bytes], object]) -> None:
        self._file = file
        said = self._read_label(verify)
        self.label = Label(
            images=tuple(Image(**{key: image[key] for key in _IMAGE}) for image in said["images"]),
            **{key: said[key] for key in ("service", "holder", "term", "epoch", "parent", "root", "machine")},
        )
        self._lengths: Sequence[int] = said["sections"]
        self._digest = said["digest"]
        try:
            self._salt = bytes.fromhex(said["salt"])
        except ValueError:
            raise BadValue("is no pack: its salt is no number") from None
        if len(self._lengths) != sum(image.blocks for image in self.label.images):
            raise BadValue("is no pack: it has another number of sections than its images")

    def check(self) -> None:
        """Raise `BadValue` unless every byte is as its holder wrote it; for whoever keeps it without the key."""
        digest = hashlib.sha256()
        for _place, sealed in self._sealed():
            digest.update(sealed)
        if digest.hexdigest() != self._digest:
            raise BadValue("is damaged: its content isn't what was signed")

    def blocks(self, key: bytes) -> Iterator[tuple[Image, bytes]]:
        """Give each block in the clear, with its image; raise `BadValue` for another service's key, or damage."""
        sealer = _Sealer(key, self._salt)
        images = [image for image in self.label.images for _block in range(image.blocks)]
        for image, (place, sealed) in zip(images, self._sealed(), strict=True):
            yield image, sealer.open(place, sealed)

    def _sealed(self) -> Iterator[tuple[int, bytes]]:
        self._file.seek(len(_MAGIC))
        for place, length in enumerate(self._lengths):
            sealed = self._file.read(length)
            if len(sealed) != length:
                raise BadValue("is damaged: it ends too early")
            yield place, sealed

    def _read_label(self, verify: Callable[[str, bytes, bytes], object]) -> dict[str, Any]:
        size = self._file.seek(0, os.SEEK_END)
        if size < len(_MAGIC) + _END.size:
            raise BadValue("is no pack: it is too short")
        self._file.seek(0)
        begin = self._file.read(len(_MAGIC))
        self._file.seek(size - _END.size)
        label_bytes, signature_bytes, end = _END.unpack(self._file.read(_END.size))
        start = size - _END.size - label_bytes - signature_bytes
        if begin != _MAGIC or end != _MAGIC or start < len(_MAGIC):
            raise BadValue("is no pack, or not the whole of one")
        if label_bytes > _LONGEST_LABEL or signature_bytes > _LONGEST_SIGNATURE:
            raise BadValue("is no pack: its label is too long")
        self._file.seek(start)
        text, signature = self._file.read(label_bytes), self._file.read(signature_bytes)
        said = from_json(text.decode("utf-8", "replace"))
        if (wrong := mismatch(said, _LABEL, "its label")) or not isinstance(said, dict):
            raise BadValue(wrong or "its label is not a mapping")
        verify(said["holder"], text, signature)
        if any(length < _TAG for length in said["sections"]) or sum(said["sections"]) != start - len(_MAGIC):
            raise BadValue("is no pack: its sections don't make up its length")
        return said


class _Sealer:
    """Seals the sections of one pack. The salt is new for each, so no nonce is ever used twice with a key."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(key) != KEY_BYTES:
            raise BadValue(f"the service's key has {len(key)} bytes, not {KEY_BYTES}: run playbooks/agents.yml")
        if len(salt) != _SALT:
            raise BadValue(f"is no pack: its salt is {shown(salt.hex())}")
        self._cipher, self._salt = AESGCM(key), salt

    def seal(self, place: int, section: bytes) -> bytes:
        return self._cipher.encrypt(self._nonce(place), section, _MAGIC)

    def open(self, place: int, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(self._nonce(place), sealed, _MAGIC)
        except InvalidTag:
            raise BadValue("can't be opened: it is damaged, or sealed by another key than this service's") from None

    def _nonce(self, place: int) -> bytes:
        return self._salt + place.to_bytes(4, "big")
