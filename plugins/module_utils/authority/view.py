# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the store says of a service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A linearizable read of a service's keys, or an event of a watch on them.

    `revision` is that of the answer's header; of two views the one with the higher revision is the later. `term` and
    `token` are the value and the `mod_revision` of `last`, which is put with each `holder` and stays: those of the
    holder or, where `holder` is None, of the one before; 0 where there never was any. `released` says that the key of
    that name holds this token: the service was given back, by a holder that had stopped it. `renewed` is the
    `mod_revision` of the key that each renewal puts, as long as it has the service; 0 where there never was one.
    """

    revision: int = 0
    holder: str | None = None
    term: int = 0
    token: int = 0
    released: bool = False
    renewed: int = 0
