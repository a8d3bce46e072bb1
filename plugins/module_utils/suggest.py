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
    """
    if len(word) > _LONGEST:
        return None
    spellings = {_fold(choice): choice for choice in sorted(choices, reverse=True)}
    found = difflib.get_close_matches(_fold(word), spellings, n=1)
    return spellings[found[0]] if found else None


def _fold(word: str) -> str:
    return word.casefold().replace("_", "-")
