# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who of the candidates is a service's successor (P1.8): from votes to a decision that explains itself; no I/O.

A vote carries the voter's profile, so that no round is needed to ask for it. `decide` is a function of the votes, the
rules and nothing else. It may be asked at any time, which is a dry run; that a vote is cast once in a term, and what
follows from a decision, is the matter of `authority`.
"""

from __future__ import annotations

from .charter import Charter, read_charter
from .decision import Decision, Place, decide
from .profile import Committed, Profile, Rules, Vote
from .ranking import RANKINGS

__all__ = [
    "RANKINGS",
    "Charter",
    "Committed",
    "Decision",
    "Place",
    "Profile",
    "Rules",
    "Vote",
    "decide",
    "read_charter",
]
