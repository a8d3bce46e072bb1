# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions with IOS-XE and IOS-XR: every answer is read, and a change that isn't confirmed undoes itself."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadInput, OkiagariError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..vyos.session import Channel

# One line of configuration after the lines that lead to it: ("interface Null0", "no ip unreachables").
Line = tuple[str, ...]

# A message of the log, such as %SYS-5-CONFIG_I, may come in between.
_REFUSED = re.compile(r"^\s*%(?![A-Z0-9_]+-\d-).*|.*(?:Failed to|[Ee]rror:).*", re.MULTILINE)
_UNKNOWN = re.compile(r"^\s*% *(?:Invalid|Incomplete|Ambiguous|Unknown|Unrecognized).*", re.MULTILINE)
_COMMIT_S = 120.0


class IosError(OkiagariError):
    """A router refused something, or isn't as it must be."""


class Session(ABC):
    """One login, which must have all rights. `unit` is how many seconds a unit of its leases lasts."""

    standard_unit: ClassVar[float]
    least: ClassVar[int] = 1
    most: ClassVar[int]
    what: ClassVar[str]

    def __init__(self, name: str, channel: Channel, unit: float | None = None) -> None:
        self._name = name
        self._channel = channel
        self.unit = unit or self.standard_unit

    def ask(self, line: str) -> str:
        """Give what `show LINE` prints, also if that is that there is nothing."""
        return self._send(f"show {line}", _COMMIT_S)

    def show(self, line: str) -> str:
        """Give what `show LINE` prints. Raises `IosError` if the router says no."""
        answer = self.ask(line)
        if refusal := _UNKNOWN.search(answer):
            raise IosError(f"{self._name}: show {line}: {refusal[0].strip()}")
        return answer

    @abstractmethod
    def keeps_leases(self) -> bool:
        """Say whether the router is set up to take a change back by itself."""

    @abstractmethod
    def trial(self, lines: Sequence[Line], units: int) -> None:
        """Make a change that the router takes back after so many units. Raises `OkiagariError`: none is made."""

    @abstractmethod
    def cancel(self, lines: Sequence[Line]) -> None:
        """Have the change of `trial` taken back now; `lines` lead back, should the router need them."""

    @abstractmethod
    def change(self, lines: Sequence[Line]) -> None:
        """Make a change for good. It is not saved."""

    def close(self) -> None:
        self._channel.close()

    def _send(self, line: str, timeout: float = 30.0) -> str:
        return self._channel.send(line, timeout)

    def _done(self, line: str) -> None:
        answer = self._send(line, _COMMIT_S)
        if refusal := _REFUSED.search(answer):
            raise IosError(f"{self._name}: {line}: {refusal[0].strip()}")

    def _type(self, lines: Sequence[Line]) -> None:
        problems = []
        for line in lines:
            depth = 0
            for word in line:
                if refusal := _REFUSED.search(self._send(word)):
                    problems.append(Problem(self._name, None, " / ".join(line), refusal[0].strip()))
                    break
                depth += 1
            # The last line itself leads nowhere, unless it begins a block of its own.
            for _level in range(min(depth, len(line) - 1)):
                self._send("exit")
        if problems:
            raise BadInput(problems)


class XeSession(Session):
    """IOS-XE: lines work as they are typed, and `configure terminal revert timer` goes back to an archived copy."""

    standard_unit = 60.0
    most = 120
    what = "minutes"

    def keeps_leases(self) -> bool:
        return bool(re.search(r"^\s+path \S", self.show("running-config | section ^archive"), re.MULTILINE))

    def trial(self, lines: Sequence[Line], units: int) -> None:
        if self._waiting():
            raise IosError(f"{self._name}: somebody's change waits there for its confirmation (configure confirm)")
        self._done(f"configure terminal revert timer {units}")
        try:
            self._type(lines)
        except BadInput:
            self._send("end")
            self._done("configure revert now")
            raise
        self._send("end")

    def cancel(self, lines: Sequence[Line]) -> None:
        if self._waiting():
            self._done("configure revert now")
        else:
            self.change(lines)

    def _waiting(self) -> bool:
        return "No Rollback Confirmed Change" not in self.ask("archive config rollback timer")

    def change(self, lines: Sequence[Line]) -> None:
        self._done("configure terminal")
        try:
            self._type(lines)
        finally:
            self._send("end")


class XrSession(Session):
    """IOS-XR: lines are committed together, and `commit confirmed` goes back by itself."""

    standard_unit = 1.0
    least = 30
    most = 65535
    what = "seconds"

    def keeps_leases(self) -> bool:
        return True

    def trial(self, lines: Sequence[Line], units: int) -> None:
        self._commit(lines, f"commit confirmed {units}")

    def cancel(self, lines: Sequence[Line]) -> None:
        # A commit during the trial ends it, and keeps what it leads to: what was there before.
        self._commit(lines, "commit")

    def change(self, lines: Sequence[Line]) -> None:
        self._commit(lines, "commit")

    def _commit(self, lines: Sequence[Line], commit: str) -> None:
        # Nobody else can commit meanwhile.
        self._done("configure exclusive")
        try:
            self._type(lines)
            self._done(commit)
        except (BadInput, IosError):
            self._send("abort")
            raise
        self._send("end")
