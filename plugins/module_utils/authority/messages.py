# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What agents tell each other about one service. Any of them may be lost, late or repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ..election import Vote


@dataclass(frozen=True)
class Call:
    """`sender` calls the election of this term, and asks for votes."""

    sender: str
    term: int


@dataclass(frozen=True)
class Ballot:
    """The answer to a call. `newest` is the newest term that the sender knows: a caller learns so that it is behind."""

    sender: str
    term: int
    vote: Vote
    newest: int


@dataclass(frozen=True)
class Result:
    """Whom the election of this term made successor, and who follows if that one does not take the service."""

    sender: str
    term: int
    order: tuple[str, ...]


@dataclass(frozen=True)
class HandOver:
    """The holder has stopped the service and given it back, for `to` to take in this term."""

    sender: str
    term: int
    to: str


@dataclass(frozen=True)
class Ask:
    """`sender` lost its record, and asks for the newest term that each agent knows.

    `loss` tells this loss from others, so that no answer to an earlier question is taken for one to this.
    """

    sender: str
    loss: int


@dataclass(frozen=True)
class Answer:
    """The newest term that the sender knows; None where it lost its record too."""

    sender: str
    loss: int
    newest: int | None


Message: TypeAlias = "Call | Ballot | Result | HandOver | Ask | Answer"
