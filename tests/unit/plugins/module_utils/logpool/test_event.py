# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Emitter, Event, from_wire
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.event import DEEPEST, VALUES_MOST, values_text
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

ascii_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
events = st.builds(
    Event,
    origin=ascii_text,
    sequence=st.integers(1, 2**63 - 1),
    time=st.floats(0, 253402300799),
    trace=ascii_text | st.just(""),
    host=ascii_text,
    source=ascii_text,
    values=st.dictionaries(st.text(), json_values, max_size=4),
    important=st.booleans(),
)


@given(events)
def test_the_wire_gives_back_what_was_put_on_it(event: Event) -> None:
    line = event.wire()
    assert from_wire(line) == from_wire(line.decode()) == event
    assert line.isascii()
    assert b"\n" not in line


def test_equal_events_are_equal_on_the_wire(event: Callable[..., Event]) -> None:
    assert event(values={"b": 1, "a": {"d": 2, "c": 3}}).wire() == (
        b'{"host":"naist-kvm1","important":false,"origin":"naist-kvm1/r1","schema":1,"sequence":1,"source":"agent",'
        b'"time":1795262400.0,"trace":"","values":{"a":{"c":3,"d":2},"b":1}}'
    )


def test_a_whole_second_and_unknown_keys_are_read(event: Callable[..., Event]) -> None:
    said = {**json.loads(event().wire()), "time": 1795262400, "colour": "red"}
    assert from_wire(json.dumps(said)) == event()
    assert isinstance(from_wire(json.dumps(said)).time, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origin": ""}, "an event.origin is nothing"),
        ({"origin": "a b"}, "an event.origin is a b"),
        ({"sequence": 0}, "an event's sequence is 0, which counts from 1"),
        ({"sequence": 2**63}, "an event's sequence is 9223372036854775808"),
        ({"sequence": True}, "an event.sequence is true"),
        ({"sequence": 1.0}, "an event.sequence is 1.0"),
        ({"time": -1}, "an event's time is -1.0, not the seconds since the epoch"),
        ({"time": 1e12}, "an event's time is 1000000000000.0"),
        ({"time": "now"}, "an event.time is now"),
        ({"time": False}, "an event.time is false"),
        ({"trace": None}, "an event.trace is nothing"),
        ({"trace": "x" * 121}, "an event.trace is xxx"),
        ({"host": "naist\n"}, "an event.host is naist?"),
        ({"host": ["naist"]}, "an event.host is a list"),
        ({"source": 7000}, "an event.source is 7000"),
        ({"values": []}, "an event.values is a list"),
        ({"important": 1}, "an event.important is 1"),
        ({"schema": 2}, "an event of schema 2 can't be read, only one of 1"),
    ],
)
def test_what_no_event_is_on_the_wire(event: Callable[..., Event], change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadValue, match=re.escape(message)):
        from_wire(json.dumps({**json.loads(event().wire()), **change}))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "not a mapping, but a list"),
        (b"{}", "an event has no origin"),
        (b'{"time": NaN}', "NaN, which is no number"),
        (b"[" * 100_000, "is not JSON"),
        (b"9" * 5000, "is not JSON"),
    ],
    ids=range(7),
)
def test_what_is_not_even_a_mapping(line: bytes, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        from_wire(line)


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_an_event_or_refused(line: bytes) -> None:
    with pytest.raises(BadValue):
        from_wire(line)


def test_values_have_a_size_and_a_depth() -> None:
    deep: Any = 1
    for _level in range(DEEPEST - 1):
        deep = [deep]
    assert values_text({"a": deep}) == '{"a":' + "[" * (DEEPEST - 1) + "1" + "]" * (DEEPEST - 1) + "}"
    assert values_text({"many": [[]] * (2 * DEEPEST)})
    letters = "x" * (VALUES_MOST - len('{"a":""}'))
    assert len(values_text({"a": letters})) == VALUES_MOST
    endless: list[Any] = []
    endless.append(endless)
    for values, message in (
        ({"a": [deep]}, f"nested deeper than {DEEPEST}"),
        ({"a": letters + "x"}, f"{VALUES_MOST + 1} bytes long; {VALUES_MOST} are allowed"),
        ({"a": math.nan}, "not JSON"),
        ({"a": {1, 2}}, "not JSON"),
        ({"a": endless}, "not JSON"),
        ({"a": 10**5000}, "not JSON"),
    ):
        with pytest.raises(BadValue, match=message):
            values_text(values)


def test_an_emitter_numbers_its_events() -> None:
    emitter = Emitter("naist-kvm1", "r1", lambda: 5.0)
    first = emitter.event("agent", {"a": 1})
    assert first == Event("naist-kvm1/r1", 1, 5.0, "", "naist-kvm1", "agent", {"a": 1})
    with pytest.raises(BadValue):
        emitter.event("agent", {"a": math.inf})
    with pytest.raises(BadValue):
        emitter.event("", {})
    other = emitter.event("tcp/7000", {}, trace="t", important=True, time=4, host="printer")
    assert other == Event("naist-kvm1/r1", 2, 4.0, "t", "printer", "tcp/7000", {}, important=True)
    assert emitter.event("sshd", {}, known=("naist-kvm1/journal", 9)).id == "naist-kvm1/journal:9"
    assert emitter.event("agent", {}).id == "naist-kvm1/r1:3"
    with pytest.raises(BadValue, match="origin"):
        Emitter("a host", "r1", lambda: 5.0)
