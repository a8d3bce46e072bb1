# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths: how complete they are, how they are shown, and what is a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.paths import Path, Walk, changed
from hypothesis import given

from .ways import path, paths

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_a_direct_path_has_no_routers() -> None:
    direct = path("")
    assert (direct.routers, direct.silent, direct.hops, str(direct)) == (frozenset(), 0, [], "direct")


@pytest.mark.parametrize(
    ("ways", "hops", "silent", "shown"),
    [
        (["a b"], [["a"], ["b"]], 0, "a b"),
        (["a * c"], [["a"], [], ["c"]], 1, "a * c"),
        (["a b1 c", "a b2 c"], [["a"], ["b1", "b2"], ["c"]], 0, "a b1|b2 c"),
        (["a b c", "a * *"], [["a"], ["b"], ["c"]], 2, "a b c"),
        (["a b", "a"], [["a"], ["b"]], 0, "a b"),
        (["a ..."], [["a"]], None, "a ..."),
        (["..."], [], None, "..."),
    ],
)
def test_what_is_shown(ways: Sequence[str], hops: list[list[str]], silent: int | None, shown: str) -> None:
    found = path(*ways)
    assert (found.hops, found.silent, str(found)) == (hops, silent, shown)
    assert found.to_dict() == {"hops": hops, "arrived": silent is not None, "silent": silent, "seen_at": 0.0}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["a b"], ["a b"], False),
        (["a b"], ["a c"], True),
        (["a b"], ["a *"], False),
        (["a b"], ["a b c"], True),
        (["a b"], ["a b c ..."], False),
        (["a ..."], ["a b"], False),
        (["a b"], ["a c ..."], True),
        (["a b1", "a b2"], ["a b2"], False),
        (["a b1", "a b2"], ["a b3"], True),
        (["a b", "a"], ["a"], False),
        (["a", "a b"], ["a b c"], True),
        ([""], ["a"], True),
    ],
)
def test_a_change_is_what_surely_is_one(old: Sequence[str], new: Sequence[str], expected: bool) -> None:
    assert changed(path(*old), path(*new)) == changed(path(*new), path(*old)) == expected


def test_a_path_is_of_all_its_walks() -> None:
    there, away = Walk("h"), Walk("h")
    for walk in (there, away):
        walk.ask(b"1", 1)
    there.heard(b"1", "h", last=True)
    assert Path.of([there], 3.0) == Path(frozenset([()]), True, 3.0)
    assert Path.of([there, away], 3.0) == Path(frozenset([()]), False, 3.0)


@given(paths())
def test_nothing_changes_by_being_seen_again(found: Path) -> None:
    assert not changed(found, found)
    assert found.routers == frozenset().union(*found.hops)
