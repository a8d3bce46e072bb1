# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two paths from here have in common."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .path import Path


class Verdict(StrEnum):
    """Whether two paths meet, as far as can be told from here."""

    SHARED = "shared"
    DISJOINT = "disjoint"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Sharing:
    """The addresses on both of two paths, and how many routers of each are silent; None: nobody knows how many.

    Silent routers may be shared as well, whatever the `verdict` is.
    """

    hops: frozenset[str]
    silent: tuple[int | None, int | None]

    @property
    def verdict(self) -> Verdict:
        if self.hops:
            return Verdict.SHARED
        return Verdict.DISJOINT if self.silent == (0, 0) else Verdict.UNKNOWN

    def to_dict(self) -> dict[str, Any]:
        return {"verdict": self.verdict.value, "hops": sorted(self.hops), "silent": list(self.silent)}


def shared(a: Path, b: Path, besides: Collection[str] = ()) -> Sharing:
    """Say what two paths share, besides these addresses; one that is on any way of both counts."""
    return Sharing((a.routers & b.routers).difference(besides), (a.silent, b.silent))


def on_all(paths: Iterable[Path]) -> frozenset[str]:
    """Give the addresses that are on all paths, which no choice among them avoids."""
    found = [path.routers for path in paths]
    return frozenset.intersection(*found) if found else frozenset()


def pairs(paths: Mapping[str, Path], besides: Collection[str] = ()) -> dict[tuple[str, str], Sharing]:
    """Give what each two of the paths share, by their names in the mapping's order."""
    return {(a, b): shared(paths[a], paths[b], besides) for a, b in combinations(paths, 2)}
