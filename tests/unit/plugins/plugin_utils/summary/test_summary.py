# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary of all runs: what it says of each drill, and that nothing of a history becomes markup or an error."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.summary import write_page
from ansible_collections.okiagari.testbed.plugins.plugin_utils.summary.drawing import trend
from ansible_collections.okiagari.testbed.plugins.plugin_utils.summary.due import due
from ansible_collections.okiagari.testbed.plugins.plugin_utils.summary.page import render
from ansible_collections.okiagari.testbed.plugins.plugin_utils.summary.runs import read
from ansible_collections.okiagari.testbed.plugins.plugin_utils.summary.standing import standings, worst
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LETTERS = {
    "h": "held",
    "f": "failed",
    "a": "aborted",
    "r": "not_restored",
    "i": "infrastructure",
    "k": None,
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def line(days_ago: float, verdict: str | None = "held", drill: str = "circuit_cut", **more: Any) -> dict[str, Any]:
    started = (NOW - timedelta(days=days_ago)).isoformat()
    return {
        "drill": drill, "started": started, "verdict": verdict, "title": f"Title of {drill}", "testbed": "lab",
        "measured": {"outage": 200.0 + days_ago}, "budget": {"outage": 1000.0}, **more,
    }  # fmt: skip


class Words(HTMLParser):
    """The words of a page, its tags, and where it leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


def page(*lines: dict[str, Any], due: dict[str, str] | None = None) -> Words:
    return Words(render(read(lines), NOW, due or {}, lambda run: f"{run.drill}/page.html"))


@pytest.mark.parametrize(
    ("verdicts", "streak", "held", "proving"),
    [
        ("", 0, 0, 0),
        ("hhh", 3, 3, 3),
        ("hfhh", 2, 3, 4),
        ("hhf", 0, 2, 3),
        ("fhah", 2, 2, 3),
        ("hihia", 2, 2, 2),
        ("hrhk", 1, 2, 3),
        ("aik", 0, 0, 0),
    ],
)
def test_what_runs_add_up_to(verdicts: str, streak: int, held: int, proving: int) -> None:
    found = standings(read(line(9 - index, LETTERS[letter]) for index, letter in enumerate(verdicts)))
    assert [(one.streak, one.held, one.proving) for one in found] == ([(streak, held, proving)] if verdicts else [])


def test_drills_that_fail_come_first() -> None:
    lines = [line(1, "held", "a"), line(1, "failed", "c"), line(1, "aborted", "d"), line(2, "failed", "d"), line(1)]
    assert [one.drill for one in standings(read(lines))] == ["c", "d", "a", "circuit_cut"]


def test_the_worst_run_of_a_day_is_shown() -> None:
    runs = read([line(0.1), line(0.2, "aborted"), line(0.4, "failed"), line(0.3, "failed")])
    assert worst(runs).started == NOW - timedelta(days=0.3)
    assert worst(runs[2:]).verdict.name == "aborted"


def test_a_page_of_drills_that_hold() -> None:
    found = page(line(2), line(1, drill="other"), line(40, "failed"), due={"circuit_cut": "2026-11-22 02:00 UTC"})
    assert "Disaster drills on lab" in found.text
    assert "All hold" in found.text
    assert "Each of 2 drills held when last tried" in found.text
    assert "Due 2026-11-22 02:00 UTC" in found.text
    assert "Record 1 of 2" in found.text
    assert "script" not in found.tags
    assert all(not re.match(r"[a-z]+:(?!,)", link) or link == "data:," for link in found.links)


def test_what_does_not_hold_is_said_first() -> None:
    found = page(line(3), line(1, "failed", summary="Failed: too slow."), line(1, "aborted", drill="other"))
    assert "Not all hold" in found.text
    assert "Title of circuit_cut: Failed: too slow." in found.text
    assert "The last run proved nothing: other." in found.text


def test_a_run_over_its_budget_is_marked() -> None:
    runs = read([line(2), line(1, "failed", measured={"outage": 1500.0})])
    drawn = ET.fromstring(trend(runs, "outage", 1000.0))
    marks = {circle.attrib["class"]: "".join(circle.itertext()) for circle in drawn.iter("circle")}
    assert marks == {"over": "2026-11-20: 1.5\u00a0s"}
    limit = next(mark for mark in drawn.iter("line") if mark.attrib["class"] == "limit")
    over = next(drawn.iter("circle"))
    assert 0 < float(over.attrib["cy"]) < float(limit.attrib["y1"]) < 64


def test_only_runs_whose_page_is_there_are_linked(tmp_path: Path) -> None:
    folders = ["circuit_cut/20261120T000000Z", "circuit_cut/20261119T000000Z", "../outside", None]
    lines = [line(index, report=folder) for index, folder in enumerate(folders)]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    for folder in (folders[0], folders[2]):
        (tmp_path / "reports" / str(folder)).mkdir(parents=True)
        (tmp_path / "reports" / str(folder) / "report.html").touch()
    (tmp_path / "history.jsonl").rename(tmp_path / "reports/history.jsonl")
    write_page(tmp_path / "reports", NOW)
    links = Words((tmp_path / "reports/index.html").read_text()).links
    assert {link for link in links if link.endswith("report.html")} == {f"{folders[0]}/report.html"}
    before = (tmp_path / "reports/index.html").read_bytes()
    write_page(tmp_path / "reports", NOW + timedelta(hours=1))
    assert (tmp_path / "reports/index.html").read_bytes() == before


def test_an_empty_history_gives_a_page(tmp_path: Path) -> None:
    write_page(tmp_path, NOW)
    assert "Nothing proven" in (tmp_path / "index.html").read_text()


@given(st.lists(st.dictionaries(st.sampled_from(list(line(0))), JUNK, max_size=9), max_size=3))
def test_whatever_the_history_holds_there_is_a_page(lines: list[dict[str, Any]]) -> None:
    assert "script" not in page(line(1), *({**line(1), **each} for each in lines), *lines).tags


@pytest.mark.parametrize("key", ["drill", "title", "testbed", "summary", "user", "report", "verdict"])
def test_nothing_of_the_history_becomes_markup(key: str) -> None:
    assert "script" not in page(line(1, **{key: "<script>alert(1)</script>"})).tags


SAID = "Next elapse: Sat 2026-11-28 02:00:00 JST\n       (in UTC): Fri 2026-11-27 17:00:00 UTC\n"


def test_what_is_due_next_comes_first(tmp_path: Path) -> None:
    answers = {"Sat 02:00": SAID, "daily": "Next elapse: Sun 2026-11-22 00:00:00 UTC\n", "odd": ""}
    entries = [{"name": f"drill {at}", "at": at} for at in ("odd", *answers)]
    (tmp_path / "schedule.json").write_text(json.dumps([*entries, {"name": "no time"}, 5]))
    assert list(due(tmp_path, NOW, lambda at, _now: answers[at]).items()) == [
        ("drill daily", "2026-11-22 00:00 UTC"),
        ("drill Sat 02:00", "2026-11-27 17:00 UTC"),
        ("drill odd", "odd"),
    ]


@pytest.mark.parametrize("content", [None, "", "{", "{}", "5", "[5]"])
def test_no_schedule_is_no_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "schedule.json").write_text(content)
    assert due(tmp_path, NOW, lambda _at, _now: "") == {}


def test_a_killed_run_is_told_as_such_and_the_drill_keeps_its_title() -> None:
    killed = line(1, None, title=None, measured=None)
    [run] = read([killed])
    assert (run.verdict.word, run.proves) == ("Killed", False)
    assert "Title of circuit_cut" in page(line(2), killed).text
    assert "nothing proven yet" in page(killed).text
