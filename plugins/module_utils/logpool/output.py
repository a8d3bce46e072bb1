# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that programs write: JSON, `key=value` (logfmt), else text."""

from __future__ import annotations

import re
from typing import Any

from .entries import Entry, decoded, entry, is_grave, text_entry, time_in, trace_in
from .jsonline import json_mapping

_PAIR = re.compile(r'([A-Za-z_][\w./-]*)=("(?:[^"\\]|\\.)*"|[^\s"=]*)(?:\s+|$)')
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t"}
_FLAGS = {"true": True, "false": False}


def parse(line: bytes | str) -> Entry:
    """Give what a line says. A mapping in JSON has its own values; all of a line has to be `key=value` to be read so.

    The time is that of the first of `time`, `timestamp` and `ts` that can be read, the trace that of `trace`,
    `trace_id` or `traceid`. What has a `level` or `severity` such as `critical` or `fatal` is important.
    """
    text = decoded(line)
    values = json_mapping(text)
    if values is None:
        values = _pairs(text.strip())
    if not values:
        return text_entry(text)
    return entry(text, values, time=time_in(values), trace=trace_in(values), important=is_grave(values))


def _pairs(text: str) -> dict[str, Any] | None:
    values: dict[str, Any] = {}
    place = 0
    while place < len(text):
        match = _PAIR.match(text, place)
        if not match:
            return None
        values[match[1]] = _value(match[2])
        place = match.end()
    return values


def _value(said: str) -> Any:
    if said.startswith('"'):
        return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), said[1:-1])
    if _WHOLE.fullmatch(said):
        return int(said)
    return float(said) if _NUMBER.fullmatch(said) else _FLAGS.get(said, said)
