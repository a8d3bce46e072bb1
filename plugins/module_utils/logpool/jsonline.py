# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that are a mapping in JSON."""

from __future__ import annotations

from typing import Any

from ..errors import BadValue
from ..values import from_json


def json_mapping(line: str) -> dict[str, Any] | None:
    """Give the mapping that a line is; None if it is none."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        said = from_json(line)
    except BadValue:
        return None
    return said if isinstance(said, dict) else None
