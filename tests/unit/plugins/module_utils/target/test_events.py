# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as a target sees them, on files of its own and over a simulated kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target import routing_probes
from ansible_collections.okiagari.testbed.plugins.module_utils.target.events import Watch, read, watch
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import (
    HandClock,
    SimulatedKernel,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def watching(path: Path, matches: str = "Down") -> Watch:
    event = read({"type": "log", "file": str(path), "matches": matches, "within": 5})
    return watch(event, SimulatedKernel(), HandClock())


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_what_is_logged_later_is_seen(tmp_path: Path) -> None:
    log = tmp_path / "log"
    add(log, "peer 1 Down\n")
    seen = watching(log, r"peer \d+ Down")
    assert seen.look() is None
    add(log, "peer 2 Up\npeer 2 Do")
    assert seen.look() is None
    add(log, "wn\n")
    assert seen.look() == "logged: peer 2 Down"
    assert seen.look() is None


def test_a_log_that_is_replaced_cut_short_or_not_there_yet(tmp_path: Path) -> None:
    log = tmp_path / "log"
    seen = watching(log)
    assert seen.look() is None
    add(log, "Down 1\n")
    assert seen.look() == "logged: Down 1"
    log.rename(tmp_path / "log.1")
    assert seen.look() is None
    add(log, "Down 2, and more than before\n")
    assert seen.look() == "logged: Down 2, and more than before"
    log.write_text("Down 3\n")
    assert seen.look() == "logged: Down 3"


def test_a_long_line_without_an_end_is_not_kept(tmp_path: Path) -> None:
    seen = watching(tmp_path / "log")
    add(tmp_path / "log", "x" * 3_000_000)
    for _look in range(4):
        assert seen.look() is None
    add(tmp_path / "log", "\nDown\n")
    assert seen.look() == "logged: Down"


class Journal:
    """A simulated `journalctl`, which has the line `Down` from an instant on."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.asked: list[float] = []

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        assert argv[:4] == ("journalctl", "--quiet", "--output=cat", "--unit=frr.service")
        self.asked.append(float(argv[4].removeprefix("--since=@")))
        return Completed(0, "Down\n" if self.asked[-1] <= self.at else "", "")


def test_the_journal_is_asked_from_the_beginning_of_the_watch_on() -> None:
    clock = HandClock()
    journal = Journal(clock.now() - 0.1)
    event = read({"type": "log", "unit": "frr.service", "matches": "Down", "within": 5})
    seen = watch(event, journal, clock)
    for _look in range(3):
        clock.sleep(0.2)
        assert seen.look() is None
    clock.sleep(5)
    assert seen.look() is None
    assert min(journal.asked) == clock.now() - 5.6
    journal.at = clock.now() - 0.5
    assert seen.look() == "logged: Down"
    assert journal.asked[-1] == clock.now() - 1


def test_without_a_journal_there_is_nothing_to_wait_for() -> None:
    event = read({"type": "log", "unit": "frr.service", "matches": "Down", "within": 5})
    with pytest.raises(OkiagariError, match="journalctl"):
        watch(event, SimulatedKernel(), HandClock())


def way(monkeypatch: pytest.MonkeyPatch, **value: Any) -> None:
    shown = {"via": [], "dev": ["w-a"], **value}
    monkeypatch.setattr(routing_probes, "route", lambda _runner, _probe: (True, shown, ""))


@pytest.mark.parametrize(("via", "first"), [(["10.254.0.2"], None), ([], None), (["10.254.0.1"], "10.254.0.1")])
def test_a_route(monkeypatch: pytest.MonkeyPatch, via: list[str], first: str | None) -> None:
    way(monkeypatch, via=["10.254.0.1"])
    event = read({"type": "route", "prefix": "10.3.0.0/24", "within": 5, **({"via": via} if via else {})})
    seen = watch(event, SimulatedKernel(), HandClock())
    leads = "the route to 10.3.0.0/24 leads to {}".format
    assert seen.look() == (first and leads(first))
    way(monkeypatch, via=["10.254.0.2"])
    assert seen.look() == (None if first else leads("10.254.0.2"))
    way(monkeypatch, dev=[])
    assert seen.look() == (None if via else leads("nowhere"))
