# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions that are asked several times: when more answers are needed, and what they say together."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill import expectations
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.check import Measurements
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.compile import programs
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Probe
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.patience import Patience
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.reach_checks import Ping
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.samples import Gap, gaps
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st

CHECK = Ping("a", "b", "10.0.0.1")
WINDOWS = {"before": [(0.0, 5.0)], "faults": [(5.0, 15.0)], "after": [(15.0, 20.0)], "run": [(0.0, 20.0)]}
MEASURED = Measurements((), (), WINDOWS, 5.0)


@pytest.mark.parametrize(
    ("patience", "answers", "settled", "holds"),
    [
        (Patience(), "+", True, True),
        (Patience(), "-", True, False),
        (Patience(tries=3), "+", False, True),
        (Patience(tries=3), "+-", True, False),
        (Patience(tries=3, tolerate=1), "+-", False, True),
        (Patience(tries=3, tolerate=1), "+-+", True, True),
        (Patience(tries=3, tolerate=1), "-+-", True, False),
        (Patience(deadline_s=3.0), "-", False, False),
        (Patience(deadline_s=3.0), "--+", True, True),
        (Patience(deadline_s=3.0), "----", True, False),
    ],
)
def test_patience(patience: Patience, answers: str, settled: bool, holds: bool) -> None:
    right = [answer == "+" for answer in answers]
    assert patience.settled(right, len(right) - 1) == settled
    assert patience.holds(right) == holds


@given(st.integers(1, 9), st.integers(0, 8), st.lists(st.booleans(), min_size=9, max_size=9))
def test_what_is_settled_early_is_what_all_answers_say(tries: int, tolerate: int, right: list[bool]) -> None:
    patience = Patience(tries=tries, tolerate=tolerate)
    until = next(number for number in range(1, 10) if patience.settled(right[:number], number - 1))
    assert until <= tries
    assert patience.holds(right[:until]) == patience.holds(right[:tries]) or not any(right[:until])


def outcomes(text: str) -> list[dict[str, Any]]:
    """One a second from T0 on; + is as it should be."""
    return [{"at": float(at), "ok": sign == "+", "detail": f"said {sign}"} for at, sign in enumerate(text)]


def test_gaps() -> None:
    assert gaps(outcomes("+--+-"), 0.0) == [Gap(1.0, 3.0), Gap(4.0, None)]
    assert gaps(outcomes("---+-"), 2.0) == [Gap(2.0, 3.0), Gap(4.0, None)]


@given(st.text("+-", max_size=30))
def test_gaps_hold_every_wrong_answer_and_no_right_one(text: str) -> None:
    series = outcomes(text)
    found = gaps(series, 0.0)
    for each in series:
        within = any(gap.begin <= each["at"] and (gap.end is None or each["at"] < gap.end) for gap in found)
        assert within != each["ok"]


@pytest.mark.parametrize(
    ("phase", "more", "text", "ok", "words"),
    [
        ("continuous", {}, "+" * 20, True, "0 of 20 answers were wrong; said +"),
        ("continuous", {}, "+" * 19 + "-", False, "1 of 20 answers were wrong, expected at most 0; at 19 s: said -"),
        ("continuous", {"patience": Patience(tolerate=1)}, "+" * 19 + "-", True, "1 of 20 answers were wrong; at 19"),
        ("continuous", {"max_outage_s": 3.0}, "+++++---++++++++++++", True, "longest time without a right answer 3 s"),
        ("continuous", {"max_outage_s": 2.0}, "+++++---++++++++++++", False, "right answer 3 s, expected at most 2 s"),
        ("continuous", {"max_outage_s": 2.0}, "+++++---------------", False, "right answer 15 s, expected at most 2"),
        ("recover_within", {"within": 4.0}, "+++++---++++++++++++", True, "it held again after 3 s; 3 of 20 answers"),
        (
            "recover_within",
            {"within": 2.0},
            "+++++---++++++++++++",
            False,
            "it held again after 3 s, expected within",
        ),
        ("recover_within", {"within": 2.0}, "+++++---------------", False, "it never held again, expected within 2 s"),
        ("recover_within", {"within": 2.0}, "++++++++++++++++--++", True, "it always held; 2 of 20 answers were wrong"),
        ("recover_within", {"within": 4.0}, "+++++-+--+++++++++++", True, "it held again after 4 s; 3 of 20 answers"),
        ("recover_within", {"within": 2.0}, "+++++-+-++++--++++++", False, "it held again after 9 s, expected within"),
        ("continuous", {}, "+++++++++", False, "no answer after 8 s, though it was asked until 20 s"),
        ("continuous", {"max_outage_s": 3.0}, "++++", False, "no answer after 3 s"),
        ("continuous", {}, "", False, "no answer from the target that was to ask"),
    ],
)
def test_over_the_whole_run(phase: Any, more: dict[str, Any], text: str, ok: bool, words: str) -> None:
    outcome = expectations.sampled(Probe("p", "p", phase, CHECK, **more), outcomes(text), MEASURED)
    assert outcome["ok"] == ok
    assert words in outcome["detail"]


