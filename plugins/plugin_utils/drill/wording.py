# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine tells people while a drill runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...module_utils.drill.model import Drill

_NOTICE_S = 3.0


def many(number: int, noun: str) -> str:
    """Give a number with its noun, in the plural where it must be."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def announcements(drill: Drill) -> list[tuple[float, str]]:
    """Give what to tell the user, each with its instant in seconds after T0, in their order."""
    spans = {
        (fault.at, fault.ends, fault.kind, fault.circuit or fault.target) for fault in drill.faults if not fault.when
    }
    words = [(at, f"fault on: {kind} at {place}, for {ends - at:g} s") for at, ends, kind, place in spans]
    words += [(ends, f"fault off: {kind} at {place}") for _at, ends, kind, place in spans]
    words += [
        (at - _NOTICE_S, f"{kind} at {place} in {_NOTICE_S:g} s") for at, _ends, kind, place in spans if at >= _NOTICE_S
    ]
    words += [
        (fault.at, f"{fault.kind} at {fault.target} waits, {fault.when.within:g} s at most: {fault.when.text}")
        for fault in drill.faults
        if fault.when
    ]
    if drill.traffic:
        words.append((0.0, f"{many(len(drill.traffic), 'stream')} of traffic under way"))
    if drill.writers:
        words.append((0.0, f"{many(len(drill.writers), 'writer')} at work"))
    if drill.faults:
        words.append((drill.last_end, f"watching the traffic for another {drill.watch_s:g} s"))
    return sorted(words, key=lambda word: word[0])
