# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All targets at once."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .remote import Answer, Remote

T = TypeVar("T")


@dataclass
class Answers(Generic[T]):
    """What the targets said, and which of them failed, with the reason."""

    of: dict[str, T] = field(default_factory=dict)
    failed: dict[str, OkiagariError] = field(default_factory=dict)

    @property
    def reasons(self) -> list[str]:
        return [str(error) for _target, error in sorted(self.failed.items())]


class Interrupted(Exception):  # noqa: N818 -- no error: it was asked for
    """The answers are waited for no longer. Whoever was asked may still be doing it."""


class Fleet:
    """The targets of a drill. Every method asks up to `parallel` at once, and returns when the last has answered.

    After `interrupt`, called from any thread, they raise `Interrupted` instead, until `persist`.
    """

    def __init__(self, remotes: Mapping[str, Remote], parallel: int) -> None:
        self.remotes = dict(remotes)
        self._parallel = parallel
        self._interrupted: Future[None] = Future()
        self._persists = False

    def interrupt(self) -> None:
        """Wait for no answer any more."""
        with suppress(InvalidStateError):
            self._interrupted.set_result(None)

    def persist(self) -> None:
        """Wait for all answers again, whatever comes."""
        self._persists = True

    def call(
        self,
        command: str,
        payloads: Mapping[str, Mapping[str, Any]] | None = None,
        timeout: float = 20.0,
        tries: int = 1,
        urgent: bool = False,
    ) -> Answers[Answer]:
        """Run a command on the targets of `payloads` (None: on all). What fails is tried again, up to `tries` times.

        An `urgent` one goes to all of them at once: no target waits behind one that doesn't answer.
        """
        chosen: Mapping[str, Mapping[str, Any]] = (
            payloads if payloads is not None else {target: {} for target in self.remotes}
        )
        most = len(chosen) if urgent else self._parallel
        found = self.each(chosen, lambda remote: remote.call(command, chosen[remote.name], timeout), most)
        for _again in range(tries - 1):
            if not found.failed:
                break
            again = self.each(found.failed, lambda remote: remote.call(command, chosen[remote.name], timeout), most)
            found = Answers({**found.of, **again.of}, again.failed)
        return found

    def each(self, targets: Iterable[str], ask: Callable[[Remote], T], most: int | None = None) -> Answers[T]:
        """Apply `ask` to the targets, to so many at once as `most` says."""
        names = [name for name in targets if name in self.remotes]
        answers: Answers[T] = Answers()
        if not names:
            return answers
        pool = ThreadPoolExecutor(min(len(names), most or self._parallel))
        try:
            futures = {name: pool.submit(ask, self.remotes[name]) for name in names}
            self._await(futures.values())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for name, future in futures.items():
            try:
                answers.of[name] = future.result()
            except OkiagariError as error:
                answers.failed[name] = error
        return answers

    def _await(self, futures: Iterable[Future[Any]]) -> None:
        waiting: set[Future[Any]] = set(futures)
        interrupts: set[Future[Any]] = set() if self._persists else {self._interrupted}
        while waiting:
            done = wait(waiting | interrupts, return_when=FIRST_COMPLETED).done
            if done & interrupts:
                raise Interrupted
            waiting -= done

    def close(self) -> None:
        self.each(self.remotes, lambda remote: remote.close())
