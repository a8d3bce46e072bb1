# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the core runs a command: it is handed a `Runner` and never starts a process itself."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .errors import BadValue, OkiagariError
from .values import from_json, mismatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .values import Shape


class Completed(NamedTuple):
    """What a command left behind. `rc` 127 means that it isn't installed, 124 that it took longer than its timeout."""

    rc: int
    out: str
    err: str


class Runner(Protocol):
    """Runs commands on the target, one at a time, without a shell."""

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        """Run `argv` for at most `timeout` seconds. Never raises because of what the command does."""


class Waiting(Protocol):
    """A command that has been started and waits for its input. It ends with whoever started it."""

    def tell(self, text: str, timeout: float = 10.0) -> Completed:
        """Give it all of its input, and wait for its end. Never raises because of what the command does."""


class CommandFailed(OkiagariError):  # noqa: N818 -- as the rest of the tree
    """A command of the target failed; the text names the command and what it said."""


class ModuleRunner:
    """A `Runner` over an `AnsibleModule`, which already knows the target's environment."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002, ARG002
        try:
            rc, out, err = self._module.run_command(
                list(argv),
                data=input,
                environ_update={"LC_ALL": "C"},
                handle_exceptions=False,
                before_communicate_callback=_read_to_the_end,
            )
        except OSError as error:
            return Completed(127, "", f"{argv[0]}: {error.strerror}")
        return Completed(rc, out, err)


def _read_to_the_end(process: Any) -> None:
    """Keep what a process says last.

    `run_command` stops reading when a second was silent and the process has ended. On a busy machine both may be true
    although there is output: it came between the one look and the other. So the end isn't told while there is
    something to read. A pipe at its end counts as that too; `run_command` then waits for the process, which returns.
    """
    poll, pipes = process.poll, [process.stdout, process.stderr]

    def later() -> int | None:
        code: int | None = poll()
        return None if code is not None and select.select(pipes, [], [], 0)[0] else code

    process.poll = later


def output(runner: Runner, argv: Sequence[str], timeout: float = 10.0) -> str:
    """Give the standard output of `argv`; raise `CommandFailed` when it fails."""
    done = runner.run(argv, timeout=timeout)
    if done.rc:
        raise CommandFailed(f"{' '.join(argv)}: {reason(done)}")
    return done.out


def reason(done: Completed) -> str:
    """Give the one line of a failed command that says why it failed."""
    lines = [line.strip() for line in (done.err or done.out).splitlines() if line.strip()]
    return lines[0] if lines else f"failed with exit code {done.rc}"


def json_output(runner: Runner, argv: Sequence[str], timeout: float = 10.0, shape: Shape | None = None) -> Any:
    """Give what `argv` prints as JSON (nothing printed: an empty list); raise `CommandFailed` for anything else."""
    return parsed_json(argv, output(runner, argv, timeout), shape)


def parsed_json(argv: Sequence[str], text: str, shape: Shape | None = None) -> Any:
    """Give `text`, which `argv` printed, as data; raise `CommandFailed` if it isn't JSON, or not of `shape`."""
    try:
        found = from_json(text) if text.strip() else []
    except BadValue as error:
        raise CommandFailed(f"{' '.join(argv)}: its output {error}") from error
    return found if shape is None else fitting(argv, found, shape)


def fitting(argv: Sequence[str], found: Any, shape: Shape) -> Any:
    """Give `found`, which `argv` printed; raise `CommandFailed` if it isn't of `shape`, and so can't be understood."""
    if wrong := mismatch(found, shape):
        raise CommandFailed(f"{' '.join(argv)}: its output can't be understood: {wrong}")
    return found
