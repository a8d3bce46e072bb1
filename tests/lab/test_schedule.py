# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills that run unattended, by a real systemd. A stand-in takes the place of ansible-playbook, which no node has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab, changed, without_a_trace
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

NODE = "a-r1"
PROJECT = "/srv/testbed"
STAND_IN = f"{PROJECT}/stand-in-for-ansible-playbook"
# Writes down when it begins and ends; a playbook is called by the code it leaves with and the seconds it takes.
PROGRAM = rf"""#!/bin/sh
echo "begin $1 by $(id -un) in $PWD" >> {PROJECT}/log
case $1 in
  *.yml) code=${{1%%-*}}; lasts=${{1##*-}}; sleep "${{lasts%.yml}}"; echo "end $1" >> {PROJECT}/log; exit "$code" ;;
  *) echo "tidy $*" >> {PROJECT}/log ;;
esac
"""
NEVER = "2099-01-01"
OURS = (
    "ls -d /etc/systemd/system/*okiagari* /etc/systemd/system/*/*okiagari* /var/lib/systemd/timers/*okiagari* "
    f"{PROJECT}/reports/schedule.json 2> /dev/null; systemctl list-units --all --no-legend 'okiagari-schedule*'; true"
)


class Controller(SmallLab):
    """A lab of which one node is a controller with a schedule."""

    def schedule(self, *drills: dict[str, Any], check: bool = False, fails: bool = False, **settings: str) -> str:
        """Run the playbook with these drills, and give what it says."""
        variables = {
            "schedule_on": NODE,
            "drill_schedule_drills": list(drills),
            "drill_schedule_project": PROJECT,
            "drill_schedule_user": "nobody",
            "drill_schedule_command": STAND_IN,
            **{f"drill_schedule_{key}": value for key, value in settings.items()},
        }
        return self.play("schedule", "-e", json.dumps(variables), *["--check"] * check, fails=fails)

    def log(self) -> list[str]:
        return self.say(NODE, f"cat {PROJECT}/log").splitlines()

    def shows(self, drill: str, key: str) -> str:
        """Give a property of a drill's service."""
        return self.say(NODE, f"systemctl show --value -p {key} okiagari-schedule@{drill}.service").strip()

    def run(self, *drills: str) -> None:
        """Start drills as their timers do, all at once, and wait until they are over."""
        units = " ".join(f"okiagari-schedule@{drill}.service" for drill in drills)
        self.say(NODE, f"> {PROJECT}/log; systemctl start --no-block {units}")
        over = ("inactive", "failed")
        wait_for("the drills are over", lambda: all(self.shows(drill, "ActiveState") in over for drill in drills), 120)


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """Give a lab with a project on one of its nodes."""
    with without_a_trace(Controller(tmp_path_factory.mktemp("state"))) as lab:
        lab.play("lab_up")
        lab.say(NODE, f"mkdir {PROJECT} && cat > {STAND_IN} <<'END'\n{PROGRAM}\nEND\nchmod 755 {STAND_IN}")
        lab.say(NODE, f"touch {PROJECT}/log && chown -R nobody {PROJECT}")
        yield lab


def drill(name: str, playbook: str = "0-0.yml", at: str = NEVER, **more: str) -> dict[str, Any]:
    return {"name": name, "playbook": playbook, "at": at, **more}


def test_it_is_made_once_and_goes_without_a_trace(controller: Controller) -> None:
    before = controller.say(NODE, OURS)
    drills = [drill("one", random_delay="1s"), drill("two")]
    assert changed(controller.schedule(*drills, check=True)) == {NODE}
    assert controller.say(NODE, OURS) == before
    assert changed(controller.schedule(*drills)) == {NODE}
    assert controller.say(NODE, "systemctl is-active okiagari-schedule-{one,two}.timer").split() == ["active"] * 2
    assert changed(controller.schedule(*drills)) == set()
    assert changed(controller.schedule(*drills, check=True)) == set()
    assert changed(controller.schedule(drills[0])) == {NODE}
    assert "two" not in controller.say(NODE, OURS)
    assert changed(controller.schedule(check=True)) == {NODE}
    assert "one" in controller.say(NODE, OURS)
    assert changed(controller.schedule()) == {NODE}
    assert controller.say(NODE, OURS) == before


