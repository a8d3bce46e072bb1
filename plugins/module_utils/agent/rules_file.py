# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ruled about a service's hosts, as this host knows it, on its disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..election import Rules
from ..errors import BadValue
from ..target.system import write_safely
from ..values import from_json
from .wire import rules_from_dict, rules_to_dict

if TYPE_CHECKING:
    from pathlib import Path


class RulesFile:
    """The rules of one service. They are also carried by every vote, so that one that is lost costs nothing."""

    def __init__(self, folder: Path, service: str) -> None:
        self._path = folder / f"{service}.rules.json"

    def read(self) -> Rules:
        """Give what was written last; where it can't be read, nothing is ruled as far as this host knows."""
        try:
            return rules_from_dict(from_json(self._path.read_text(encoding="utf-8")))
        except (OSError, BadValue, UnicodeDecodeError):
            return Rules()

    def write(self, rules: Rules) -> None:
        write_safely(self._path, json.dumps(rules_to_dict(rules)).encode() + b"\n")
