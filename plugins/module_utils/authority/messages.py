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


@dataclass(frozen=True)
class Serving:
    """With the consistency `available`: `host` serves since it was elected in this term by so many `votes`.

    One that nobody elected is a further server, which was started beside another one on purpose.
    A server says it of itself all the time. Whoever is called to an election in spite of it `answers` that call with
    it, by its term; `age_s` ago it heard of the server then.
    """

    sender: str
    host: str
    term: int
    votes: int
    age_s: float = 0.0
    answers: int = 0


@dataclass(frozen=True)
class Ended:
    """The sender's server of this term runs no more."""

    sender: str
    term: int


@dataclass(frozen=True)
class Elected:
    """With the consistency `available`: `host` is to serve from this term on, elected by so many votes."""

    sender: str
    term: int
    host: str
    votes: int


@dataclass(frozen=True)
class Offer:
    """The sender served until this term, and has a blob of its state for whoever serves now to merge.

    One that is `running` still serves since this term, and this is what it has by now.
    """

    sender: str
    term: int
    digest: str
    size: int
    running: bool = False


@dataclass(frozen=True)
class Merged:
    """The sender has merged what the receiver offered with this term and digest."""

    sender: str
    term: int
    digest: str


Message: TypeAlias = "Call | Ballot | Result | HandOver | Ask | Answer | Serving | Ended | Elected | Offer | Merged"
