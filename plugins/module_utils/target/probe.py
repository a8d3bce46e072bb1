# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a type of probe is: how it is asked, and its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadValue
from ..units import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..runner import Runner

LONGEST_S = 30.0
TEXT_BYTES = 8192
"""So much of what a service or a command says is looked at."""

Result = tuple[bool, dict[str, Any], str]
"""Whether it is well, the facts, and one line for people."""


class Type(NamedTuple):
    """A type of probe. `ask` may raise `OkiagariError` and `OSError` where it can't be asked at all."""

    ask: Callable[[Runner, Mapping[str, Any]], Result]
    parameters: Mapping[str, Callable[[object], Any]]
    optional: tuple[str, ...] = ()


def timeout(value: object) -> float:
    """Give how long an answer is waited for, in seconds."""
    found = seconds(value)
    if not 0.01 <= found <= LONGEST_S:
        raise BadValue(f"an answer is waited for 10ms to {LONGEST_S:g}s, not {found:g} s")
    return found
