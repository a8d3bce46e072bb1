# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A query, read once and run many times: against the pool, or against each event as it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .conditions import Field, event_getter, row_getter, traces
from .grammar import CountStage, LastStage, SelectStage, WhereStage, parse
from .record import View, context_of
from .stages import Each, Last, Running, Sliding, Total, Windows, select, where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .conditions import Getter
    from .event import Event
    from .grammar import StageMeant
    from .record import Contexts
    from .stages import Groups, Row, Stage

_TIME: Final = Field("time", ("time",))
_Getters = Callable[[Field], "Getter"]


class Query:
    """What `text` asks for. Raises `QueryError` if it can't be understood.

    `test` is the condition before the first `|`, without its times. `traces` are the only ones that an event can have
    for which it holds; None: it may have any.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._meant = parse(text)
        self.traces = traces(self._meant.condition)
        self.test: Callable[[Event | View], bool] = self._meant.condition.test(event_getter)
        self._needles = tuple(dict.fromkeys(self._meant.condition.needles()))

    def span(self, now: float) -> tuple[float, float]:
        """Give the first and the last instant that it asks for."""
        since, until = self._meant.since, self._meant.until
        return since.when(now) if since else 0.0, until.when(now) if until else float("inf")

    @property
    def looks_back_s(self) -> float:
        """How much of the past its counts cover; 0: there are none."""
        counts = [stage.over_s for stage in self._meant.stages if isinstance(stage, CountStage)]
        return max((float("inf") if over_s is None else over_s for over_s in counts), default=0.0)

    def begin(self, now: float) -> Run:
        """Begin a run over what is held, at the instant `now`."""
        until = min(now, self.span(now)[1])
        return Run(now, self._made(lambda stage, getters: _over_held(stage, getters, until)))

    def follow(self, clock: Callable[[], float]) -> Run:
        """Begin a run over what comes from now on, event by event; `clock` gives the time when one comes.

        `count` then tells at each event how many there are in the window that ends with it, or so far. `last` lets
        each event pass, since it is the last one when it comes.
        """
        return Run(clock(), self._made(lambda stage, getters: _over_coming(stage, getters, clock)))

    def matching(self, contexts: Contexts) -> Callable[[Sequence[bytes]], list[View]]:
        """Make what gives those records for which `test` holds."""
        condition, needles, test = self._meant.condition, self._needles, self.test
        possible: dict[int, bool] = {}
        released = contexts.released

        def chosen(records: Sequence[bytes]) -> list[View]:
            nonlocal released
            if released != contexts.released:
                possible.clear()
                released = contexts.released
            found = []
            for record in records:
                number = context_of(record)
                if number not in possible:
                    possible[number] = condition.possible(contexts.all[number]) is not False
                if not possible[number]:
                    continue
                # Most records are left out here, before anything of them is read.
                for needle in needles:
                    if needle not in record:
                        break
                else:
                    view = View(record, contexts.all[number])
                    if test(view):
                        found.append(view)
            return found

        return chosen

    def _made(self, make: Callable[[StageMeant, _Getters], Stage | None]) -> list[Stage]:
        """Make the stages, and behind them one that makes rows of what still are events."""
        made: list[Stage | None] = []
        getters: _Getters = event_getter
        for stage in self._meant.stages:
            made.append(make(stage, getters))
            if isinstance(stage, (CountStage, SelectStage)):
                getters = row_getter
        if getters is event_getter:
            made.append(Each(lambda events: [event.to_dict() for event in events]))
        return [stage for stage in made if stage is not None]


class Run:
    """One run of a query, at the instant `now`, with what its stages remember."""

    def __init__(self, now: float, stages: list[Stage]) -> None:
        self.now = now
        self._stages = stages

    @property
    def full(self) -> bool:
        """Whether nothing that comes now would change the results; `end` is still to be asked."""
        return any(stage.full for stage in self._stages)

    def take(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Give the results that are known with these events, which the query asks for."""
        found = list(rows)
        for stage in self._stages:
            found = stage.take(found)
        return found

    def end(self) -> list[dict[str, Any]]:
        """Give the results that were not known until all events had come."""
        found: list[Row] = []
        for stage in self._stages:
            found = stage.take(found) + stage.end()
        return found


def _over_held(stage: StageMeant, getters: _Getters, until: float) -> Stage:
    if isinstance(stage, CountStage):
        by = _groups(stage.by, getters)
        return Total(by) if stage.over_s is None else Windows(getters(_TIME), stage.over_s, by, until)
    if isinstance(stage, LastStage):
        return Last(stage.most, _groups(stage.per, getters))
    return _each(stage, getters)


def _over_coming(stage: StageMeant, getters: _Getters, clock: Callable[[], float]) -> Stage | None:
    if isinstance(stage, CountStage):
        by = _groups(stage.by, getters)
        return Running(by) if stage.over_s is None else Sliding(getters(_TIME), stage.over_s, by, clock)
    return None if isinstance(stage, LastStage) else _each(stage, getters)


def _each(stage: WhereStage | SelectStage, getters: _Getters) -> Stage:
    if isinstance(stage, WhereStage):
        return where(stage.condition.test(getters))
    return select([(name, getters(field)) for field, name in stage.fields])


def _groups(fields: tuple[Field, ...], getters: _Getters) -> Groups:
    return [(field.name, getters(field)) for field in fields]
