# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a storage engine must offer: read a cluster, render the way to the wanted one, apply it.

There is one engine now, GlusterFS. A second one (Ceph for example) is one more file like `gluster.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import State, Wanted


class Op(NamedTuple):
    """One command. `until` names what has to be true of `subject` before the next one: `joined`, `online`, `moved`."""

    argv: tuple[str, ...]
    until: str = ""
    subject: tuple[str, ...] = ()


class MissingCapability(OkiagariError):  # noqa: N818 -- as the rest of the tree
    """The engine can't do what the wish needs."""


class StorageEngine(ABC):
    """One kind of storage cluster, seen from one of its members."""

    name: str

    @abstractmethod
    def capabilities(self) -> frozenset[str]:
        """Give what this engine can do, of `replicate`, `replace`, `grow`, `shrink`, `fence`, `tls`, `nfs`."""

    @abstractmethod
    def gather(self, volume: str) -> State:
        """Read the cluster and one volume. A host without the engine has an empty state. Never changes anything."""

    @abstractmethod
    def render(self, have: State, want: Wanted) -> list[Op]:
        """Give the operations that lead from `have` to `want`. Raises `BadInput` with all that makes it unsafe now."""

    @abstractmethod
    def render_removal(self, have: State) -> list[Op]:
        """Give the operations that remove the volume; its bricks keep their data."""

    @abstractmethod
    def apply(self, ops: Sequence[Op]) -> None:
        """Carry out all `ops` in order; raise `OkiagariError` at the first that fails."""

    def require(self, capability: str) -> None:
        """Raise `MissingCapability` unless the engine can do `capability`."""
        if capability not in self.capabilities():
            raise MissingCapability(f"the storage engine '{self.name}' lacks the capability '{capability}'")
