# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of check is: how it is read, what it asks of a target, and when the answer is as it should be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .model import Phase, Traffic, Writer
    from .places import Places
    from .reader import Reader
    from .statistics import Direction
    from .writes import Written

Windows = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Scope:
    """What a check is read in: the testbed's words, the drill's own streams and writers, and its probe's phase."""

    places: Places
    streams: Mapping[str, Traffic]
    writers: Mapping[str, Writer]
    phase: Phase | None


@dataclass(frozen=True)
class Context:
    """What answers are judged with, besides themselves.

    `acknowledged` is how many records of the writer in question must be there (None: nothing is known of it);
    `before` are the facts of the answer to the same question before the faults, for a check that `compares`.
    """

    places: Places
    acknowledged: int | None = None
    before: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What a target answered: whether it is well, the facts, and one line for people. Without facts it couldn't ask."""

    ok: bool
    value: dict[str, Any]
    detail: str


@dataclass(frozen=True)
class Measurements:
    """What was measured over the whole run. `injected` is the instant of the first injection (None: there was none)."""

    directions: Sequence[Direction]
    written: Sequence[Written]
    windows: Windows
    injected: float | None


@dataclass(frozen=True)
class Judgement:
    """Whether it is as it should be, in one line for people, and the facts. `at` is in seconds since T0."""

    ok: bool
    detail: str
    at: float | None
    value: dict[str, Any] | None


class Check(ABC):
    """One kind of check. `allowed` are its keys; `shorthand` is the one that a bare text stands for."""

    name: ClassVar[str]
    allowed: ClassVar[tuple[str, ...]]
    shorthand: ClassVar[str | None] = None

    @classmethod
    def keys(cls, phase: Phase | None) -> tuple[str, ...]:  # noqa: ARG003
        """Give the keys that it may have in a phase."""
        return cls.allowed

    @classmethod
    @abstractmethod
    def unfit(cls, phase: Phase) -> str | None:
        """Say why it is not for probes of the phase, or give None."""

    @classmethod
    @abstractmethod
    def read(cls, entry: Reader, scope: Scope) -> Check | None:
        """Give the check that a person wrote; None after a problem without which it would make no sense."""

    @abstractmethod
    def describe(self, phase: Phase, within: float | None) -> str:
        """Say what it asserts."""


class Asked(Check):
    """A question that the node `source` answers."""

    source: str

    @classmethod
    def unfit(cls, phase: Phase) -> str | None:  # noqa: ARG003
        return None

    @property
    def compares(self) -> bool:
        """Whether it has to be asked before the faults as well."""
        return False

    def describe(self, phase: Phase, within: float | None) -> str:
        if phase == "recover_within":
            return f"{self.asserts()} again within {within or 0:g} s"
        return self.asserts()

    @abstractmethod
    def asserts(self) -> str:
        """Say what it asserts of the instant at which it is asked."""

    def question(self, run: str) -> dict[str, Any]:  # noqa: ARG002
        """Give what the target program is asked in this run of the drill."""
        return {"type": self.name, **self.parameters()}

    def helper(self) -> tuple[str, dict[str, Any]] | None:
        """Give another node that has to take part, and what it is asked at the same time."""
        return None

    @property
    def nodes(self) -> set[str]:
        """The nodes that have to answer."""
        helper = self.helper()
        return {self.source, helper[0]} if helper else {self.source}

    def questions(self, probe: str, run: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give what which node is asked for the probe with this id. The first one is `source`, whose answer counts."""
        yield self.source, {"id": probe, **self.question(run)}
        if helper := self.helper():
            yield helper[0], {"id": f"{probe}-helper", **helper[1]}

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Give the parameters of the question."""

    @abstractmethod
    def faults(self, answer: Answer, context: Context) -> list[str]:
        """Say what is not as it should be. A fact that is found thereby may be added to the answer's."""

    def words(self, answer: Answer, context: Context) -> str:  # noqa: ARG002
        """Give the answer in words."""
        return answer.detail


class Measured(Check):
    """A check of what is measured over the whole run."""

    @classmethod
    def unfit(cls, phase: Phase) -> str | None:
        if phase in ("continuous", "recover_within"):
            return None
        return f"is measured over the whole run: use the phase continuous or recover_within, not {phase}"

    @abstractmethod
    def judge(self, phase: Phase, within: float | None, measured: Measurements) -> Judgement:
        """Say whether what was measured is as it should be; `within` (s) is set in the phase recover_within only."""
