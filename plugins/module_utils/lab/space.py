# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's place on the machine: its directory, its network namespace, its processes.

Every process of a lab carries the lab's directory in its environment, and all of the lab's network lives in one
namespace without a name. So the lab is found by looking, not by remembering, and when its last process is gone the
kernel takes bridges, taps and namespace away by itself: nothing can be left behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..runner import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MARK = "OKIAGARI_LAB"
NODE_MARK = "OKIAGARI_NODE"
_KEEPER = "keeper"
_EXEC_LOOKS = 10
"""So often, 2 ms apart, a process that may be executing a program is looked at, until it counts as without any."""


class LabSpace:
    """One lab on this machine, named by its directory."""

    def __init__(self, directory: Path, proc: Path = Path("/proc")) -> None:
        self.directory = directory
        self._proc = proc

    def processes(self) -> dict[int, str]:
        """Give the lab's live processes: process id to node name (`keeper` for the one that holds the namespace)."""
        found: dict[int, str] = {}
        unclear = [entry for entry in self._proc.iterdir() if entry.name.isdigit()]
        for look in range(_EXEC_LOOKS):
            if look:
                time.sleep(0.002)
            environments = [(entry, _environment(entry)) for entry in unclear]
            for entry, environment in environments:
                if environment and environment.get(MARK) == str(self.directory):
                    found[int(entry.name)] = environment.get(NODE_MARK, _KEEPER)
            unclear = [entry for entry, environment in environments if environment is None]
            if not unclear:
                break
        return found

    def anchor(self) -> int | None:
        """Give a process that is inside the lab's namespace, the keeper if it lives, or None when there is none."""
        inside = self._inside()
        return min(inside, key=lambda pid: (inside[pid] != _KEEPER, pid), default=None)

    def keeper(self) -> int | None:
        """Give the process whose only task is to hold the namespace, or None when it is gone."""
        return min((pid for pid, owner in self._inside().items() if owner == _KEEPER), default=None)

    def create(self) -> int:
        """Make the namespace unless it is there, and a keeper for it unless it has one; give the keeper."""
        keeper = self.keeper()
        if keeper is not None:
            return keeper
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = self.directory / "keeper.log"
        enter = self.anchor() is not None
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        apart = [] if enter else ["unshare", "--net", *user]
        log.unlink(missing_ok=True)
        self.spawn([*apart, "sleep", "infinity"], _KEEPER, log, enter=enter)
        deadline = time.monotonic() + 5
        while (keeper := self.keeper()) is None:
            said = log.read_text().strip()
            if said or time.monotonic() > deadline:
                raise OkiagariError(
                    f"no network namespace for the lab: {said or 'unshare failed'}. {_namespace_hint()}"
                )
            time.sleep(0.01)
        return keeper

    def enter(self, argv: Sequence[str], anchor: int | None = None) -> list[str]:
        """Give the command line that runs `argv` inside the lab's namespace."""
        inside = anchor or self.anchor()
        if inside is None:
            raise OkiagariError(f"the lab in {self.directory} is not up: run playbooks/lab_up.yml")
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(inside), "--net", *user, "--", *argv]

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        """Run a command inside the namespace (a `Runner`)."""
        done = subprocess.run(
            self.enter(argv), input=input, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def spawn(
        self, argv: Sequence[str], node: str, log: Path, enter: bool = True, extra: Mapping[str, str] | None = None
    ) -> None:
        """Start a process of the lab that outlives the caller and isn't its child; its output is added to `log`."""
        command = self.enter(argv) if enter else list(argv)
        environment = {**os.environ, MARK: str(self.directory), NODE_MARK: node, **(extra or {})}
        with log.open("ab") as output:
            subprocess.run(
                ["setsid", "--fork", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                check=True,
            )

    def _inside(self) -> dict[int, str]:
        own = _namespace(self._proc / "self")
        return {
            pid: owner
            for pid, owner in self.processes().items()
            if _namespace(self._proc / str(pid)) not in (None, own)
        }

    def node_processes(self, node: str) -> list[int]:
        """Give the processes of one node, the oldest first."""
        return sorted(pid for pid, owner in self.processes().items() if owner == node)

    def kill_node(self, node: str) -> bool:
        """Cut a node's power: SIGKILL, and wait until nothing of it is left. Say whether anything was."""
        return _kill_all(lambda: self.node_processes(node))

    def destroy(self) -> bool:
        """Kill every process of the lab and remove its directory. Say whether there was anything."""
        killed = _kill_all(lambda: sorted(self.processes()))
        return _remove(self.directory) or killed


def _kill_all(find: Callable[[], list[int]]) -> bool:
    """Kill until nothing is found twice running: a process that is just executing a program is unseen for a moment."""
    deadline = time.monotonic() + 10
    any_found, quiet = False, 0
    while quiet < 2:
        pids = find()
        quiet = 0 if pids else quiet + 1
        any_found = any_found or bool(pids)
        if time.monotonic() > deadline:
            raise OkiagariError(f"processes {pids} do not die: they may wait for a disk; look at /proc/PID/stack")
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    return any_found


def _remove(directory: Path) -> bool:
    """Remove a directory, also while somebody else tidies in it: ssh takes away the socket of a broken connection."""
    existed = directory.exists()
    deadline = time.monotonic() + 5
    while directory.exists():
        try:
            shutil.rmtree(directory)
        except OSError as error:
            if time.monotonic() > deadline:
                raise OkiagariError(f"{directory} can't be removed: {error}") from error
    return existed


def _environment(entry: Path) -> dict[str, str] | None:
    """Read a process's environment; empty for processes that are gone, foreign, zombies or the kernel's own.

    None is for one that shows none although it has a program: it may be executing that at this moment.
    """
    try:
        raw = (entry / "environ").read_bytes()
        if not raw:
            (entry / "exe").readlink()
            return None
    except OSError:
        return {}
    pairs = (item.partition("=") for item in raw.decode(errors="replace").split("\0") if "=" in item)
    return {name: value for name, _equals, value in pairs}


def _namespace(entry: Path) -> str | None:
    try:
        return str((entry / "ns" / "net").readlink())
    except OSError:
        return None


def _namespace_hint() -> str:
    if os.geteuid() == 0:
        return "This machine refuses new network namespaces (a container without CAP_SYS_ADMIN?)"
    return (
        "Without root the lab needs user namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
        "kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces > 0); or run as root"
    )
