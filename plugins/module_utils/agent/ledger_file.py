# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host owes and has merged of a service, on its disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..authority.ledger import LOST, Ledger, decode, encode
from ..errors import BadValue
from ..target.system import write_safely

if TYPE_CHECKING:
    from pathlib import Path


class LedgerFile:
    """The ledger of one service. `damage` says what was wrong with it when it was read; nothing if it was whole."""

    def __init__(self, folder: Path, service: str) -> None:
        self._path, self._service = folder / f"{service}.merges.json", service
        self.damage = ""

    def read(self) -> Ledger:
        """Give what was written last. Where it can't be read, this host owes what it has, for all that it knows."""
        self.damage = ""
        try:
            return decode(self._service, self._path.read_bytes())
        except FileNotFoundError:
            return Ledger()
        except OSError as error:
            self.damage = f"{self._path} can't be read: {error.strerror}"
        except BadValue as error:
            self.damage = f"{self._path} {error.message}"
        return LOST

    def write(self, ledger: Ledger) -> None:
        write_safely(self._path, encode(self._service, ledger))
