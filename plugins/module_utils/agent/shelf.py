# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last packs of a service that this host has, for peers that missed some: what leads from where to where."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from ..target.system import write_safely
from ..values import Shape, from_json, mismatch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

KEPT = 16
_PACK: dict[str, Shape] = {"digest": str, "term": int, "epoch": int, "parent": str, "root": str}


@dataclass(frozen=True)
class Held:
    """A pack by its blob's digest: it leads from the state `parent` to `root`."""

    digest: str
    term: int
    epoch: int
    parent: str
    root: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def held(said: Mapping[str, Any]) -> Held:
    """Read a pack's description; raise `BadValue` if it is none."""
    if wrong := mismatch(said, _PACK, "a pack"):
        raise BadValue(wrong)
    return Held(**{key: said[key] for key in _PACK})


class Shelf:
    """The packs of one service here, oldest first, written down in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._packs: list[Held] = []
        try:
            said = from_json(path.read_text(encoding="utf-8"))
            self._packs = [held(each) for each in said] if isinstance(said, list) else []
        except (FileNotFoundError, UnicodeDecodeError, BadValue):
            # Without it peers have to ask others, or for the whole.
            pass

    def add(self, pack: Held) -> list[Held]:
        """Take a pack in, and give those that make room for it."""
        self._packs = [each for each in self._packs if each.digest != pack.digest] + [pack]
        gone, self._packs = self._packs[:-KEPT], self._packs[-KEPT:]
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_safely(self._path, json.dumps([each.to_dict() for each in self._packs]).encode())
        kept = {each.digest for each in self._packs}
        return [each for each in gone if each.digest not in kept]

    def way(self, roots: Collection[str], to: str) -> list[Held]:
        """Give the packs that lead from one of these states to another, in their order; none if there is no way."""
        steps: list[Held] = []
        while to not in roots:
            step = next((each for each in reversed(self._packs) if each.root == to), None)
            if step is None or len(steps) > KEPT:
                return []
            steps.insert(0, step)
            if not step.parent:
                break
            to = step.parent
        return steps
