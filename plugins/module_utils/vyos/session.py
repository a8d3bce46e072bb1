# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration session of a VyOS router: every answer is read, and what isn't confirmed undoes itself.

The router is reached through a `Channel`, so that the same session serves any transport and its tests. Whatever goes
wrong, nothing half-done stays: uncommitted changes are discarded, and a change that cuts the way to the router isn't
confirmed, so that the router takes it back by itself.
"""

from __future__ import annotations

import re
import shlex
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from ..errors import BadInput, OkiagariError, Problem
from ..runner import Completed
from .lines import command, missing, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .lines import Changes, Path

RELOAD = ("system", "config-management", "commit-confirm", "reload")
NO_CHANGE = "No changes between working"

_TIMER = "systemctl is-active commit-confirm.timer"
_ALREADY = re.compile(
    r"Configuration path: \[.*\] already exists|Nothing to delete \(the specified \w+ does not exist\)"
)
_LOCKED = re.compile(r"temporarily locked|is locked|another commit in progress", re.IGNORECASE)
_PENDING = re.compile(r"Another confirm is pending", re.IGNORECASE)
_FAILED = re.compile(
    r"\bfailed\b|Failed to |Invalid |not (?:configured|valid|permitted)|Error:|Traceback|No configuration changes"
)
_QUESTION = re.compile(r"Proceed\s*\?[^\n]*$")
_VERSION = re.compile(r"^Version:\s+VyOS\s+(\S+)", re.MULTILINE)
_RELEASE = re.compile(r"([0-9]+)\.([0-9]+)")

_COMMIT_S = 300.0
_SAVE_S = 60.0
_POLL_S = 5.0
# What a router may need beyond the minutes: to load its former configuration, or to restart.
_RELOAD_S = 60.0
_REBOOT_S = 600.0


class Clock:
    """Time, as far as waiting needs it."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Channel(Protocol):
    """One login at a router's command line."""

    def send(self, line: str, timeout: float = 30.0, question: re.Pattern[str] | None = None) -> str:
        """Type `line`; give what is printed before the next prompt, or up to a `question`, which ends the answer too.

        Raises `ChannelLost` when nobody answers any more.
        """

    def close(self) -> None:
        """Log out. Never raises."""


class VyosError(OkiagariError):
    """A router refused something, or isn't as it must be."""


class ChannelLost(VyosError):  # noqa: N818 -- as the rest of the tree
    """The connection to a router can't be made, or broke."""


class Version(NamedTuple):
    """A release of VyOS; one whose number can't be read is taken for the newest."""

    text: str
    number: tuple[int, int]

    @classmethod
    def read(cls, text: str) -> Version:
        """Read `1.4.0`, `1.5-rolling-202411080007` or `1.3.8`."""
        match = _RELEASE.match(text)
        return cls(text, (int(match[1]), int(match[2])) if match else (99, 0))


class Applied(NamedTuple):
    """What came of a change: the router's own comparison, and how it would have been taken back.

    `prepared` says that the router was first told to reload rather than restart for that.
    """

    diff: str
    revert: str | None = None
    prepared: bool = False


