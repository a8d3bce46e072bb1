# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest correct spelling of a word."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 100


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Give the member of `choices` that `word` is probably meant to be, or None if none is near.

    Case and the difference between `-` and `_` don't count. The result doesn't depend on the order of `choices`.
    One slip of the finger is near in the shortest word, whatever share of it that is.
    """
    if not word or len(word) > _LONGEST:
        return None
    folded = _fold(word)
    spellings = {_fold(choice): choice for choice in sorted(choices, reverse=True)}
    slips = [spelling for spelling in spellings if _one_slip(folded, spelling)]
    found = difflib.get_close_matches(folded, slips or spellings, n=1, cutoff=0.0 if slips else 0.6)
    return spellings[found[0]] if found else None


def _fold(word: str) -> str:
    return word.casefold().replace("_", "-")


def _one_slip(word: str, other: str) -> bool:
    """Whether at most one letter is too many, missing or wrong, or two neighbours have changed places."""
    start = next((index for index, pair in enumerate(zip(word, other, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return abs(len(word) - len(other)) <= 1
    word, other = word[start:], other[start:]
    return word[1:] in (other, other[1:]) or word == other[1:] or (word[:2], word[2:]) == (other[1::-1], other[2:])
