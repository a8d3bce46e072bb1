# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One restore: everything is looked at first, then files are brought back, then CRIU lets the tree go on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError
from . import digest, files, launch, statistics
from .criu import why
from .tree import Outlet

if TYPE_CHECKING:
    from ..runner import Runner
    from .criu import Criu
    from .epochs import Epochs
    from .request import Request
    from .tree import Processes

_FEW = 3


class Restore:
    """Restores one tree. `boot` is the identity of this boot, `root` is / but in tests."""

    def __init__(
        self, runner: Runner, criu: Criu, processes: Processes, epochs: Epochs, asked: Request, boot: str,
        root: Path = Path("/"),
    ) -> None:  # fmt: skip
        self._runner, self._criu, self._processes, self._epochs = runner, criu, processes, epochs
        self._asked, self._boot, self._root = asked, boot, root
        self._manifest: dict[str, Any] = {}
        self._become: dict[str, str] = {}

    def running(self) -> dict[str, Any]:
        """Give the epoch and the PID of what goes on from this directory here; empty for nothing."""
        noted = self._epochs.running()
        if not noted or noted["boot"] != self._boot or not self._processes.runs(noted["pid"], noted["started"]):
            return {}
        return {"epoch": noted["epoch"], "pid": noted["pid"]}

    def look(self) -> dict[str, Any]:
        """Give what a restore would do; raise `OkiagariError` for whatever speaks against it. Changes nothing."""
        numbers = self._epochs.numbers()
        number = self._asked.epoch or max(numbers, default=0)
        if number not in numbers:
            has = f"there are {', '.join(map(str, numbers))}" if numbers else "it has none"
            raise OkiagariError(f"{self._epochs.folder} has no epoch {number or 'at all'}; {has}")
        self.refuse_twins(numbers)
        manifest = self._epochs.whole(number)
        self._refuse_other_program(manifest)
        if manifest["network"] and not self._asked.network:
            raise OkiagariError("the tree had a network namespace of its own: name one in which it goes on, by network")
        if self._asked.network and not self._asked.network.exists():
            raise OkiagariError(f"there is no network namespace {self._asked.network}")
        if self._asked.established_tcp and not manifest["tcp"]:
            raise OkiagariError(f"epoch {number} was captured without established_tcp, so it has no connections")
        self._become = files.differences(manifest["files"], manifest["paths"], self._epochs.folder / str(number))
        lost = [path for path, what in self._become.items() if what != "made"]
        if lost and not self._asked.overwrite:
            raise OkiagariError(f"{_few(lost)}: not what was captured in epoch {number}; allow that by overwrite")
        self._manifest = manifest
        return {"epoch": number, **({"files": self._become} if self._become else {})}

    def refuse_twins(self, numbers: list[int]) -> None:
        """Raise `OkiagariError` if anything still runs here that was captured into, or restored from, the directory."""
        if there := self.running():
            raise OkiagariError(f"epoch {there['epoch']} goes on here already, as process {there['pid']}: end it first")
        for number in numbers:
            try:
                manifest = self._epochs.manifest(number)
            except OkiagariError:  # it is damaged, which matters only for the one that is restored
                continue
            self._refuse_captured(number, manifest)

    def run(self) -> dict[str, Any]:
        """Do what `look` found; raise `OkiagariError` if it fails."""
        manifest = self._manifest
        number, folder = manifest["epoch"], self._epochs.folder / str(manifest["epoch"])
        work = self._epochs.begin()
        outlets = [Outlet(**each) for each in manifest["outlets"]]
        try:
            files.bring_back(manifest["files"], self._become, folder)
            with launch.opened(self._asked.output, [outlet.write for outlet in outlets]) as descriptors:
                argv = self._criu.restore(
                    folder / "images", work, manifest["job"], self._asked.established_tcp,
                    list(zip(descriptors, outlets, strict=True)), launch.first_process(),
                )  # fmt: skip
                name = f"okiagari-processes-{self._boot[:8]}-{work.name.strip('.')}"
                if not launch.launch([*launch.apart(self._asked.network, name), *argv], descriptors, self._started):
                    self._epochs.forget_running()
                    raise OkiagariError(f"epoch {number} can't be restored: {_said(work)}")
            return {"epoch": number, "pid": self._root_pid(), "took_ms": _took(work)}
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _started(self, pid: int) -> None:
        """Note what is about to go on: from here on there are two if somebody else restores it."""
        there = self._processes.process(pid)
        self._epochs.note_running(self._manifest["epoch"], self._boot, pid, there.started if there else 0)

    def _root_pid(self) -> int:
        """Give the PID that the tree's first process has here."""
        inner, tree = self._manifest["inner"], self._processes.tree(self._epochs.running()["pid"])
        found = [each.pid for each in tree[2:] if self._processes.inner_pid(each.pid) == inner]
        if not found:
            raise OkiagariError(f"epoch {self._manifest['epoch']} went on, and ended at once")
        return found[0]

    def _refuse_captured(self, number: int, manifest: dict[str, Any]) -> None:
        if manifest["boot"] == self._boot:
            for each in manifest["processes"]:
                if self._processes.runs(each["pid"], each["started"]):
                    raise OkiagariError(
                        f"process {each['pid']} ({manifest['name']}) still runs here, which epoch {number} has: "
                        f"there must never be two of it, so end it first"
                    )
        unit = manifest["unit"]
        if unit and self._runner.run(["systemctl", "is-active", "--quiet", "--", unit]).rc == 0:
            raise OkiagariError(f"the unit {unit} is active here: there must never be two of it, so stop it first")

    def _refuse_other_program(self, manifest: dict[str, Any]) -> None:
        if other := digest.changed(manifest["program"], self._root):
            raise OkiagariError(
                f"{_few(other)}: not the program that epoch {manifest['epoch']} was captured with; "
                f"a tree goes on only with the very same program and libraries"
            )


def _said(work: Path) -> str:
    log = work / "log"
    said = why(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else ""
    return said or "CRIU didn't say why"


def _took(work: Path) -> float:
    try:
        return statistics.restored((work / "stats-restore").read_bytes())
    except (OSError, BadValue):
        return 0.0


def _few(paths: list[str]) -> str:
    rest = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    return ", ".join(paths[:_FEW]) + rest