class Session:
    """Changes one router. `connect` makes a new login each time; `minute` is how long a minute of the router lasts."""

    def __init__(
        self, name: str, connect: Callable[[], Channel], clock: Clock | None = None, minute: float = 60.0
    ) -> None:
        self._name = name
        self._connect = connect
        self._clock = clock or Clock()
        self.minute = minute
        self._channel: Channel | None = None
        self._lost = False

    def __enter__(self) -> Self:
        self._channel = self._connect()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def version(self) -> Version:
        """Give the release that the router runs."""
        match = _VERSION.search(self._send("show version"))
        if not match:
            raise VyosError(f"{self._name} doesn't answer like a VyOS router: show version names no version")
        return Version.read(match[1])

    def running(self) -> list[Path]:
        """Give the lines of the running configuration."""
        return parse(self._send("show configuration commands", _SAVE_S))

    def waiting(self) -> bool:
        """Say whether a change waits there for its confirmation."""
        return self._send(_TIMER) == "active"

    def reloads(self) -> bool:
        """Say whether the router takes a change back by loading its former configuration, and doesn't restart."""
        return RELOAD in self.running()

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        """Run a program of the router's own Linux, as a `Runner`; it can't be given an input."""
        if input is not None:
            raise ValueError("a router's command line takes no input")
        answer, _mark, code = self._send(f"{shlex.join(argv)} 2>&1; echo rc=$?", timeout).rpartition("rc=")
        if not code.isdecimal():
            raise VyosError(f"{self._name}: {argv[0]}: {_one_line(code)}")
        return Completed(int(code), answer, answer)

    def trial(self, changes: Changes, minutes: int) -> None:
        """Make a change that nobody is going to confirm, so that the router takes it back after `minutes`."""
        self.ready_trial(changes, minutes)()

    def ready_trial(self, changes: Changes, minutes: int) -> Callable[[], None]:
        """Type what `trial` changes, and give what commits it. Until then nothing else can be asked."""
        if self.waiting():
            raise self._waits()

        return self._typed(changes, lambda _changed: self._commit_confirm(minutes))

    def settle(self, changes: Changes) -> None:
        """Make a change for good, and let no other wait for its confirmation any more."""
        self.ready_settle(changes)()

    def ready_settle(self, changes: Changes) -> Callable[[], None]:
        """Type what `settle` changes, and give what commits it. Until then nothing else can be asked."""
        waiting = self.waiting()

        def commit(changed: bool) -> None:
            if changed:
                self._commit()
            if waiting:
                self._confirm()

        return self._typed(changes, commit, look=True)

    def _typed(self, changes: Changes, commit: Callable[[bool], None], look: bool = False) -> Callable[[], None]:
        """Type a change; give what commits it and leaves the configuration mode, which is left if the typing fails.

        `commit` is told whether there is a change at all, if that is to be looked at.
        """
        with ExitStack() as entered:
            editing = entered.enter_context(self._editing())
            self._type(changes)
            changed = not look or not self._compare().startswith(NO_CHANGE)
            mode = entered.pop_all()

        def go() -> None:
            with mode:
                commit(changed)
                editing.committed()

        return go

    def preview(self, changes: Changes) -> str:
        """Give the router's own comparison for `changes`, and leave the router as it is."""
        with self._editing():
            self._type(changes)
            return self._compare()

    def apply(self, changes: Changes, confirm: int, save: bool, reload: bool = False) -> Applied:
        """Change the running configuration, and save it if `save`.

        With `confirm`, a number of minutes, the change is confirmed only after the router has been reached through a
        new login and shows all that was changed; else its taking the change back is waited for and told.
        `reload` refuses a router that would have to restart for that.
        """
        before = self.running()
        prepared = self._prepare(before, reload) if confirm else Applied("")
        with self._editing() as editing:
            self._type(changes)
            diff = self._compare()
            if diff.startswith(NO_CHANGE):
                return prepared
            if confirm:
                self._commit_confirmed(
                    changes, {*before, RELOAD} if prepared.prepared else set(before), confirm, prepared
                )
            else:
                self._commit()
            editing.committed()
            if save:
                self._save()
        return prepared._replace(diff="\n".join(each for each in (prepared.diff, diff) if each))

    def _send(self, line: str, timeout: float = 30.0, question: re.Pattern[str] | None = None) -> str:
        if self._channel is None:
            raise ValueError("a session must be entered first")
        if self._lost:
            raise ChannelLost(f"the connection to {self._name} is gone")
        try:
            return self._channel.send(line, timeout, question).strip()
        except ChannelLost:
            self._lost = True
            raise

    def _editing(self) -> _Editing:
        return _Editing(self._name, self._send)

    def _type(self, changes: Changes) -> None:
        problems = []
        for line in changes.commands():
            answer = self._send(line)
            if _LOCKED.search(answer):
                raise self._locked(answer)
            if _refused(answer):
                problems.append(Problem(self._name, None, line, _one_line(answer)))
        if problems:
            raise BadInput(problems)

    def _compare(self) -> str:
        answer = self._send("compare", _SAVE_S)
        if not answer or _FAILED.search(answer.splitlines()[0]):
            raise VyosError(f"{self._name}: compare: {_one_line(answer) or 'no answer'}")
        return answer

    def _prepare(self, before: Sequence[Path], reload: bool) -> Applied:
        """See that nobody else's change waits, and have the router reload rather than restart, where it can."""
        if self.waiting():
            raise self._waits()
        if RELOAD in before:
            return Applied("", "reload")
        with self._editing() as editing:
            answer = self._send(command("set", RELOAD))
            if "is not valid" in answer or "is ambiguous" in answer:
                if reload:
                    raise VyosError(
                        f"{self._name}: this release of VyOS takes an unconfirmed change back only by a restart, "
                        "and revert is reload"
                    )
                return Applied("", "reboot")
            if _refused(answer):
                raise VyosError(f"{self._name}: {command('set', RELOAD)}: {_one_line(answer)}")
            diff = self._compare()
            self._commit()
            editing.committed()
        return Applied(diff, "reload", prepared=True)

    def _commit(self) -> None:
        self._committed("commit", self._send("commit", _COMMIT_S))

    def _commit_confirmed(self, changes: Changes, before: set[Path], minutes: int, prepared: Applied) -> None:
        problem: str | None
        try:
            self._commit_confirm(minutes)
        except ChannelLost as error:
            problem = str(error)
        else:
            problem = self._look(changes, before)
        if problem:
            self._await_revert(problem, before, minutes, prepared.revert)
        self._confirm()

    def _commit_confirm(self, minutes: int) -> None:
        line = f"commit-confirm {minutes}"
        # Later than this the router takes the change back anyway.
        patience = minutes * self.minute + 5
        answer = self._send(line, patience, _QUESTION)
        if _QUESTION.search(answer):
            if "reboot" in answer and "You should save previous commits" in answer:
                self._send("n", _SAVE_S)
                raise VyosError(
                    f"{self._name} has changes that were never saved, and would lose them by the restart that takes "
                    "an unconfirmed change back; have them saved first, or use confirm 0"
                )
            answer = self._send("y", patience)
        try:
            self._committed(line, answer)
        except ChannelLost:
            raise
        except VyosError:
            # The router arms its timer before it commits: after a commit that failed, it would still go off.
            if not _PENDING.search(answer):
                self._send("confirm", _SAVE_S)
            raise

    def _committed(self, line: str, answer: str) -> None:
        if _LOCKED.search(answer):
            raise self._locked(answer)
        if _PENDING.search(answer):
            raise VyosError(f"{self._name}: {line}: somebody's change waits there for its confirmation")
        if _FAILED.search(answer):
            raise VyosError(f"{self._name}: {line}: {_one_line(answer)}; nothing was changed")
        left = self._compare()
        if not left.startswith(NO_CHANGE):
            raise VyosError(f"{self._name}: {line}: not all was committed: {_one_line(answer or left)}")

    def _look(self, changes: Changes, before: set[Path]) -> str | None:
        """Say through a new login what is wrong with the router after a change, or None."""
        try:
            have = self._running_anew()
        except VyosError as error:
            return str(error)
        if set(have) == before:
            raise self._taken_back(f"{self._name} was not heard while the change stood")
        lost = missing(changes.set, have)
        left = [path for path in changes.delete if not missing([path], have)]
        if lost or left:
            lines = ", ".join([command("set", path) for path in lost] + [command("delete", path) for path in left])
            return f"{self._name} took the change, but doesn't show it: {lines}"
        return None

    def _running_anew(self) -> list[Path]:
        with Session(self._name, self._connect, self._clock, self.minute) as session:
            return session.running()

    def _await_revert(self, problem: str, before: set[Path], minutes: int, revert: str | None) -> None:
        scale = self.minute / 60
        deadline = self._clock.now() + minutes * self.minute + scale * (_REBOOT_S if revert == "reboot" else _RELOAD_S)
        while self._clock.now() < deadline:
            self._clock.sleep(_POLL_S * scale)
            try:
                back = set(self._running_anew()) == before
            except VyosError:
                continue
            if back:
                raise self._taken_back(problem)
        raise ChannelLost(
            f"{problem}. The change was not confirmed, but {self._name} has not been seen with its former "
            "configuration since; look at its console"
        )

    def _taken_back(self, problem: str) -> VyosError:
        return VyosError(
            f"{problem}. The change was not confirmed, and {self._name} has taken it back: "
            "it runs its former configuration again"
        )

    def _confirm(self) -> None:
        answer = self._send("confirm", _SAVE_S)
        if "No confirm pending" in answer:
            raise VyosError(
                f"{self._name}: the confirmation came too late, and the change was taken back; confirm later"
            )
        if _FAILED.search(answer):
            raise VyosError(f"{self._name}: confirm: {_one_line(answer)}")

    def _save(self) -> None:
        answer = self._send("save", _SAVE_S)
        if _FAILED.search(answer) or "No space" in answer:
            raise VyosError(f"{self._name}: the change is made, but not saved: {_one_line(answer)}")

    def _waits(self) -> VyosError:
        return VyosError(
            f"{self._name}: somebody's change waits there for its confirmation (commit-confirm); "
            "let it be confirmed or taken back first"
        )

    def _locked(self, answer: str) -> VyosError:
        return VyosError(
            f"{self._name} is being changed by somebody else at this moment ({_one_line(answer)}); try again"
        )


class _Editing:
    """The configuration mode. It is left in any case, and what isn't committed then is discarded."""

    def __init__(self, name: str, send: Callable[[str], str]) -> None:
        self._name = name
        self._send = send
        self._dirty = True

    def __enter__(self) -> Self:
        answer = self._send("configure")
        if _FAILED.search(answer) or "Cannot" in answer:
            raise VyosError(f"{self._name}: configure: {_one_line(answer)}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        try:
            if self._dirty:
                self._send("discard")
            self._send("exit")
        except ChannelLost:
            # The router ends the session of a login that broke; the error that led here says more than this one.
            if kind is None:
                raise

    def committed(self) -> None:
        self._dirty = False


def _refused(answer: str) -> bool:
    """Say whether an answer to set or delete is a refusal: whatever isn't known to be none."""
    if re.search(r"\bfailed\b", answer):
        return True
    return bool(answer) and not _ALREADY.search(answer) and not answer.upper().startswith(("WARNING", "DEPRECATED"))


def _one_line(text: str) -> str:
    return " ".join(text.split())
