# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service's server is to be suspected (P1.6, P1.7): who asks it, what each concludes, and all as one; no I/O.

A suspicion begins an election and nothing else: `authority` says who may run the service. An agent that is one of the
`observers` runs the service's own check every `period_s`, with a dummy request where the service has one:

    health.late(now - planned)
    well, why = await check(holder, watch.timeout_s)                # the service's script says what "well" means
    health.answered() if await ask(another_peer) else health.unanswered()
    observation = observer.result(now, well, why)
    session.put(f"okiagari/{service}/watch", pack(observation.to_dict()))
    suspicion.heard(now, observation)                               # its own counts like everybody else's

Where clients' answers pass by, it asks only when they don't tell (P1.12):

    traffic.saw(now, counts)                                        # `LOOKS` times a period; ask at once if it `urges`
    if traffic.spares(now): well = True                             # instead of the check

Every agent, an observer or not:

    suspicion.heard(now, Observation.from_dict(unpack(sample)))     # BadValue: drop it and tell
    match suspicion.changed(now):                                   # after each of these, and at `suspicion.wake_at`
        case True:
            actions = participant.suspect(now)
        case False:
            participant.trust()

`observer.begin` and `suspicion.begin` are called whenever the store's view has another token, also if it is the same
host that holds the service again. Whoever missed observations asks a neighbour, which answers `suspicion.told(now)`.
All times are seconds of one monotonic clock that counts suspended time, as in `authority`.
"""

from __future__ import annotations

from .health import OwnHealth
from .observer import Observation, Observer
from .observers import observers
from .policy import Watch
from .suspicion import Suspicion
from .traffic import Counts, Traffic

__all__ = ["Counts", "Observation", "Observer", "OwnHealth", "Suspicion", "Traffic", "Watch", "observers"]
