# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What queries give, against a reference that has no index, no bytes, no windows kept while it reads, and no haste."""

from __future__ import annotations

import fnmatch
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Event, Pool, Query, TooMany, stages
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_795_262_400.0
ABSENT = object()
Row = dict[str, Any]

words = st.text('ab"\\ *?[é', max_size=3)
scalars = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, 1.0, 2.5]) | words
fields = st.sampled_from(
    ["time", "trace", "host", "source", "important", "origin", "sequence", "id", "values", "values.ms", "values.state",
     "values.deep.ms", 'values."a b"', "values.list"]
)  # fmt: skip
values = st.fixed_dictionaries(
    {},
    optional={
        "ms": scalars, "state": scalars, "a b": scalars, "list": st.lists(scalars, max_size=3),
        "deep": scalars | st.fixed_dictionaries({}, optional={"ms": scalars, "x": scalars}),
    },
)  # fmt: skip
events = st.lists(
    st.tuples(
        st.integers(0, 40), st.sampled_from(["", "t1", "t2"]), st.sampled_from(["a", "b-1", "c"]),
        st.sampled_from(["ping", "tcp/7000"]), values, st.booleans(),
    ),
    max_size=25,
).map(
    lambda many: [
        Event(f"{host}/r", number, NOW - ago / 2, trace, host, source, said, important)
        for number, (ago, trace, host, source, said, important) in enumerate(many, 1)
    ]
)  # fmt: skip

known_values = st.sampled_from(["t1", "t2", "a", "b-1", "ping", "a/r", "a/r:1", NOW, NOW - 3]) | scalars
ordered = st.sampled_from(["<", "<=", ">", ">="])
comparisons = st.one_of(
    st.tuples(st.just("cmp"), fields, st.sampled_from(["=", "==", "!=", "contains"]), known_values),
    st.tuples(st.just("cmp"), fields, ordered, st.integers(-2, 3) | st.sampled_from([0.5, NOW - 3]) | words),
    st.tuples(st.just("cmp"), fields, st.just("like"), words),
    st.tuples(st.just("in"), fields, st.lists(known_values, min_size=1, max_size=3)),
    st.tuples(st.just("has"), fields),
    st.just(("cmp", "important", "=", True)),
)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3))
        | st.tuples(st.just("not"), inner)
    ),
    max_leaves=5,
)
spans = st.none() | st.integers(0, 25)
event_stages = st.lists(
    st.one_of(
        st.tuples(st.just("where"), conditions),
        st.tuples(st.just("last"), st.integers(1, 5), st.lists(fields, max_size=2, unique=True)),
    ),
    max_size=2,
)
endings = st.one_of(
    st.none(),
    st.tuples(st.just("count"), st.sampled_from([None, 1, 3, 7]), st.lists(fields, max_size=2, unique=True)),
    st.tuples(st.just("select"), st.lists(fields, min_size=1, max_size=3, unique=True)),
)


