# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One sort of things on a Linux target: how its state entries are read, changed and found again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .backend import Leftover, Op

Entry = dict[str, Any]


class Resource(ABC):
    """All state entries with one prefix, such as `service:...`; `name` is what comes after it."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @abstractmethod
    def gather(self, name: str) -> Entry:
        """Read one entry. Raises `OkiagariError` if the target doesn't answer; never changes anything."""

    @abstractmethod
    def ops(self, name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
        """Give the commands that lead from `have` to `want`; none if nothing that `want` names is missing."""

    def leftovers(self) -> list[Leftover]:
        """Find everything that carries this collection's mark, without memory."""
        return []

    def measure(self, name: str) -> dict[str, Any]:  # noqa: ARG002
        """Give what was counted while the fault stood; empty if nothing is."""
        return {}
