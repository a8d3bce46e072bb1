# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: what every verdict shows, that nothing of a report becomes markup, and that a large run stays light."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report import render_html, render_junit
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report.wording import UNKNOWN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

VOID = {"meta", "link", "br", "img", "input", "hr"}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Page(HTMLParser):
    """Checks that tags nest, and keeps what a test asks about."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_each_verdict_gives_a_well_formed_page_that_names_it(any_report: dict[str, Any]) -> None:
    page = Page(render_html(any_report))
    assert page.open == []
    words = {
        "held": "Held",
        "failed": "Failed",
        "aborted": "Aborted",
        "not_restored": "Not restored",
        "infrastructure": "Couldn't run",
        "nothing_tested": "Nothing tested",
    }
    assert words[any_report["verdict"]] in page.text
    assert f"exit code {any_report['exit_code']}" in page.text
    assert ("What to do next" in page.text) == (any_report["verdict"] != "held")


def test_page_needs_nothing_but_itself(any_report: dict[str, Any]) -> None:
    page = Page(render_html(any_report))
    aims = [value for _tag, found in page.tags for name, value in found.items() if name in ("href", "src") and value]
    assert set(aims) == {"data:,", "report.json", "junit.xml"}
    html = render_html(any_report)
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_held_page_answers_the_three_questions(held: dict[str, Any]) -> None:
    text = Page(render_html(held)).text
    assert "212 ms" in text
    assert "limit 1 s" in text
    assert "8 targets as before, 640 ms after the last undo" in text
    assert "Nothing differs: 8 targets, 200 items compared" in text
    assert "5.002 s" in text
    assert "+2 ms" in text
    assert "What changed during the fault (2)" in text


def test_what_agents_said_meanwhile_is_on_the_time_axis_and_among_the_events(held: dict[str, Any]) -> None:
    row = {"host": "kanazawa-kvm1", "source": "service/db", "event": "service_started", "detail": "token 3"}
    report = {**held, "log": [{"t": 7.0, **row}, {"t": -1e6, **row, "event": "far_away"}, {"t": 8.0}]}
    text = Page(render_html(report)).text
    assert "Agents" in text
    assert "7.000 s: kanazawa-kvm1 service started token 3" in text
    assert "kanazawa-kvm1 service started service/db: token 3" in text
    assert "kanazawa-kvm1 far away service/db: token 3" in text
    assert f"All {len(held['events']) + 3} events" in text
    assert "Agents" not in Page(render_html(held)).text


def test_aborted_page_says_why_and_that_all_is_undone(samples: Any) -> None:
    text = Page(render_html(samples["aborted"]())).text
    assert "ended by SIGINT" in text
    assert "Every fault that was injected is undone" in text
    assert "16.8 s" not in text


def test_a_fault_without_an_undoing_is_the_first_thing_to_do(samples: Any) -> None:
    report = samples["aborted"]()
    report["faults"][0].update(undone=None, state="injected", undone_by=None)
    text = Page(render_html(report)).text
    assert "1 fault may still stand on hiroshima-r1" in text
    assert "heal_all" in text
    assert "Every fault that was injected is undone" not in text


def test_infrastructure_page_names_the_target(samples: Any) -> None:
    text = Page(render_html(samples["infrastructure"]())).text
    assert "Look at why osaka could not be reached" in text
    assert "No fault is known to have been injected" in text
    assert "not injected" in text


def test_a_fault_that_waited_is_shown_when_it_came(samples: Any) -> None:
    report = samples["held"]()
    report["faults"][0].update(at=0.0, when="its route to naist changes", injected=7.04)
    assert "7\u201327\u00a0s" in render_html(report)
    report["faults"][0].update(injected=None, undone=None)
    assert "on: its route to naist changes, not injected" in render_html(report)


def test_differences_are_shown_beside_each_other(samples: Any) -> None:
    text = Page(render_html(samples["not_restored"]())).text
    assert "2 items differ" in text
    assert "bgp.10.254.0.4.state" in text
    assert "Nothing differs" not in text


def _poisoned(value: Any, poison: str) -> Any:
    if isinstance(value, dict):
        return {key: _poisoned(item, poison) for key, item in value.items()}
    if isinstance(value, list):
        return [_poisoned(item, poison) for item in value]
    return f"{value}{poison}" if isinstance(value, str) else value


@pytest.mark.parametrize(
    "poison", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</script><b>", "\x00\x1b[31m\ud800"]
)
def test_no_text_of_a_report_becomes_markup(held: dict[str, Any], poison: str) -> None:
    clean = Page(render_html(held))
    page = Page(render_html(_poisoned(held, poison)))
    assert {tag for tag, _found in page.tags} <= {tag for tag, _found in clean.tags}
    assert sum(tag == "script" for tag, _found in page.tags) == 2
    assert not any(name.startswith("on") for _tag, found in page.tags for name in found)


def test_names_that_are_keys_are_escaped_too(held: dict[str, Any]) -> None:
    evil = "<script>x</script>"
    report = copy.deepcopy(held)
    report["targets"][evil] = {"reached": True}
    report["testbed"]["nodes"][evil] = {"kind": "router", "role": "site", "site": evil}
    report["testbed"]["circuits"][evil] = {"a": evil, "b": "osaka", "delay_ms": 1}
    report["versions"][evil] = evil
    html = render_html(report)
    assert evil not in html
    assert "&lt;script&gt;x" in html


def test_large_report_is_light(held: dict[str, Any], bins: Any) -> None:
    report = copy.deepcopy(held)
    report["streams"] = [
        {
            **held["streams"][0],
            "from": f"a{i // 2}" if i % 2 else f"b{i // 2}",
            "to": f"b{i // 2}" if i % 2 else f"a{i // 2}",
            "series": bins(60, 8.0, (5.0, 3.0, 40.0), 11.0, i),
        }
        for i in range(10)
    ]
    html = render_html(report)
    assert len(html.encode()) < 1_000_000


def test_equal_reports_give_equal_pages(any_report: dict[str, Any]) -> None:
    assert render_html(any_report) == render_html(copy.deepcopy(any_report))


@pytest.mark.parametrize(
    "report", [{}, {"verdict": "unheard_of"}, {"verdict": None, "faults": None, "testbed": None, "streams": [{}]}]
)
def test_almost_nothing_is_still_a_page(report: dict[str, Any]) -> None:
    page = Page(render_html(report))
    assert page.open == []
    assert "Held" not in page.text


def test_every_drawing_has_a_name(held: dict[str, Any]) -> None:
    for tag, found in Page(render_html(held)).tags:
        if tag == "svg" and found.get("role") == "img":
            assert found.get("aria-label")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_key_may_hold_anything(held: dict[str, Any], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(held)))
    report = {**held, key: data.draw(JUNK)}
    assert Page(render_html(report)).open == []
    assert render_junit(report)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_entry_may_hold_anything(held: dict[str, Any], data: st.DataObject) -> None:
    report = copy.deepcopy(held)
    for stream in report["streams"]:
        stream["series"] = stream["series"][:3]
    place: Any = report
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.integers(0, 4)) == 0:
            break
        place = place[key]
    place[key] = data.draw(JUNK)
    assert Page(render_html(report)).open == []
    assert render_junit(report)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_text_is_at_least_aa_in_both_schemes(held: dict[str, Any]) -> None:
    schemes = re.findall(r":root \{\s*(?:color-scheme: \w+(?: dark)?;)?(.*?)\}", render_html(held), re.DOTALL)
    checked = 0
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", scheme))
        if "ink" not in colours:
            continue
        checked += 1
        pairs = [
            (text, ground)
            for text in ("ink", "faint", "good", "bad", "caution", "link", "neutral")
            for ground in ("card", "page")
            if ground in colours
        ]
        pairs += [(tone, f"{tone}-soft") for tone in ("good", "bad", "caution", "neutral")] + [
            ("faint", "soft"),
            ("ink", "soft"),
        ]
        for text, ground in pairs:
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for tone in ("good", "bad", "caution", "neutral"):
            assert _contrast("#ffffff", colours[f"{tone}-fill"]) >= 4.5, tone
        for line in ("there", "back", "line"):
            assert _contrast(colours[line], colours.get("card", "#ffffff")) >= 3, line
    assert checked == 3


def test_the_budget_is_shown_beside_what_was_measured(held: dict[str, Any]) -> None:
    held["budget"] = {"outage": {"limit_ms": 100.0, "measured_ms": 212.0}, "arm": {"limit_ms": 3000.0}}
    page = Page(render_html(held)).text
    assert "Longest outage 212 ms 100 ms over" in page
    assert f"Time to arm {UNKNOWN} 3 s not measured" in page
    assert "Budget" not in Page(render_html({**held, "budget": {}})).text
