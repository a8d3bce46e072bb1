# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.wire import from_wire, rules_from_dict, to_wire
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.messages import (
    Answer,
    Ask,
    Ballot,
    Call,
    Elected,
    Ended,
    HandOver,
    Merged,
    Offer,
    Result,
    Serving,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Committed, Profile, Rules, Vote
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from hypothesis import given
from hypothesis import strategies as st

names = st.text(max_size=8)
numbers = st.integers(0, 2**62)
hosts = st.frozensets(names, max_size=3)
shares = st.floats(0, 1)
profiles = st.builds(
    Profile, st.just("a"), names, st.builds(Committed, numbers, numbers), shares, shares, st.floats(0, 1e6),
    st.integers(-9, 9), names,
)  # fmt: skip
votes = st.builds(Vote, profiles, st.builds(Rules, numbers, st.none() | hosts, hosts, hosts), st.booleans())
a = st.just("a")
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
messages = st.one_of(
    st.builds(Call, a, numbers),
    st.builds(Ballot, a, numbers, votes, numbers),
    st.builds(Result, a, numbers, st.lists(names, max_size=3).map(tuple)),
    st.builds(HandOver, a, numbers, names),
    st.builds(Ask, a, numbers),
    st.builds(Answer, a, numbers, st.none() | numbers),
    st.builds(Serving, a, names, numbers, numbers, st.floats(0, 1e6), numbers),
    st.builds(Ended, a, numbers),
    st.builds(Elected, a, numbers, names, numbers),
    st.builds(Offer, a, numbers, digests, numbers, st.booleans()),
    st.builds(Merged, a, numbers, digests),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
BALLOT = to_wire(Ballot("a", 3, Vote(Profile("a", "site"), Rules(1, frozenset("ab"))), 4))


@given(messages)
def test_every_message_comes_back(message: Any) -> None:
    assert from_wire(json.loads(json.dumps(to_wire(message))), "a") == message


@given(messages, st.data())
def test_what_is_not_a_message_is_refused_and_nothing_else_happens(message: Any, data: st.DataObject) -> None:
    body = json.loads(json.dumps(to_wire(message)))
    inside = body
    for key in ("vote", data.draw(st.sampled_from(["profile", "rules"]))):
        if isinstance(inside.get(key), dict) and data.draw(st.booleans()):
            inside = inside[key]
    key = data.draw(st.sampled_from(sorted(inside)))
    if data.draw(st.booleans()):
        del inside[key]
        with pytest.raises(BadValue):
            from_wire(body, "a")
        return
    inside[key] = data.draw(anything)
    try:
        read = from_wire(body, "a")
    except BadValue:
        return
    assert from_wire(to_wire(read), "a") == read


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("vote", "rules", "allowed"), [1]),
        (("vote", "rules", "allowed"), "ab"),
        (("vote", "rules", "forbidden"), None),
        (("vote", "profile", "committed"), [1]),
        (("vote", "profile", "distance_ms"), 10**400),
        (("vote", "profile", "machine"), 1.5),
        (("vote", "granted"), 1),
        (("vote",), []),
        (("term",), True),
        (("kind",), "ballots"),
        (("kind",), ["ballot"]),
    ],
)
def test_wrong_ballots(place: tuple[str, ...], value: object) -> None:
    body = json.loads(json.dumps(BALLOT))
    assert from_wire(body, "a")
    inside = body
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    with pytest.raises(BadValue):
        from_wire(body, "a")


def test_nobody_speaks_or_votes_as_another() -> None:
    with pytest.raises(BadValue, match="b speaks as a"):
        from_wire(to_wire(Call("a", 1)), "b")
    with pytest.raises(BadValue, match="b votes as a"):
        from_wire({**BALLOT, "sender": "b"}, "b")


@pytest.mark.parametrize("said", [None, [], "x", {}])
def test_rules_that_are_none(said: object) -> None:
    with pytest.raises(BadValue, match="rules"):
        rules_from_dict(said)