def test_what_systemd_does_not_understand_is_refused_before_anything(controller: Controller) -> None:
    before = controller.say(NODE, OURS)
    for check in (True, False):
        said = controller.schedule(drill("one"), drill("two", at="Saturnday 02:00"), check=check, fails=True)
        assert "Failed to parse calendar specification" in said
        assert "Saturnday 02:00" in said.partition("Failed to parse")[2].splitlines()[0]
    assert "did you mean playbook?" in controller.schedule({**drill("one"), "playbok": "x"}, fails=True)
    assert controller.say(NODE, OURS) == before


def test_a_timer_runs_its_drill_and_tidies_up(controller: Controller) -> None:
    controller.schedule(drill("one", at="*:*:0/5"), keep_runs=3, keep_days=7)
    wait_for("the timer has run the drill", lambda: any(line.startswith("tidy") for line in controller.log()), 30)
    begin, end, _begin, tidy = controller.log()[:4]
    assert (begin, end) == (f"begin 0-0.yml by nobody in {PROJECT}", "end 0-0.yml")
    command, _e, keep = tidy.removeprefix("tidy ").partition(" -e ")
    assert command == "okiagari.testbed.reports"
    assert json.loads(keep) == {"reports": f"{PROJECT}/reports", "keep_runs": 3, "keep_days": 7}
    due = controller.say(NODE, f"stat -c %U {PROJECT}/reports {PROJECT}/reports/schedule.json").split()
    assert due == ["nobody", "nobody"]
    controller.schedule(drill("one"))


def test_how_a_drill_ends_is_how_its_service_ends(controller: Controller) -> None:
    hook = f"echo $DRILL $MONITOR_EXIT_STATUS $(printf %s $MONITOR_INVOCATION_ID | wc -c) >> {PROJECT}/hooks"
    drills = [drill("good"), drill("refused", "75-0.yml"), drill("bad", "1-0.yml"), drill("aborted", "2-0.yml")]
    controller.schedule(*drills, drill("slow", "0-60.yml", timeout="1s"), on_failure=hook)
    controller.run("good", "refused", "bad", "aborted", "slow")
    results = {name: controller.shows(name, "Result") for name in ("good", "refused", "bad", "aborted", "slow")}
    assert [name for name, result in results.items() if result == "success"] == ["good", "refused"]
    wait_for("the hook has run", lambda: len(controller.say(NODE, f"cat {PROJECT}/hooks").splitlines()) == 3)
    told = sorted(controller.say(NODE, f"cat {PROJECT}/hooks").splitlines())
    assert told == ["aborted 2 32", "bad 1 32", "slow 124 32"]
    assert "end 0-60.yml" not in controller.log()
    assert sum(line.startswith("tidy") for line in controller.log()) == 5


def test_two_at_once_run_one_after_the_other(controller: Controller) -> None:
    # What waits may wait for longer than its own time.
    controller.schedule(drill("a", "0-3.yml", timeout="4s"), drill("b", "0-2.yml", timeout="4s"),
                        drill("c", "0-1.yml", timeout="4s"))  # fmt: skip
    controller.run("a", "b", "c")
    marks = [line.split()[:2] for line in controller.log() if ".yml" in line]
    assert [mark for mark, _playbook in marks] == ["begin", "end"] * 3
    assert all(first[1] == second[1] for first, second in zip(marks[::2], marks[1::2], strict=True))


def test_a_missed_run_is_made_up_for(controller: Controller) -> None:
    controller.schedule(drill("one", at="daily"))
    timer = "okiagari-schedule-one.timer"
    stamp = f"/var/lib/systemd/timers/stamp-{timer}"
    timer = "okiagari-schedule-one.timer"
    controller.say(
        NODE, f"> {PROJECT}/log; systemctl stop {timer}; touch -d '3 days ago' {stamp}; systemctl start {timer}"
    )
    wait_for("the drill has run", lambda: "end 0-0.yml" in controller.log(), 30)
