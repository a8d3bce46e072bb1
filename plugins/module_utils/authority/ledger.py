# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host owes to the server of a service with the consistency `available`, and what it has merged itself.

Whoever has run the service owes its state to whoever serves next, until that one says that it has merged it, whether
it was stopped for that, died, or was cut off. This is what it remembers of that on its disk.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ..checksum import sealed, unsealed
from ..errors import BadValue
from ..values import Shape, from_json, mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHAPE: dict[str, Shape] = {
    "service": str, "term": int, "votes": int, "owed": bool, "digest": str, "size": int,
    "merged": {"*": {"term": int, "digest": str}}, "shared?": str,
}  # fmt: skip


class Taken(NamedTuple):
    """The newest export of a host that was merged here."""

    term: int
    digest: str


@dataclass(frozen=True)
class Ledger:
    """The newest term in which the service was started here, by how many votes, and whether its state is `owed`.

    A further server has no votes. `digest` and `size` are the export's once it is made, which is offered until it is
    merged. `merged` is by host. `shared` is the digest of what a server that runs has written for others, if any.
    """

    term: int = 0
    votes: int = 0
    owed: bool = False
    digest: str = ""
    size: int = 0
    merged: Mapping[str, Taken] = field(default_factory=dict)
    shared: str = ""


LOST = Ledger(owed=True)
"""What is assumed where the ledger is damaged: to merge a state once more costs time, to forget it costs data."""


def encode(service: str, ledger: Ledger) -> bytes:
    """Give the ledger as it is on disk."""
    merged = {host: each._asdict() for host, each in ledger.merged.items()}
    said = {**vars(ledger), "service": service, "merged": merged}
    return sealed(json.dumps(said, sort_keys=True).encode())


def decode(service: str, content: bytes) -> Ledger:
    """Read it; raise `BadValue` for whatever `encode` can't have written."""
    said = from_json(unsealed(content).decode("ascii", "replace"))
    if wrong := mismatch(said, _SHAPE):
        raise BadValue(f"is no ledger of merges: {wrong}")
    if said["service"] != service:
        raise BadValue(f"is the ledger of {said['service']}")
    merged = {host: Taken(each["term"], each["digest"]) for host, each in said["merged"].items()}
    shared = said.get("shared", "")
    return Ledger(said["term"], said["votes"], said["owed"], said["digest"], said["size"], merged, shared)
