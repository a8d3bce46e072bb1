# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ruled about a service's hosts, as this host knows it, on its disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..checksum import sealed, unsealed
from ..election import Rules
from ..errors import BadValue
from ..target.system import write_safely
from ..values import from_json
from .wire import rules_from_dict, rules_to_dict

if TYPE_CHECKING:
    from pathlib import Path


class RulesFile:
    """The rules of one service. Votes carry them too, and an agent that starts asks its peers for theirs.

    `damage` says what was wrong with the file when it was read; nothing if it was whole, or not there.
    """

    def __init__(self, folder: Path, service: str) -> None:
        self._path = folder / f"{service}.rules.json"
        self.damage = ""

    def read(self) -> Rules:
        """Give what was written last; where it can't be read, nothing is ruled as far as this host knows."""
        try:
            return rules_from_dict(from_json(unsealed(self._path.read_bytes()).decode("ascii", "replace")))
        except FileNotFoundError:
            self.damage = ""
        except OSError as error:
            self.damage = f"{self._path} can't be read: {error.strerror}"
        except BadValue as error:
            self.damage = f"{self._path} {error.message}"
        return Rules()

    def write(self, rules: Rules) -> None:
        write_safely(self._path, sealed(json.dumps(rules_to_dict(rules)).encode()))
