# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline drawn in text."""

from __future__ import annotations

from typing import Any

from ansible_collections.okiagari.testbed.plugins.module_utils.drill.gantt import gantt
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Fault, Step, When
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import timeline_text
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from hypothesis import given
from hypothesis import strategies as st


def link_down(target: str, at: float, lasts: float, **more: Any) -> Fault:
    return Fault(f"d-{target}-{at}", "link_down", target, {"interface": "w0"}, at, lasts, **more)


def test_the_drawing() -> None:
    steps = tuple(Step(4.0 * number, {"interface": "w1", "percent": 10.0 + 10 * number}) for number in range(1, 5))
    faults = [
        link_down("r2", 1, 4),
        link_down("r1", 5, 20),
        Fault("d", "loss", "r1", {"interface": "w1", "percent": 10.0}, 5, 20, steps=steps),
        *(Fault("d", "mtu", "r1", {"interface": "w2", "mtu": 1400}, 26 + 3 * turn, 1.5) for turn in range(3)),
        Fault("d", "route_blackhole", "r2", {"prefix": "10.3.0.0/24"}, 6, 5, when=When({}, 12, "")),
    ]
    assert gantt(faults, 90) == [
        "seconds                        0         10        20        30",
        "                               ┬─────────┬─────────┬─────────┬────",
        "r1",
        "  link_down w0                      ████████████████████           5 to 25",
        "  loss w1                           ▁▁▁▁▃▃▃▃▅▅▅▅▆▆▆▆████           5 to 25 in 5 steps",
        "  mtu w2                                                 █▌ █▌ █▌  26 to 33.5, 3 times",
        "r2",
        "  link_down w0                  ████                               1 to 5",
        "  route_blackhole 10.3.0.0/24        ············░░░░░             for 5, begun by 18",
        "· waits for its event   ░ may still stand",
    ]


def test_what_falls_is_drawn_falling() -> None:
    steps = (Step(1.0, {"delay": {"delay": 0.02}}), Step(2.0, {"delay": {"delay": 0.01}}))
    [*_scale, row] = gantt([Fault("d", "impairment", "r1", {"delay": {"delay": 0.03}}, 0, 3, steps=steps)], 40)
    assert row.split()[1] == "██▅▅▁▁"


def test_without_faults_there_is_nothing_to_draw() -> None:
    assert gantt([], 80) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["r1", "r2"]), st.floats(0, 80_000), st.floats(1, 5000)), min_size=1, max_size=8
    ),
    st.integers(60, 200),
)
def test_every_fault_is_seen_and_no_line_is_too_long(spans: list[tuple[str, float, float]], width: int) -> None:
    faults = [link_down(target, round(at, 1), round(lasts, 1)) for target, at, lasts in spans]
    lines = gantt(faults, width)
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.startswith("  link_down")]
    assert all(set(row) & set("▌▐█") for row in rows)
    assert len(rows) == len({(fault.target, fault.lasts) for fault in faults})


def test_what_was_chosen_is_told_with_the_seed(lab: dict[str, Any]) -> None:
    entry = {"at": 1, "for": 2, "fault": "link_down", "circuit": {"one_of": ["hiroshima-osaka", "kanazawa-osaka"]}}
    drill = parse({"name": "d", "hypothesis": "It holds.", "timeline": [entry], "seed": 7}, lab)
    text = timeline_text(drill)
    assert "chosen with the seed 7 (-e drill_seed=7 chooses the same)" in text
    assert f"  timeline[0].circuit: {drill.faults[0].circuit}" in text
