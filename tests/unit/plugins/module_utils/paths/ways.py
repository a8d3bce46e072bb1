# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of paths have in common: paths by their words, and any of them."""

from __future__ import annotations

from ansible_collections.okiagari.testbed.plugins.module_utils.paths import Path
from hypothesis import strategies as st

ADDRESSES = "abcdef"


def path(*ways: str) -> Path:
    """Give a path of ways such as `a * c`, with `...` at the end of one whose host didn't answer."""
    words = [[word for word in way.split() if word != "..."] for way in ways]
    seen = frozenset(tuple(None if word == "*" else word for word in way) for way in words)
    return Path(seen, not any(way.endswith("...") for way in ways), 0.0)


def paths() -> st.SearchStrategy[Path]:
    """Any path of a few addresses."""
    way = st.lists(st.none() | st.sampled_from(ADDRESSES), max_size=4).map(tuple)
    return st.builds(Path, st.frozensets(way, min_size=1, max_size=3), st.booleans(), st.just(0.0))
