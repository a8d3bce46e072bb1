# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page docs/reference/log.md shows what really comes of its examples."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import (
    Pool,
    Query,
    QueryError,
    entries,
    event,
    from_wire,
    seen,
    stages,
    words,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.conditions import COMPARISONS, EVENT_FIELDS
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.grammar import NESTED_MOST

NOW = 1_795_341_600.0
ROOT = Path(__file__).resolve().parents[5]
PAGE = (ROOT / "docs" / "reference" / "log.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks("query"))
def test_a_query_gives_the_rows_below_it(block: str) -> None:
    text, brace, answer = block.partition("\n{")
    pool = Pool(lambda: NOW)
    for line in blocks("events")[0].splitlines():
        pool.add(from_wire(line))
    assert len(pool) == 6
    rows = [json.loads(line) for line in (brace + answer).strip().splitlines()]
    assert list(pool.run(Query(text))) == rows


@pytest.mark.parametrize("block", blocks("error"))
def test_an_error_is_as_it_is_shown(block: str) -> None:
    with pytest.raises(QueryError) as refused:
        Query(block.splitlines()[0])
    assert refused.value.pointed() == block.rstrip("\n")


def test_there_are_examples() -> None:
    assert len(blocks("query")) > 5
    assert len(blocks("error")) > 3


def test_the_form_on_the_wire_is_the_one_that_is_shown() -> None:
    lines = [line for kind in ("json", "events") for block in blocks(kind) for line in block.splitlines()]
    assert [from_wire(line).wire().decode() for line in lines] == lines


def test_the_grammar_has_every_word() -> None:
    quoted = set(re.findall(r'"([^"]+)"', blocks("ebnf")[0]))
    assert quoted == {*words.KEYWORDS, *COMPARISONS, *EVENT_FIELDS, "|", "(", ")", ",", "."}


def test_queries_in_the_text_can_be_read() -> None:
    found = re.findall(r"`((?:where|last|count|since|until|select) [^`A-Z]+)`", PAGE)
    found += re.findall(r"^    ((?:where|last|count) .*)$", PAGE, re.MULTILINE)
    assert len(found) > 8
    for part in found:
        for text in part.split("`, `"):
            assert Query(text)


def test_limits_are_those_of_the_program() -> None:
    for limit in (
        f"{event.VALUES_MOST} bytes, {event.DEEPEST} levels deep",
        f"{entries.MESSAGE_MOST} letters; `values.cut`",
        f"{words.TEXT_MOST} letters, {NESTED_MOST} levels",
        f"| {stages.GROUPS_MOST}; then",
        f"{stages.WINDOW_MOST} events in a window; {stages.GROUPS_MOST} groups",
        f"| {seen.RANGES_MOST}; what",
    ):
        assert limit in PAGE
