# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tree is captured, and whether it can be: what CRIU couldn't restore here is refused before it is stopped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..errors import OkiagariError
from ..runner import output

if TYPE_CHECKING:
    from ..runner import Runner
    from .request import Request
    from .tree import Outlet, Process, Processes

_MUST_BE_SHARED = {"user": "users", "ipc": "System V IPC", "uts": "host names"}


class Subject(NamedTuple):
    """A tree to capture: its processes, parents first, and how CRIU has to go about it.

    `enter` names the namespaces in which CRIU has to run; `inner` is the first one's PID there. `job`: the tree belongs
    to a session that began outside of it.
    """

    tree: tuple[Process, ...]
    inner: int
    enter: tuple[str, ...]
    job: bool
    outlets: tuple[Outlet, ...]

    @property
    def root(self) -> Process:
        return self.tree[0]


def subject(runner: Runner, processes: Processes, asked: Request) -> Subject:
    """Give the tree that is asked for; raise `OkiagariError` if there is none, or none that can be captured."""
    pid = asked.pid or main_process(runner, asked.unit or "")
    tree = processes.tree(pid)
    if not tree or not tree[0].alive:
        raise OkiagariError(f"there is no process {pid}")
    name = f"process {pid} ({tree[0].name})"
    if not processes.has_program(pid):
        raise OkiagariError(f"{name} belongs to the kernel, and can't be captured")
    if any(process.pid == os.getpid() for process in tree):
        raise OkiagariError(f"{name} is one that Ansible itself descends from: it would stop itself")
    for process in tree:
        if terminal := processes.terminal(process.pid):
            raise OkiagariError(
                f"process {process.pid} ({process.name}) uses the terminal {terminal}, which can't be captured: "
                f"start it as a service, or with setsid and its output in a file"
            )
    inside = {process.pid for process in tree}
    return Subject(
        tuple(tree), processes.inner_pid(pid), _enter(processes, pid, name),
        any(process.session not in inside or process.group not in inside for process in tree),
        tuple(processes.outlets(pid, tree)),
    )  # fmt: skip


def main_process(runner: Runner, unit: str) -> int:
    """Give the PID of a unit's main process; raise `OkiagariError` if it has none."""
    said = output(runner, ["systemctl", "show", "--property=MainPID", "--value", "--", unit]).strip()
    if not said.isdigit() or said == "0":
        raise OkiagariError(f"the unit {unit} has no main process: is it running?")
    return int(said)


def _enter(processes: Processes, pid: int, name: str) -> tuple[str, ...]:
    mine, its = processes.namespaces("self"), processes.namespaces(pid)
    different = {key for key, value in its.items() if mine.get(key) != value}
    for key, what in _MUST_BE_SHARED.items():
        if key in different:
            raise OkiagariError(f"{name} has a namespace of its own for {what}: its container's engine can capture it")
    if "mnt" in different and not processes.view(pid) <= processes.view("self"):
        raise OkiagariError(
            f"{name} sees other file systems than this host: its container's engine can capture it; "
            f"a systemd unit mustn't have PrivateTmp=, ProtectSystem= and the like"
        )
    if "pid" in different and processes.inner_pid(pid) == 1:
        raise OkiagariError(f"{name} is the first one of a container: name one that it started, or use its engine")
    return tuple(key for key in ("mnt", "net", "pid") if key in different)
