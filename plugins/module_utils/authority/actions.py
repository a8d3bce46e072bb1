# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a participant wants done. It does none of it: the agent does, in the order given, and tells what came of it.

`Persist` and `Keep` are done when they are on disk (written, fsynced); what stands behind them in the list waits for
that. Nothing else has to be waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .ledger import Ledger
    from .messages import Message
    from .record import Record


@dataclass(frozen=True)
class Persist:
    """Put the record on disk, both copies, each fsynced before the next is touched."""

    record: Record


@dataclass(frozen=True)
class Send:
    """Send a message to the agent `to`; that it arrives, once or in order, is not relied upon."""

    to: str
    message: Message


@dataclass(frozen=True)
class Read:
    """Ask the store for a `View`, linearizable; then `Participant.saw`."""


@dataclass(frozen=True)
class Acquire:
    """Take the service in the store, which is one transaction after a grant of the lease with this id and TTL.

    It compares `create_revision(holder) == 0` and `mod_revision(last) == after`; then puts `holder` (with the lease)
    and `last` (without), both with the term and the host. If it succeeds, `Participant.acquired`, with the revision of
    the answer's header for a token, which is then the `create_revision` of `holder`; if not, `Participant.refused`. A
    lease that was granted for less than `ttl_s` is a refusal. With no answer nothing is told.
    """

    lease: int
    term: int
    after: int
    ttl_s: float
    sent_at: float


@dataclass(frozen=True)
class KeepAlive:
    """Renew the lease, and then, where `create_revision(holder) == token`, put `renewed`, by one transaction.

    If both succeed, `Participant.kept` with this `sent_at`; if the store says that one of them isn't so,
    `Participant.lost`. With no answer nothing is told. The second step is why the answer of a store's member that
    leads no more counts for nothing, and how others know which renewal was the last one.
    """

    lease: int
    token: int
    sent_at: float


@dataclass(frozen=True)
class Release:
    """Give the service back: where `create_revision(holder) == token`, delete `holder`; then revoke the lease.

    With `clean`, the same transaction puts `released` with the token: no instance of the service runs any more, here
    or anywhere, so that a successor need not wait.
    """

    lease: int
    token: int
    clean: bool


@dataclass(frozen=True)
class Abandon:
    """Revoke a lease of which it isn't known whether anything was acquired with it."""

    lease: int


@dataclass(frozen=True)
class Prepare:
    """Have the supervisor prepare a service that can be, as far as it doesn't serve: `StartService` may follow.

    Nothing waits for it, and nobody has to be told whether it came about: what isn't prepared is started as a whole.
    """

    token: int
    term: int


@dataclass(frozen=True)
class StartService:
    """Have the supervisor start the service with this fencing token, and kill it at the deadline.

    Where the supervisor finds that it is too late, the service is dead: `Participant.stopped`.
    """

    token: int
    lease: int
    term: int
    deadline: float


@dataclass(frozen=True)
class Feed:
    """Move the supervisor's deadline."""

    token: int
    deadline: float


@dataclass(frozen=True)
class StopService:
    """Have the supervisor stop the service, whatever its token; it tells `Participant.stopped` when it is dead."""

    why: str


@dataclass(frozen=True)
class Tell:
    """Something that people want to read in the log pool."""

    event: str
    text: str


@dataclass(frozen=True)
class Keep:
    """Put the ledger on disk, fsynced; with the consistency `available`, as all that follow."""

    ledger: Ledger


@dataclass(frozen=True)
class Publish:
    """Tell all other agents that can be reached; it may be lost."""

    message: Message


@dataclass(frozen=True)
class Export:
    """Run the service's hook `export`, or where it is `running` its hook `snapshot`, and take the output as a blob.

    Then `Available.exported` with this term, the blob's digest and its size; or `Available.export_failed`.
    """

    term: int
    running: bool = False


@dataclass(frozen=True)
class Merge:
    """Fetch a blob from the agent `host`, and run the service's hook `merge` with it.

    Then `Available.merged`, or `Available.merge_failed`.
    """

    host: str
    term: int
    digest: str
    size: int


@dataclass(frozen=True)
class Cancel:
    """End the `Export` or `Merge` that runs, and tell that it failed for no reason; a hook `merge` may go on."""


@dataclass(frozen=True)
class Drop:
    """Remove a blob from this host, if it is there."""

    digest: str


Action: TypeAlias = (
    "Persist | Send | Read | Acquire | KeepAlive | Release | Abandon | Prepare | StartService | Feed | StopService | "
    "Tell | Keep | Publish | Export | Merge | Cancel | Drop"
)