def test_without_an_injection_nothing_held() -> None:
    outcome = expectations.sampled(Probe("p", "p", "continuous", CHECK), outcomes("+"), Measurements((), (), {}, None))
    assert (outcome["ok"], outcome["detail"]) == (False, "no fault was injected")


def test_several_answers_are_told_as_one() -> None:
    probe = Probe("p", "p", "after", CHECK, patience=Patience(tries=3, tolerate=1))
    assert expectations.repeated(probe, outcomes("+-+")) == {
        "at": 2.0, "ok": True, "detail": "said +; 1 of 3 answers were wrong",
    }  # fmt: skip
    assert expectations.repeated(probe, outcomes("--"))["detail"] == "said -; 2 of 2 answers were wrong"
    assert expectations.repeated(probe, outcomes("-")[:1]) == outcomes("-")[0]


PING = {"ping": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1"}}


def drill(probe: dict[str, Any]) -> dict[str, Any]:
    cut = {"at": 5, "for": 10, "fault": "link_down", "circuit": "hiroshima-kanazawa"}
    return {"name": "d", "hypothesis": "h", "timeline": [cut], "probes": [{**PING, **probe}]}


@pytest.mark.parametrize(
    ("probe", "asked"),
    [
        ({"phase": "on_fault"}, {"at": 10.0}),
        ({"phase": "on_fault", "tries": 3, "every": "500ms"}, {"at": 10.0, "every": 0.5, "until": 11.0}),
        ({"phase": "on_fault", "at": 6, "deadline": "5s"}, {"at": 6.0, "every": 1.0, "until": 11.0}),
        ({"phase": "continuous", "every": "2s", "tolerate": 3}, {"at": 0.0, "every": 2.0, "until": 25.0}),
        ({"phase": "recover_within", "within": "2s"}, {"at": 0.0, "every": 1.0, "until": 25.0}),
    ],
)
def test_instants_of_a_program(lab: dict[str, Any], probe: dict[str, Any], asked: dict[str, Any]) -> None:
    found = programs(parse(drill(probe), lab), "run", Places(lab), 0.0, {})["hiroshima-kvm1"]["probes"]
    assert [{key: each[key] for key in ("at", "every", "until") if key in each} for each in found] == [asked]


def test_a_run_may_take_as_long_as_its_probes(lab: dict[str, Any]) -> None:
    once, long = (parse(drill({"phase": "after", **more}), lab) for more in ({}, {"deadline": "90s"}))
    assert long.expected_s - once.expected_s == 90.0


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ({"phase": "before", "every": "1s"}, "tries: is how often it is asked, or deadline until when"),
        ({"phase": "after", "tries": 3, "deadline": "1s"}, "give the one or the other"),
        ({"phase": "after", "tries": 3, "tolerate": 3}, "tolerate: leaves nothing to hold"),
        ({"phase": "after", "deadline": 3, "tolerate": 3}, "tolerate: has no meaning with a deadline"),
        ({"phase": "after", "tries": 3, "max_outage": "1s"}, "max_outage: has no meaning in the phase after"),
        ({"phase": "continuous", "tries": 3}, "tries: has no meaning in the phase continuous"),
        ({"phase": "continuous", "tolerate": 3, "max_outage": "1s"}, "give either the one or the other"),
        ({"phase": "continuous", "every": "1ms"}, "every: 1ms is less than 0.1 s"),
        ({"phase": "on_fault", "deadline": "6s"}, "deadline: asks until 16 s, and the last fault ends at 15 s"),
        ({"phase": "after", "stop": True}, "stop: is for probes of the phase on_fault, not after"),
        ({"phase": "recover_within", "every": "1s"}, "within: is missing"),
    ],
)
def test_repetitions_that_make_no_sense(lab: dict[str, Any], probe: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(drill(probe), lab)
    assert message in "\n".join(map(str, refused.value.problems))
