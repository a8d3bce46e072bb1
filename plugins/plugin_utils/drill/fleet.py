# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All targets at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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


class Fleet:
    """The targets of a drill. Every method asks up to `parallel` at once, and returns when the last has answered."""

    def __init__(self, remotes: Mapping[str, Remote], parallel: int) -> None:
        self.remotes = dict(remotes)
        self._parallel = parallel

    def call(
        self,
        command: str,
        payloads: Mapping[str, Mapping[str, Any]] | None = None,
        timeout: float = 20.0,
        tries: int = 1,
    ) -> Answers[Answer]:
        """Run a command on the targets of `payloads` (None: on all). What fails is tried again, up to `tries` times."""
        chosen: Mapping[str, Mapping[str, Any]] = (
            payloads if payloads is not None else {target: {} for target in self.remotes}
        )
        found = self.each(chosen, lambda remote: remote.call(command, chosen[remote.name], timeout))
        for _again in range(tries - 1):
            if not found.failed:
                break
            again = self.each(found.failed, lambda remote: remote.call(command, chosen[remote.name], timeout))
            found = Answers({**found.of, **again.of}, again.failed)
        return found

    def each(self, targets: Iterable[str], ask: Callable[[Remote], T]) -> Answers[T]:
        """Apply `ask` to the targets."""
        names = [name for name in targets if name in self.remotes]
        answers: Answers[T] = Answers()
        if not names:
            return answers
        with ThreadPoolExecutor(min(len(names), self._parallel)) as pool:
            futures = {name: pool.submit(ask, self.remotes[name]) for name in names}
        for name, future in futures.items():
            try:
                answers.of[name] = future.result()
            except OkiagariError as error:
                answers.failed[name] = error
        return answers

    def close(self) -> None:
        self.each(self.remotes, lambda remote: remote.close())
