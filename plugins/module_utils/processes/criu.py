# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRIU's command lines, and what it says when it fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..runner import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ..runner import Completed, Runner
    from .subject import Subject
    from .tree import Outlet

_ENTER = {"mnt": "--mount", "net": "--net", "pid": "--pid"}
_VERSION = re.compile(r"Version: *(\d[\w.]*)")
_ERROR = re.compile(r"(?:\([\d.]+\) *)?(?:\d+: *)?Error \([^)]*\): *(.*)")
_LONG_S = 600.0
_GHOSTS = 2**28
# The first is said without CAP_SYS_RESOURCE, and CRIU goes on; the second says that something was said before.
_HARMLESS = ("rlimit:", "exited, status=")
_WORDS = (
    ("consider using --tcp-established", "it has an established TCP connection: allow it by established_tcp"),
    ("Can't get 1:16 opt", "it has a socket, and on Linux 6.16 and later only CRIU 4.2 and later can capture these"),
    ("Can't get 1:34 opt", "it has a socket, and on Linux 6.16 and later only CRIU 4.2 and later can capture these"),
    ("has bad size", "a file that it has open isn't as it was: capture it too, by files"),
    ("has bad build-ID", "its program's files aren't those with which it was captured"),
    ("kernel features detection", "this CRIU is too old for this kernel; Debian 13 has a newer one, 4.1"),
    ("nftables", "established TCP connections need nftables in this kernel"),
)


class Criu:
    """The program CRIU, whatever it is called."""

    def __init__(self, runner: Runner, program: str) -> None:
        self._runner, self.program = runner, program

    def version(self) -> str:
        """Give its version; empty if there is none that starts."""
        found = _VERSION.search(self._runner.run([self.program, "--version"]).out)
        return found[1] if found else ""

    def check(self) -> str:
        """Give why it says that it can't work here; empty if it doesn't."""
        done = self._runner.run([self.program, "check"], timeout=60.0)
        return "" if done.rc == 0 else why(done.err + done.out) or reason(done)

    def tracks_memory(self) -> bool:
        """Say whether the kernel tells which pages were written since, so that most can be dumped beforehand."""
        return self._runner.run([self.program, "check", "--feature", "mem_dirty_track"]).rc == 0

    def pre_dump(self, subject: Subject, images: Path, work: Path) -> Completed:
        """Dump the memory of a tree that runs on. What is written meanwhile is for the dump."""
        words = ["pre-dump", *_places(images, work), "--tree", str(subject.inner), "--track-mem"]
        return self._run(subject, words)

    def dump(
        self, subject: Subject, images: Path, work: Path, before: Path | None, stopped: bool, tcp: bool, script: str
    ) -> Completed:
        """Dump a tree, which goes on afterwards unless it is to be `stopped`.

        `before` has the images of a pre-dump; `script` is a program for the instant at which all is dumped.
        """
        words = [
            "dump", *_places(images, work), *_kinds(subject.job), "--tree", str(subject.inner),
            "--leave-stopped" if stopped else "--leave-running",
        ]  # fmt: skip
        for outlet in subject.outlets:
            if outlet.key.startswith("socket:"):
                words += ["--external", outlet.key.replace("socket:", "unix")]
        if before is not None:
            words += ["--track-mem", "--prev-images-dir", f"../{before.name}"]
        if tcp:
            words += ["--tcp-established", "--network-lock", "nftables"]
        if script:
            words += ["--action-script", script]
        return self._run(subject, words)

    def restore(
        self, images: Path, work: Path, job: bool, tcp: bool, inherited: Sequence[tuple[int, Outlet]],
        first: Sequence[str],
    ) -> list[str]:  # fmt: skip
        """Give the command that restores a tree and then becomes `first`, its parent."""
        words = [self.program, "restore", *_places(images, work), *_kinds(job)]
        words += ["--tcp-established" if tcp else "--tcp-close"]
        for descriptor, outlet in inherited:
            words += ["--inherit-fd", f"fd[{descriptor}]:{outlet.key}"]
        return [*words, "--exec-cmd", "--", *first]

    def _run(self, subject: Subject, words: Sequence[str]) -> Completed:
        # A dump that is broken off may leave the tree standing still: Ctrl-C isn't for CRIU.
        return self._runner.run([*entering(subject), "setsid", "--wait", self.program, *words], timeout=_LONG_S)


def entering(subject: Subject) -> list[str]:
    """Give the words that run a command in a tree's namespaces."""
    if not subject.enter:
        return []
    return ["nsenter", "--target", str(subject.root.pid), *(_ENTER[name] for name in subject.enter), "--"]


def why(log: str) -> str:
    """Give what CRIU's log says of a failure, in plain words where there are some; empty if it says nothing."""
    errors = list(_errors(log))
    for sign, words in _WORDS:
        if found := next((error for error in errors if sign in error), None):
            return f"{words} ({found})"
    return errors[0] if errors else ""


def _errors(log: str) -> Iterator[str]:
    for line in log.splitlines():
        found = _ERROR.match(line.strip())
        if found and not found[1].startswith(_HARMLESS):
            yield found[1]


def _places(images: Path, work: Path) -> list[str]:
    return ["--images-dir", str(images), "--work-dir", str(work), "--log-file", "log", "--verbosity=2"]


def _kinds(job: bool) -> list[str]:
    """Files that are locked, or open and deleted, and /dev/log; cgroups are the host's."""
    words = ["--file-locks", f"--ghost-limit={_GHOSTS}", "--ext-unix-sk", "--manage-cgroups=ignore"]
    return [*words, "--shell-job"] if job else words
