# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a guest is captured and shipped, with a guest, an agent and a clock that are in memory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.rounds import Captured, Dropped, Rounds
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import StandsStill
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError


class World:
    """The guest, the clock, and whoever ends the service at `ends`; `done` is what was done, and when.

    `captures` and `ships` are what goes wrong, in turn, and `takes` is how long either takes; at `wanted_at` somebody
    wants the guest captured, and at `dies` it ends.
    """

    def __init__(self, ends: float, *, takes: float = 0.0, **others: Any) -> None:
        self.time, self.ends, self.takes = 100.0, 100.0 + ends, takes
        self.captures: list[Exception | None] = others.get("captures", [])
        self.ships: list[Exception | None] = others.get("ships", [])
        self.wanted_at = 100.0 + others.get("wanted_at", float("inf"))
        self.dies = 100.0 + others.get("dies", float("inf"))
        self.pause_ms = others.get("pause_ms", 1.0)
        self.done: list[tuple[str, float]] = []

    def run(self, period_s: float = 10.0, *, committed: bool = False) -> list[tuple[str, float]]:
        Rounds(self, period_s, self, lambda: self.time).run(committed=committed)  # type: ignore[arg-type]
        return self.done

    def note(self, what: str) -> None:
        self.done.append((what, round(self.time - 100.0, 1)))

    # as the guest
    def capture(self, *, last: bool) -> Captured:
        self.note("last" if last else "capture")
        at = self.time
        self._take(self.captures)
        return Captured(at, self.pause_ms)

    def ship(self, captured: Captured) -> None:
        self.note(f"ship {round(captured.at - 100.0, 1)}")
        self._take(self.ships)

    def failed(self, why: str, *, captured: bool) -> None:
        self.note(f"{'ship' if captured else 'capture'}: {why}")

    def wanted(self) -> float:
        return self.wanted_at if self.wanted_at <= self.time else float("-inf")

    def ended(self) -> bool:
        return self.time >= self.dies

    def _take(self, wrong: list[Exception | None]) -> None:
        self.time += self.takes
        if wrong and (error := wrong.pop(0)):
            raise error

    # as the event that the service is to end
    def is_set(self) -> bool:
        return self.time >= self.ends

    def wait(self, seconds: float) -> None:
        self.time += min(seconds, max(self.ends - self.time, 0.0))


def test_each_period_and_once_more_in_the_end() -> None:
    done = [("capture", 0.0), ("ship 0.0", 0.0), ("capture", 10.0), ("ship 10.0", 10.0), ("last", 15.0)]
    assert World(15.0).run() == [*done, ("ship 15.0", 15.0)]
    assert World(0.0).run() == [("last", 0.0), ("ship 0.0", 0.0)]


def test_a_guest_that_goes_on_from_a_committed_state_runs_a_period_first() -> None:
    done = [("capture", 10.0), ("ship 10.0", 10.0), ("last", 15.0), ("ship 15.0", 15.0)]
    assert World(15.0).run(committed=True) == done
    assert World(4.0).run(committed=True) == [("last", 4.0), ("ship 4.0", 4.0)]
    assert World(4.0, wanted_at=2.0).run(committed=True)[0][1] < 3.0


def test_a_slow_link_makes_a_period_longer() -> None:
    assert [at for what, at in World(40.0, takes=7.0).run() if what == "capture"] == [0.0, 14.1, 28.2]


@pytest.mark.parametrize("wanted_at", [float("inf"), 1.0])
def test_a_guest_that_stands_still_for_long_runs_four_times_as_long(wanted_at: float) -> None:
    # It stands still for three seconds of the four that a capture takes; shipping takes as long.
    done = World(60.0, takes=4.0, pause_ms=3000.0, wanted_at=wanted_at).run(period_s=2.0)
    begun = [at for what, at in done if what == "capture"]
    assert begun == [0.0, 15.0, 30.0, 45.0]


def test_whoever_wants_it_gets_it_captured_once_and_after_that() -> None:
    done = World(15.0, wanted_at=4.05).run()
    assert [at for what, at in done if what == "capture"] == [0.0, 4.1, 14.1]
    # What was captured before doesn't count, though it is shipped later.
    done = World(19.0, wanted_at=1.0, takes=2.0).run()
    assert [at for what, at in done if what == "capture"] == [0.0, 4.1, 14.1]


def test_what_could_not_be_shipped_goes_before_all_else() -> None:
    away = OkiagariError("nobody is there")
    done = World(21.0, ships=[away]).run()
    assert [what for what, _at in done] == [
        "capture", "ship 0.0", "ship: nobody is there", "ship 0.0", "capture", "ship 10.0", "capture", "ship 20.0",
        "last", "ship 21.0",
    ]  # fmt: skip
    # Nobody could take what follows it.
    done = World(5.0, ships=[away, away]).run()
    assert [what for what, _at in done[1:]] == ["ship 0.0", "ship: nobody is there"] * 2
    # Who waits for it doesn't wait for a period.
    done = World(5.0, ships=[away], wanted_at=-1.0).run()
    assert done[3:5] == [("ship 0.0", 1.0), ("capture", 1.0)]


@pytest.mark.parametrize("wanted_at", [float("inf"), 1.0])
def test_a_guest_that_can_not_be_captured_runs_most_of_the_time(wanted_at: float) -> None:
    full = OSError(28, "No space left on device")
    done = World(100.0, captures=[full], takes=5.0, wanted_at=wanted_at).run()
    assert done[:3] == [("capture", 0.0), ("capture: [Errno 28] No space left on device", 5.0), ("capture", 25.0)]


def test_a_guest_that_stands_still_is_not_run_any_further() -> None:
    world = World(50.0, captures=[None, StandsStill("QEMU hangs")])
    with pytest.raises(StandsStill, match="QEMU hangs"):
        world.run()
    assert world.done[-1] == ("capture: QEMU hangs", 10.0)


def test_a_guest_that_has_ended_is_noticed_at_once() -> None:
    world = World(5000.0, dies=3.0)
    assert [what for what, _at in world.run(period_s=1000.0)] == ["capture", "ship 0.0"]
    assert world.time < 103.5


def test_what_nobody_can_take_is_not_shipped_again_but_captured_anew_soon() -> None:
    done = World(15.0, ships=[OkiagariError("away"), Dropped("too far behind")]).run()
    before = [("capture", 0.0), ("ship 0.0", 0.0), ("ship: away", 0.0), ("ship 0.0", 10.0)]
    after = [
        ("ship: too far behind", 10.0),
        ("capture", 11.0),
        ("ship 11.0", 11.0),
        ("last", 15.0),
        ("ship 15.0", 15.0),
    ]
    assert done == [*before, *after]