def said(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def text(condition: Any) -> str:
    kind, *rest = condition
    if kind in ("and", "or"):
        return f" {kind} ".join(f"({text(part)})" for part in rest[0])
    if kind == "not":
        return f"not ({text(rest[0])})"
    if kind == "has":
        return f"has {rest[0]}"
    if kind == "in":
        return f"{rest[0]} in ({', '.join(map(said, rest[1]))})"
    return f"{rest[0]} {rest[1]} {said(rest[2])}"


def stage_text(stage: Any) -> str:
    kind, first, *rest = stage
    if kind == "where":
        return f"where {text(first)}"
    if kind == "select":
        return f"select {', '.join(first)}"
    by = rest[0] and ", ".join(rest[0])
    if kind == "last":
        return f"last {first}" + (f" per {by}" if by else "")
    return "count" + (f" over {first}s" if first else "") + (f" by {by}" if by else "")


def value_of(row: Row, field: str) -> Any:
    if field in row:
        return row[field]
    found: Any = row.get("values", ABSENT)
    for part in field.replace('"', "").split(".")[1:]:
        found = found.get(part, ABSENT) if isinstance(found, dict) else ABSENT
    return found


def same(one: Any, other: Any) -> bool:
    kinds = [
        bool if isinstance(each, bool) else float if isinstance(each, int) else type(each) for each in (one, other)
    ]
    return kinds[0] == kinds[1] and one == other


def holds(condition: Any, row: Row) -> bool:
    kind, *rest = condition
    if kind in ("and", "or"):
        return {"and": all, "or": any}[kind](holds(part, row) for part in rest[0])
    if kind == "not":
        return not holds(rest[0], row)
    found = value_of(row, rest[0])
    if kind == "has":
        return found is not ABSENT
    if kind == "in":
        return any(same(found, value) for value in rest[1])
    return found is not ABSENT and compares(found, rest[1], rest[2])


def compares(found: Any, sign: str, value: Any) -> bool:
    if sign in ("=", "==", "!="):
        return same(found, value) == (sign != "!=")
    if sign == "contains":
        if isinstance(found, str):
            return isinstance(value, str) and value in found
        return isinstance(found, list) and any(same(item, value) for item in found)
    if sign == "like":
        return isinstance(found, str) and fnmatch.fnmatchcase(found, value.replace("[", "[[]"))
    if isinstance(value, str) != isinstance(found, str) or isinstance(found, (bool, list, dict, type(None))):
        return False
    return bool({"<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value}[sign])


def group(row: Row, by: list[str]) -> str:
    return json.dumps([None if (value := value_of(row, field)) is ABSENT else value for field in by], sort_keys=True)


def shown(row: Row, by: list[str]) -> Row:
    return {field: None if (value := value_of(row, field)) is ABSENT else value for field in by}


def reference(held: list[Event], chain: list[Any], since: int | None, until: int | None) -> list[Row]:
    """Do what the query's parts say with all rows at once."""
    end = NOW if until is None else NOW - until
    held = sorted(held, key=lambda event: (event.time, event.sequence), reverse=True)
    rows = [{**event.to_dict(), "origin": event.origin, "sequence": event.sequence} for event in held
            if (since is None or event.time >= NOW - since) and (until is None or event.time <= end)]  # fmt: skip
    for kind, first, *rest in chain:
        if kind == "where":
            rows = [row for row in rows if holds(first, row)]
        elif kind == "last":
            groups = [group(row, rest[0]) for row in rows]
            rows = [row for place, row in enumerate(rows) if groups[:place].count(groups[place]) < first]
        elif kind == "select":
            return [shown(row, first) for row in rows]
        else:
            return counted(rows, first, rest[0], end)
    return [{key: row[key] for key in row if key not in ("origin", "sequence")} for row in rows]


def counted(rows: list[Row], over: int | None, by: list[str], end: float) -> list[Row]:
    found = []
    for window in range(30) if over else [0]:
        first, last = (end - (window + 1) * over, end - window * over) if over else (-math.inf, math.inf)
        inside = [row for row in rows if first < row["time"] <= last]
        bounds = {"from": first, "to": last} if over else {}
        groups = [group(row, by) for row in inside]
        firsts = [place for place, each in enumerate(groups) if each not in groups[:place]]
        rows_here = [{"count": groups.count(groups[place]), **bounds, **shown(inside[place], by)} for place in firsts]
        found += sorted(rows_here, key=lambda row: -row["count"])
    return found or ([{"count": 0}] if not over and not by else [])


@settings(max_examples=400)
@given(events, st.none() | conditions, spans, spans, event_stages, endings)
def test_a_query_gives_what_the_reference_gives(
    held: list[Event], condition: Any, since: int | None, until: int | None, middle: list[Any], ending: Any
) -> None:
    pool = Pool(lambda: NOW)
    for event in held:
        pool.add(event)
    chain = [*([("where", condition)] if condition else []), *middle, *([ending] if ending else [])]
    head = [f"where {text(condition)}"] if condition else []
    head += [] if since is None else [f"since {since}s"]
    head += [] if until is None else [f"until {until}s"]
    parts = [*([" ".join(head)] if head else []), *(stage_text(stage) for stage in chain[bool(condition) :])]
    query = Query(" | ".join(parts))
    assert list(pool.run(query)) == reference(held, chain, since, until)
    assert list(pool.run(query)) == list(pool.run(query))


def pool_of(event: Callable[..., Event], *all_known: Row) -> Pool:
    """Give a pool with events a second apart, the last of them now."""
    pool = Pool(lambda: NOW)
    for number, known in enumerate(all_known, 1):
        pool.add(event(**{"sequence": number, "time": NOW - len(all_known) + number, **known}))
    return pool


def rows(pool: Pool, text: str) -> list[Row]:
    return list(pool.run(Query(text)))


def test_what_is_not_there_and_what_is_null_are_one_group_as_they_are_shown(event: Callable[..., Event]) -> None:
    pool = pool_of(event, {"values": {}}, {"values": {"n": None}}, {"values": {"n": "null"}})
    assert rows(pool, "count by values.n") == [{"count": 2, "values.n": None}, {"count": 1, "values.n": "null"}]
    assert len(rows(pool, "last 1 per values.n")) == 2


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("values.n = 1", [3, 1]),  # 1 and 1.0, but neither true nor "1"
        ('values.n = "1"', [4]),
        ("values.n = true", [2]),
        ("values.n = null", [5]),
        ("values.n != 1", [5, 4, 2]),  # what isn't there differs from nothing
        ("not values.n = 1", [6, 5, 4, 2]),
        ("values.n >= 1", [3, 1]),
        ('values.n > "0"', [4]),
        ("values.n in (1, null)", [5, 3, 1]),
        ("has values.n", [5, 4, 3, 2, 1]),
        ("not has values.n", [6]),
        ("important", [2]),
        ("not important and values.n = 1 or important", [3, 2, 1]),
        ("WHERE sequence > 5", [6]),
    ],
)
def test_types_are_told_apart(event: Callable[..., Event], condition: str, numbers: list[int]) -> None:
    said = [{"n": 1}, {"n": True}, {"n": 1.0}, {"n": "1"}, {"n": None}, {}]
    pool = pool_of(event, *({"values": each, "important": number == 1} for number, each in enumerate(said)))
    condition = condition if condition.startswith("WHERE") else f"where {condition}"
    assert [row["sequence"] for row in rows(pool, f"{condition} | select sequence")] == numbers


def test_a_window_ends_with_the_query_and_is_told_when_it_is_over(event: Callable[..., Event]) -> None:
    pool = pool_of(event, *({"host": "ab"[number % 2]} for number in range(5)))
    assert rows(pool, "count over 2s by host") == [
        {"count": 1, "from": NOW - 2, "to": NOW, "host": "a"},
        {"count": 1, "from": NOW - 2, "to": NOW, "host": "b"},
        {"count": 1, "from": NOW - 4, "to": NOW - 2, "host": "a"},
        {"count": 1, "from": NOW - 4, "to": NOW - 2, "host": "b"},
        {"count": 1, "from": NOW - 6, "to": NOW - 4, "host": "a"},
    ]
    assert rows(pool, "until 1s | count over 3s") == [
        {"count": 3, "from": NOW - 4, "to": NOW - 1}, {"count": 1, "from": NOW - 7, "to": NOW - 4},
    ]  # fmt: skip
    early = pool.steps(Query("count over 1s | last 1 | select to"))
    assert [row for portion in early for row in portion] == [{"to": NOW}]


def test_a_host_whose_clock_is_a_little_ahead_counts_now(event: Callable[..., Event]) -> None:
    pool = pool_of(event, {"time": NOW + 5}, {})
    assert rows(pool, "count over 1s") == [{"count": 2, "from": NOW - 1, "to": NOW}]


def test_stages_follow_each_other(event: Callable[..., Event]) -> None:
    pool = pool_of(event, *({"trace": f"t{number % 3}", "values": {"ms": number}} for number in range(9)))
    assert rows(pool, "last per trace | select values.ms as ms | where ms < 8") == [{"ms": 7}, {"ms": 6}]
    assert rows(pool, "last 4 | count") == [{"count": 4}]
    assert rows(pool, "where sequence > 99 | count") == [{"count": 0}]
    assert rows(pool, "count by trace | where count > 3 | count") == [{"count": 0}]
    assert (
        rows(pool, "select time, trace | count over 3s by trace | where trace = t0 | select count")
        == [{"count": 1}] * 3
    )
    assert rows(pool, "count by values.none") == [{"count": 9, "values.none": None}]


def test_an_instant_is_of_any_zone(event: Callable[..., Event]) -> None:
    pool = pool_of(event, *[{}] * 5)
    for instant in ("2026-11-21T11:59:58Z", "2026-11-21T20:59:58+09:00", '"2026-11-21 11:59:58"', "2s"):
        found = [row["time"] for row in rows(pool, f"since {instant}")]
        assert found == [NOW, NOW - 1, NOW - 2]
        assert [row["time"] for row in rows(pool, f"until {instant} since 3s")] == [NOW - 2, NOW - 3]


def test_an_index_answers_for_traces(event: Callable[..., Event]) -> None:
    assert Query("where trace = t1 and host = a").traces == ("t1",)
    assert Query("where (trace in (t1, t2, t1)) | where host = a").traces == ("t1", "t2")
    assert Query("last 5 | where trace = t1").traces is None
    for condition in ("trace = t1 or host = a", "not trace = t1", 'trace = ""', 'trace != "t1"', "host = t1"):
        assert Query(f"where {condition}").traces is None
    pool = pool_of(event, {}, {"trace": "t"}, {"trace": "null"})
    assert len(rows(pool, "where trace = 1")) == len(rows(pool, "where trace = null")) == 0
    assert len(rows(pool, 'where trace = ""')) == 1


def test_text_that_looks_like_a_key_is_none(event: Callable[..., Event]) -> None:
    pool = pool_of(event, {"values": {"text": '"ms":50'}, "trace": '"ms":50'}, {"values": {"ms": {"ms": 50}}})
    assert rows(pool, "where values.ms > 40") == []
    assert len(rows(pool, "where values.ms.ms > 40")) == 1


def test_too_many_groups_are_told(event: Callable[..., Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "GROUPS_MOST", 3)
    pool = pool_of(event, *({"trace": f"t{number}"} for number in range(4)))
    for text in ("last per trace", "count by trace"):
        assert len(rows(pool, f"last 3 | {text}")) == 3
        with pytest.raises(TooMany, match="narrow it with where or since"):
            rows(pool, text)
