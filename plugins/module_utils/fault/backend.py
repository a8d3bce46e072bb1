# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a back-end must offer: read some state, render the way to another, apply it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .model import State

# In the back-end's own words; on Linux one command.
Op = tuple[str, ...]

_ROUNDS = 5


class MissingCapability(OkiagariError):  # noqa: N818 -- as the rest of the tree
    """The target or its back-end can't do what a fault needs."""


class Leftover(NamedTuple):
    """Something that carries this collection's mark, found without the journal, and how to remove it."""

    what: str
    name: str
    detail: str
    ops: tuple[Op, ...]


class Backend(ABC):
    """One way to change a target. Everything it does it does through what it was made with, such as a runner."""

    name: str

    @abstractmethod
    def capabilities(self) -> frozenset[str]:
        """Give what this back-end can do on this very target, of `link`, `netem`, `route` ..."""

    @abstractmethod
    def gather(self, entries: Iterable[str]) -> State:
        """Read the named state entries. Raises `OkiagariError` if the target doesn't answer; never changes anything."""

    @abstractmethod
    def render(self, have: State, want: State) -> list[Op]:
        """Give the operations that lead from `have` to `want`; none if nothing that `want` names is missing."""

    @abstractmethod
    def apply(self, ops: Sequence[Op]) -> None:
        """Carry out all `ops` in order, then raise `OkiagariError` for the first that failed."""

    def ready(self, ops: Sequence[Op]) -> Callable[[], None]:
        """Do of `apply` what can be done beforehand, and give the rest of it. What is never called changes nothing."""
        return partial(self.apply, ops)

    @abstractmethod
    def leftovers(self) -> list[Leftover]:
        """Find everything that carries this collection's mark, without memory."""

    def measure(self, entry: str) -> dict[str, Any]:  # noqa: ARG002
        """Give what the target counted on the wire at `entry` while the fault stood; empty if it counts nothing."""
        return {}

    def close(self) -> None:
        """Let go of what the back-end holds. Never raises."""
        return

    def require(self, capability: str) -> None:
        """Raise `MissingCapability` unless this target can do `capability`."""
        if capability not in self.capabilities():
            raise MissingCapability(f"this target lacks the capability '{capability}' of the back-end '{self.name}'")


def converge(backend: Backend, want: State) -> State:
    """Make `want` so, as often as it takes, and give the state that was then read back.

    Some things can only follow others (a route needs its address, an address its link), and a kernel or a daemon may be
    restoring them at the same moment: so each round looks anew and does only what is still missing.
    """
    error: OkiagariError | None = None
    for _round in range(_ROUNDS):
        have = backend.gather(want)
        ops = backend.render(have, want)
        if not ops:
            return have
        try:
            backend.apply(ops)
        except OkiagariError as failure:
            error = failure
    raise error or OkiagariError(f"the target did not come to the wanted state: still to do {ops}")
