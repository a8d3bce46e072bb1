# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may run a service, so that never two hosts do (P1.8): holder, successor and supervisor as state machines; no I/O.

On top of an engine that is linearizable and knows leases, such as etcd, and of one that carries messages, such as
zenoh. A `Participant` is driven by one task of an agent; events go in, and come back as a list of `Action`s:

    async def run(participant: Participant, inbox: asyncio.Queue[Event]) -> None:
        while True:
            left = participant.wake_at - time.clock_gettime(time.CLOCK_BOOTTIME)
            try:
                event = await asyncio.wait_for(inbox.get(), max(left, 0.0))
                actions = event(boottime())        # lambda now: participant.saw(now, view)
            except TimeoutError:
                actions = participant.tick(boottime())
            for action in actions:
                match action:
                    case Persist():                # both copies, fsynced, before what follows
                        await asyncio.to_thread(store_record, action.record)
                    case Send():                   # zenoh; may be lost
                        session.put(f"okiagari/{service}/{action.to}", pack(action.message))
                    case KeepAlive():              # etcd; its answer goes into the inbox
                        background(keep_alive(action))
                    case Prepare() | StartService() | Feed() | StopService():
                        supervisor.send(action)    # a socket to the supervisor, which answers into the inbox
                    ...

`actions` says of each what is to be done and which method is told what came of it. Requests to the store go to any of
its members that answers; whether and when they are tried again, the participant decides. `asyncio.wait_for` counts by
a clock that stops while the machine is suspended: waking late is safe, since every `tick` looks at the clock, and the
supervisor's timer is a timerfd on CLOCK_BOOTTIME.

`Supervisor` runs in a process of its own, which starts and kills the service; `Fence` is kept by whatever the service
or the agent writes to. Both take the token of the holder, the `create_revision` of its key.

With the consistency `available`, a service has an `Available` in its place, which needs no store: each part of a split
network has a server, and when the split has healed, what all but one of them did is merged into that one (P1.11).
"""

from __future__ import annotations

from .available import Available, Role, Server
from .fence import Fence, Fenced
from .holder import Holder, State
from .ledger import Ledger
from .participant import Participant
from .record import Reading, Record, Recovery
from .supervisor import Do, Held, Supervisor
from .timing import Timing
from .view import View

__all__ = [
    "Available",
    "Do",
    "Fence",
    "Fenced",
    "Held",
    "Holder",
    "Ledger",
    "Participant",
    "Reading",
    "Record",
    "Recovery",
    "Role",
    "Server",
    "State",
    "Supervisor",
    "Timing",
    "View",
]
