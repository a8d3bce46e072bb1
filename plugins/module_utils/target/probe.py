# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a type of probe is: how it is asked, and its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..runner import Runner

Result = tuple[bool, dict[str, Any], str]
"""Whether it is well, the facts, and one line for people."""


class Type(NamedTuple):
    """A type of probe. `ask` may raise `OkiagariError` and `OSError` where it can't be asked at all."""

    ask: Callable[[Runner, Mapping[str, Any]], Result]
    parameters: Mapping[str, Callable[[object], Any]]
    optional: tuple[str, ...] = ()
