# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The durable record of (term, voted) that never goes back, and what is done when it is damaged.

It is kept in two copies, each with a checksum. A vote is sent only after both are on disk, so that one that is damaged
costs nothing. When both are, or are missing, the host doesn't know in which terms it voted: it abstains until every
other agent has said which terms it knows of. Whoever called an election has its term in its own record, so none in
which this host voted for another is newer than the newest of them. A vote for itself is counted by itself alone, and
died with its call.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..checksum import sealed, unsealed
from ..errors import BadValue
from ..values import Shape, from_json, mismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SHAPE: Shape = {"service": str, "term": int, "voted": str}


@dataclass(frozen=True)
class Record:
    """The newest term in which this host voted, and for whose call; `voted` is empty when it mustn't vote in it."""

    term: int = 0
    voted: str = ""

    def vote(self, term: int, caller: str) -> Record | None:
        """Give the record with a vote for this call, or None if there can't be one. The same vote again is the same."""
        if (term, caller) == (self.term, self.voted):
            return self
        return Record(term, caller) if term > self.term else None


@dataclass(frozen=True)
class Reading:
    """What was found on disk. `record` is None when it is lost; `said` tells people what is wrong, and what is done.

    `repair` says that a copy is to be written anew.
    """

    record: Record | None
    said: tuple[str, ...]

    @property
    def repair(self) -> bool:
        return bool(self.said)


def encode(service: str, record: Record) -> bytes:
    """Give a copy of the record as it is on disk. The first one is written when the agent is installed."""
    return sealed(json.dumps({"service": service, "term": record.term, "voted": record.voted}).encode())


def decode(service: str, copy: bytes | None) -> Record:
    """Read a copy; raise `BadValue` for whatever `encode` can't have written."""
    if copy is None:
        raise BadValue("is missing")
    value = from_json(unsealed(copy).decode("ascii", "replace"))
    if wrong := mismatch(value, _SHAPE):
        raise BadValue(f"is not a record of votes: {wrong}")
    if value["service"] != service:
        raise BadValue(f"is the record of {value['service']}")
    return Record(value["term"], value["voted"])


def read(service: str, copies: Mapping[str, bytes | None]) -> Reading:
    """Read the copies, by name; None is a missing one. The newest that is whole holds."""
    whole: dict[str, Record] = {}
    wrong: dict[str, str] = {}
    for name, copy in copies.items():
        try:
            whole[name] = decode(service, copy)
        except BadValue as error:
            wrong[name] = f"{name} {error.message}"
    if not whole:
        lost = (
            f"the record of {service} is lost: this host abstains from votes until all other agents have said which "
            "terms they know; if one of them is gone for good, remove it from the service's agents"
        )
        return Reading(None, (*wrong.values(), lost))
    newest = max(whole.values(), key=lambda record: record.term)
    said = [f"{text}; it is written anew from the other copy" for text in wrong.values()]
    said += [f"{name} is older, and is written anew" for name, record in whole.items() if record != newest]
    return Reading(newest, tuple(said))


class Recovery:
    """Gathers what all the other agents know, for a host whose record is lost."""

    def __init__(self, others: Iterable[str]) -> None:
        self._missing = set(others)
        self._newest = 0

    @property
    def missing(self) -> tuple[str, ...]:
        """Who has not answered yet."""
        return tuple(sorted(self._missing))

    def heard(self, agent: str, newest: int) -> Record | None:
        """Take the newest term that this agent knows; give the record to go on with once all have answered."""
        self._missing.discard(agent)
        self._newest = max(self._newest, newest)
        return None if self._missing else Record(self._newest)
