# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a report that may be incomplete: an aborted run leaves keys null or out, and still must give a page."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

Report = dict[str, Any]

# What XML 1.0 can't carry, lone surrogates among it; names and tool output may hold such characters.
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def scrubbed(value: Any) -> Any:
    """The same value with every string fit for XML, every key a string, and every number finite (else null)."""
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {scrubbed(str(key)): scrubbed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrubbed(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def mapping(value: Any) -> dict[str, Any]:
    """The mapping, or an empty one where there is none."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list; an absent list is empty."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def text(value: Any, default: str = "") -> str:
    """The value as a person would read it; null becomes the default."""
    if value is None:
        return default
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(text(item, "-") for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {text(item, '-')}" for key, item in value.items())
    return str(value)


def sentences(value: Any) -> list[str]:
    """A reason as a list, also where it is one string or null."""
    items = value if isinstance(value, list) else [value]
    return [line for line in (text(item).strip() for item in items) if line]


def moment(value: Any) -> datetime | None:
    """An ISO 8601 instant in UTC; None if it isn't one."""
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def elapsed(started: Any, ended: Any) -> float | None:
    """Seconds between two ISO instants, None if either is not known."""
    first, last = moment(started), moment(ended)
    return (last - first).total_seconds() if first and last else None


def circuits_of(report: Report) -> dict[str, dict[str, Any]]:
    """The testbed's circuits that have two named ends."""
    found = mapping(mapping(report.get("testbed")).get("circuits"))
    return {
        name: circuit
        for name, circuit in found.items()
        if isinstance(circuit, dict) and all(isinstance(circuit.get(end), str) for end in ("a", "b"))
    }


def leaves(value: Any) -> int:
    """How many single values a structure holds."""
    if isinstance(value, dict):
        return sum(leaves(item) for item in value.values())
    if isinstance(value, list):
        return sum(leaves(item) for item in value)
    return 1
