# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any text is a query, or an error that a person can act on."""

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Query, QueryError
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.words import KEYWORDS, TEXT_MOST
from hypothesis import given
from hypothesis import strategies as st

pieces = st.sampled_from(
    [*KEYWORDS, "host", "time", "values.ms", 'values."a b"', "values", "naist-kvm1", '"a text"', "'it'", "5", "-1.5",
     "10m", "2026-11-22T10:00:00Z", "=", "!=", "<", ">=", "(", ")", ",", "|", "10.0.0.1", "9" * 400, "1e999", '"open',
     "/", "hots"]
)  # fmt: skip


@given(st.lists(pieces, max_size=14).map(" ".join) | st.text(max_size=40) | st.lists(pieces, max_size=14).map("".join))
def test_any_text_is_a_query_or_a_clear_error(text: str) -> None:
    error = refusal(text)
    if error:
        assert 1 <= error.position <= len(text) + 1
        assert error.message
        assert error.expected
        assert str(error).startswith(f"position {error.position}: {error.message}; expected {error.expected}")
        line, mark = error.pointed().split("\n", 1)
        assert line in text
        assert mark.lstrip(" ").startswith("^ position ")


def refusal(text: str) -> QueryError | None:
    try:
        Query(text)
    except QueryError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("text", "position", "message", "expected", "suggestion"),
    [
        ("wher host = a", 1, "there is wher", "where, since, until, last, count or select", "where"),
        ("where hots = a", 7, "there is no field hots", "a field: time, trace, host", "host"),
        ("where ms > 4", 7, "there is no field ms", "or values.NAME", "values.ms"),
        ("where value.ms > 4", 7, "there is no field value.ms", "or values.NAME", "values.ms"),
        ("where host.name = a", 7, "there is no field host.name", "or values.NAME", "host"),
        ("where host", 11, "the query ends", "=, ==, !=, <, <=, >, >=, contains, like, in", None),
        ("where host contain a", 12, "there is contain", "contains, like, in", "contains"),
        ("where host =", 13, "the query ends", "a number, a text, true, false or null", None),
        ("where host = since", 14, "there is since", "a number, a text, true, false or null", None),
        ("where host = 10.0.0.1", 14, "10.0.0.1 is no number", "a text belongs in quotation marks", None),
        ("where values.ms > 1e999", 19, "there is 1e999", "a smaller number", None),
        ("where values.ms > true", 19, "there is true", "since only these have an order", None),
        ("where host like 3", 17, "there is 3", "a text with * and ?", None),
        ('where host = "a', 14, "a text begins here and doesn't end", 'a " at its end', None),
        ("where host = a/b", 15, "there is /", "other signs belong in quotation marks", None),
        ("where host in a", 15, "there is a", 'a list such as ("a", "b")', None),
        ("where host in (a b", 18, "there is b", ", or )", None),
        ("where (host = a", 16, "the query ends", ") or and, or", None),
        ("where host = a adn host = b", 16, "there is adn", "| and another stage, or the query's end", "and"),
        ("where host = a snce 10m", 16, "there is snce", "| and another stage", "since"),
        ("where host = a last 3", 16, "there is last", "a | before last", None),
        ("where host = a where host = b", 16, "where is there already", "and, | or the query's end", None),
        ("since 1m since 2m", 10, "since is there already", "and, | or the query's end", None),
        ("last 3 | since 10m", 10, "there is since", "since before the first |", None),
        ("since 10", 7, "there is 10", "a duration such as 10m", None),
        ("since 10x", 7, "there is no unit x", "a duration such as 10m", "10s"),
        ("since 10mn", 7, "there is no unit mn", "a duration such as 10m", "10min"),
        ("since 400d", 7, "there is 400d", "at most 366d", None),
        ("since yesterday", 7, "there is yesterday", "an instant such as 2026-11-22T10:00:00Z", None),
        ("since 2026-13-01", 7, "there is 2026-13-01", "an instant such as 2026-11-22T10:00:00Z", None),
        ("last 0", 6, "there is 0", "a whole number from 1 to 1000000", None),
        ("last 1.5", 6, "there is 1.5", "a whole number from 1 to 1000000", None),
        ("last per hst", 10, "there is no field hst", "a field: ", "host"),
        ("last 3 pr host", 8, "there is pr", "| and another stage", "per"),
        ("count over", 11, "the query ends", "a duration such as 10m", None),
        ("count over 0s", 12, "a window can't be empty", "a duration such as 10m", None),
        ("count by", 9, "the query ends", "a field: ", None),
        ("count by host | where trace = a", 23, "there is no field trace here", "a field: count, host", None),
        ("count by host | where coun > 3", 23, "there is no field coun here", "a field: count, host", "count"),
        ("count | count over 1m", 9, "windows need the field time", "count without over, or select time", None),
        ("select host, host", 14, "there are two fields host", "as and another name", None),
        ("select host as", 15, "the query ends", "a name", None),
        ("select", 7, "the query ends", "a field: ", None),
        ("last | | last", 8, "there is |", "where, last, count or select", None),
        ("last )", 6, "there is )", "| and another stage, or the query's end", None),
        ("where " + "(" * 51, 57, "there is (", "at most 50 times not and (", None),
        ("x" * (TEXT_MOST + 1), TEXT_MOST + 1, f"it is {TEXT_MOST + 1} letters long", f"{TEXT_MOST} at most", None),
    ],
)  # fmt: skip
def test_an_error_says_where_and_what(
    text: str, position: int, message: str, expected: str, suggestion: str | None
) -> None:
    with pytest.raises(QueryError) as refused:
        Query(text)
    error = refused.value
    assert (error.position, error.suggestion) == (position, suggestion)
    assert message in error.message
    assert expected in error.expected


def test_an_error_points_into_its_line() -> None:
    with pytest.raises(QueryError) as refused:
        Query("where host = a\n| count by hst\n| last")
    assert refused.value.pointed().startswith("| count by hst\n           ^ position 27: there is no field hst;")


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "last", "where host = a", "since 1h", "until 1h since 2h where host = a | last",
        'where host = "since"',
        "WHERE host = a AND NOT has values.x | LAST per host", "where values.10 = 1", "select host as 'the host'",
        "count by values.where | where values.where = 1", "count over 1.5h by host, trace | select from, to, count",
        "where\thost\n=\na", "where host = 'it\"s'", "where values.'a.b'.c = 1", "since 2026-11-22",
    ],
)  # fmt: skip
def test_what_is_fine(text: str) -> None:
    assert Query(text).text == text
