# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill is once it has been read: frozen, complete, and resolved against its testbed.

Times are seconds since T0, delays milliseconds, loss is in percent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from .patience import ONCE, Patience

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .check import Check
    from .places import Device

Phase = Literal["before", "on_fault", "continuous", "recover_within", "after"]

PHASES: tuple[Phase, ...] = ("before", "on_fault", "continuous", "recover_within", "after")
READY_S = 60.0
WINDOWS = ("before", "faults", "after", "run")


@dataclass(frozen=True)
class Range:
    """A closed range; a bound that is None is open."""

    low: float | None
    high: float | None

    def __contains__(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def text(self, unit: str) -> str:
        """Write the range for people: `26 to 34 %`, `at most 5 ms`."""
        if self.low is None:
            return f"at most {self.high:g} {unit}"
        if self.high is None:
            return f"at least {self.low:g} {unit}"
        if self.low == self.high:
            return f"{self.low:g} {unit}"
        return f"{self.low:g} to {self.high:g} {unit}"


@dataclass(frozen=True)
class Traffic:
    """A stream of `rate` packets a second each way between the nodes `a` and `b`."""

    name: str
    a: str
    b: str
    rate: int


@dataclass(frozen=True)
class When:
    """An event that a fault's own target waits for, as its program has it, for `within` seconds at most."""

    event: Mapping[str, Any]
    within: float
    text: str


@dataclass(frozen=True)
class Step:
    """From `after` seconds after its injection on, a fault has these parameters."""

    after: float
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """One fault on one target, on from `at` for `lasts` seconds.

    With `when` it comes at that event instead, which is waited for from `at` on. `steps` are in the order of time.
    `by` is what makes and ends it where the target itself can't (None: it does). `silences`: the target answers nobody
    meanwhile; `ends_programs`: nor does what ran on it go on afterwards. `interface`: as the testbed calls it.
    """

    id: str
    kind: str
    target: str
    params: Mapping[str, Any]
    at: float
    lasts: float
    circuit: str | None = None
    by: str | None = None
    silences: bool = False
    ends_programs: bool = False
    steps: tuple[Step, ...] = ()
    when: When | None = None
    interface: str | None = None

    @property
    def latest(self) -> float:
        """The latest instant at which it may come."""
        return self.at + (self.when.within if self.when else 0.0)

    @property
    def ends(self) -> float:
        """The latest instant at which it may still stand."""
        return self.latest + self.lasts

    @property
    def maker(self) -> str:
        """The target whose program makes it."""
        return self.by or self.target


@dataclass(frozen=True)
class Writer:
    """A writer on `node` of at most `rate` records of `size` bytes a second to the file `path`."""

    name: str
    node: str
    path: str
    rate: float
    size: int


@dataclass(frozen=True)
class Probe:
    """One assertion. `at` is set in phase on_fault only, `within` (s) in phase recover_within only.

    In the phases continuous and recover_within a question is asked over the whole run. In the former `max_outage_s`
    bounds the time without a right answer from the first injection on; without it `patience.tolerate` counts.
    If a probe with `stop` doesn't hold the drill ends.
    """

    id: str
    name: str
    phase: Phase
    check: Check
    at: float | None = None
    within: float | None = None
    patience: Patience = ONCE
    max_outage_s: float | None = None
    stop: bool = False

    @property
    def sampled(self) -> bool:
        """Whether it is about the whole run."""
        return self.phase in ("continuous", "recover_within")

    @property
    def during(self) -> bool:
        """Whether it is asked while the programs run, by the targets themselves."""
        return self.phase not in ("before", "after")

    def span(self, end: float) -> tuple[float, float]:
        """Give when a question is asked first and last during the run, whose streams end at `end`."""
        begin = 0.0 if self.sampled else self.at or 0.0
        return begin, end if self.sampled else begin + self.patience.lasts_s


@dataclass(frozen=True)
class Drill:
    """A whole drill. `watch_s`: how long traffic is watched after the last fault has ended. `budget`: limits in ms.

    `choices` says what the `seed` chose, each by its place in the timeline. `devices` are the nodes of the testbed on
    which no program can run.
    """

    name: str
    title: str
    hypothesis: str
    traffic: tuple[Traffic, ...] = ()
    faults: tuple[Fault, ...] = ()
    probes: tuple[Probe, ...] = ()
    writers: tuple[Writer, ...] = ()
    expects_isolated: tuple[str, ...] = ()
    expects_no_majority: bool = False
    watch_s: float = 10.0
    recover_timeout_s: float = 30.0
    budget: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    choices: tuple[tuple[str, str], ...] = ()
    devices: Mapping[str, Device] = field(default_factory=dict)

    @cached_property
    def last_end(self) -> float:
        return max((fault.ends for fault in self.faults), default=0.0)

    @property
    def until(self) -> float:
        """The instant at which the streams end."""
        return self.last_end + self.watch_s

    @property
    def ends(self) -> float:
        """The instant at which the programs end; late packets and probes have two seconds."""
        return self.until + 2.0

    @property
    def expected_s(self) -> float:
        """How long a run may take: to get ready, the programs, the network's recovery, and the probes around them."""
        around: tuple[Phase, ...] = ("before", "after")
        asked = [max((probe.patience.lasts_s for probe in self.of_phase(phase)), default=0.0) for phase in around]
        return READY_S + self.ends + self.recover_timeout_s + sum(asked)

    def silenced(self, instant: float) -> set[str]:
        """Give the targets that a fault has silenced by an instant; whether they are back nobody knows but they."""
        return {fault.target for fault in self.faults if fault.silences and fault.at <= instant}

    def of_phase(self, phase: Phase) -> tuple[Probe, ...]:
        return tuple(probe for probe in self.probes if probe.phase == phase)

    @property
    def tests_something(self) -> bool:
        """Whether there is a fault, and an assertion that the fault could break."""
        return bool(self.faults) and any(probe.phase != "before" for probe in self.probes)
