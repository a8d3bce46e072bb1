# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layout, topology and plots: what must hold for any testbed and any run."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report import wording
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report.faults import circuit_of, places
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report.layout import Box, arrange, crosses
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report.paths import detour
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report.plot import (
    POINTS,
    outage_of,
    stream_pairs,
    thinned,
)
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report.timebase import (
    axis_of,
    fault_windows,
    round_steps,
)
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report.topology_svg import NARROW, WIDE, draw_topology
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=40)
@given(st.lists(st.none() | st.tuples(st.floats(30, 45), st.floats(128, 146)), min_size=1, max_size=12))
def test_boxes_never_overlap_and_stay_on_the_sheet(positions: list[tuple[float, float] | None]) -> None:
    boxes = [Box(str(i), 120, 60, position) for i, position in enumerate(positions)]
    placed, height = arrange(boxes, [], 1000, 400, 40)
    for i, one in enumerate(placed):
        assert one.width / 2 - 1e-6 <= one.x <= 1000 - one.width / 2 + 1e-6
        assert 0 <= one.y <= height
        assert not any(one.overlaps(other) for other in placed[i + 1 :])


def test_north_is_up_and_east_is_right() -> None:
    (north, south, east), _height = arrange(
        [Box("n", 80, 40, (43.0, 135.0)), Box("s", 80, 40, (33.0, 135.0)), Box("e", 80, 40, (38.0, 142.0))],
        [],
        1000,
        400,
        20,
    )
    assert north.y < south.y
    assert east.x > north.x


def test_a_box_steps_off_a_line_between_two_others() -> None:
    boxes = [
        Box("a", 80, 40, (35.0, 130.0)),
        Box("b", 80, 40, (35.0, 140.0)),
        Box("c", 80, 40, (35.0, 135.0)),
        Box("d", 80, 40, (38.0, 135.0)),
    ]
    placed, _height = arrange(boxes, [("a", "b")], 1000, 400, 40)
    a, b, c, _d = placed
    assert not crosses(c, (a.x, a.y), (b.x, b.y))


@pytest.mark.parametrize("sheet", [WIDE, NARROW])
def test_severed_circuit_is_broken_and_marked(held: dict[str, Any], sheet: Any) -> None:
    svg = ET.fromstring(draw_topology(held, sheet))
    broken = [line for line in svg.iter("line") if line.get("class") == "faulted"]
    assert len(broken) == 2
    assert "link down 5\u201325\u00a0s" in {text.text for text in svg.iter("text")}
    assert sum(1 for line in svg.iter("line") if line.get("class") == "circuit used") == 2


def test_one_way_loss_points_along_its_direction(samples: Any) -> None:
    (place,) = places(samples["failed"]())
    assert (place.circuit, place.node, place.towards, place.breaks) == ("kanazawa-osaka", "osaka", "kanazawa-r1", False)
    assert "rotate(" in draw_topology(samples["failed"](), WIDE)


def test_circuit_is_found_by_the_interface(held: dict[str, Any]) -> None:
    fault = {"target": "hiroshima-r1", "asked": {"interface": "w-osaka"}}
    assert circuit_of(held, fault) == "hiroshima-osaka"
    assert circuit_of(held, {"target": "hiroshima-r1", "asked": {"prefix": "10.2.0.0/16"}}) is None


def test_fault_on_a_node_marks_the_node(held: dict[str, Any]) -> None:
    held["faults"] = [
        {
            "kind": "route_blackhole",
            "target": "osaka",
            "asked": {"prefix": "10.2.0.0/16"},
            "at": 1,
            "for": 2,
            "injected": 1.0,
        }
    ]
    assert 'class="node core faulted"' in draw_topology(held, WIDE)


def test_detour_follows_the_hops(held: dict[str, Any]) -> None:
    assert detour(held) == {"hiroshima-osaka", "kanazawa-osaka"}


def test_no_router_no_drawing() -> None:
    assert draw_topology({"testbed": {"nodes": {"k": {"kind": "kvm_host"}}}}, WIDE) == ""


def test_thinning_keeps_the_worst() -> None:
    series = [
        {
            "t": i / 10,
            "loss_percent": 100.0 if i == 4321 else 0.0,
            "latency_ms": 5.0,
            "latency_max_ms": 80.0 if i == 17 else 6.0,
        }
        for i in range(9000)
    ]
    points = thinned(series)
    assert len(points) <= POINTS
    assert max(p[1] or 0 for p in points) == 100.0
    assert max(p[3] or 0 for p in points) == 80.0


def test_outage_is_where_the_report_says_else_where_most_was_lost(held: dict[str, Any]) -> None:
    stream = copy.deepcopy(held["streams"][0])
    assert outage_of(stream) == pytest.approx((5.004, 5.216))
    del stream["outage_at"]
    assert outage_of(stream) == pytest.approx((5.0, 5.212))
    assert outage_of({"outage_ms": 0.0}) is None


def test_both_directions_share_a_panel(held: dict[str, Any]) -> None:
    axis = axis_of(held)
    assert axis is not None
    assert [len(pair.directions) for pair in stream_pairs(held, axis)] == [2, 2]
    held["streams"].append({"name": "x", "from": "osaka", "to": "otemachi", "series": []})
    assert stream_pairs(held, axis)[-1].latency is None


def test_axis_covers_the_run_and_probes_near_it(held: dict[str, Any]) -> None:
    held["probes"].append({"name": "late", "at": 400.0})
    axis = axis_of(held)
    assert axis is not None
    assert (axis.first, axis.last) == (-1.2, 39.6)
    assert axis_of({}) is None


def test_windows_are_merged_and_open_ones_last(held: dict[str, Any]) -> None:
    axis = axis_of(held)
    assert axis is not None
    assert fault_windows(held, axis) == [(5.002, 25.003)]
    held["faults"][1]["undone"] = None
    assert fault_windows(held, axis) == [(5.002, axis.last)]


def test_round_steps() -> None:
    assert round_steps(-1.2, 39.6, 8) == [0, 10, 20, 30]
    assert round_steps(0, 9.8, 3) == [0, 5]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "\u2013"),
        (0.0, "0 ms"),
        (3.14, "3.1 ms"),
        (212.0, "212 ms"),
        (999.7, "1 s"),
        (3410.0, "3.41 s"),
        (16_800, "16.8 s"),
        (60_800.0, "1 min 1 s"),
    ],
)
def test_milliseconds(value: float | None, words: str) -> None:
    assert wording.milliseconds(value).replace("\u00a0", " ") == words


def test_instants_and_shares() -> None:
    assert wording.instant(-1.2) == "\u22121.200\u00a0s"
    assert wording.lateness(5.0, 5.002) == "+2\u00a0ms"
    assert wording.lateness(5.0, 4.9991) == "\u22120.9\u00a0ms"
    assert wording.percent(0.547) == "0.55\u00a0%"
    assert wording.count(15200) == "15\u202f200"
