# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's part in a service with the consistency `available`: its messages, its ledger and its hooks."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..authority import Available, Role, View
from ..authority import actions as act
from ..authority.messages import Offer
from ..election import Committed
from ..election.profile import NO_STATE
from ..errors import OkiagariError
from .bulk import last
from .driving import OP, Driving
from .hooks import run_hook
from .ledger_file import LedgerFile
from .requests import word
from .supervise import boottime
from .wire import to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from ..election import Profile, Rules
    from .bulk import Bulk
    from .config import Config, Service
    from .overlay import Overlay

_FETCH_S = 60.0
"""What has come after so long stays, and the next fetch goes on from there: others may have something to merge too."""


class AvailableDriver(Driving[Available]):
    """Runs one service's `Available` in the event loop; `bulk` carries what hooks export."""

    def __init__(
        self, config: Config, service: Service, overlay: Overlay, bulk: Bulk, rules: Rules,
        profile: Callable[[Service], Profile], tell: Callable[[str, Mapping[str, Any]], object],
    ) -> None:  # fmt: skip
        super().__init__(config, service, overlay, rules, profile, tell)
        self._bulk = bulk
        self._ledger = LedgerFile(config.state, service.name)
        self._export_to = config.state / f"{service.name}.export"
        self._hook: asyncio.Task[None] | None = None
        self._may_cancel = False
        self._word = ""

    @property
    def here(self) -> str:
        return self.participant.role.value if self.participant else Role.IDLE.value

    @property
    def holds(self) -> bool:
        return self.participant is not None and self.participant.first

    @property
    def view(self) -> View | None:
        if self.participant is None:
            return None
        server = self.participant.server(boottime())
        if server is None:
            newest = self.participant.elector.newest
            return View(term=newest, token=newest)
        return View(holder=server.host, term=server.term, token=server.term)

    @property
    def nearest(self) -> str | None:
        if self.participant and self.participant.ready:
            return self._config.name
        return super().nearest

    @property
    def further(self) -> int | None:
        return self.participant.token if self.participant and self.participant.further else None

    @property
    def committed(self) -> Committed:
        return Committed(self.participant.merging.ledger.term) if self.participant else NO_STATE

    async def holder(self) -> str | None:
        view = self.view
        return view.holder if view else None

    def status(self) -> dict[str, Any]:
        if self.participant is None:
            # Its ledger isn't read yet.
            return {"owed": None, "hook": "", "servers": []}
        merging, servers = self.participant.merging, self.participant.servers(boottime())
        return {
            "owed": merging.ledger.owed and not self.holds, "hook": merging.busy,
            "servers": [each.host for each in servers],
        }  # fmt: skip

    def hear(self, said: str) -> None:
        """The service answers this when it is asked: by `changed=WORD` it says that it has changed, once a word."""
        news = word(said, "changed")
        if news and news != self._word:
            self._word = news
            self.participate(lambda participant, _now: participant.changed())

    def unwell(self, why: str) -> None:
        self.participate(lambda participant, now: participant.unwell(now, why))

    async def run(self) -> None:
        """Take part, for ever."""
        self._background(self._supervised.run())
        held = await self._supervised.held()
        ledger = self._ledger.read()
        if self._ledger.damage:
            text = f"{self._ledger.damage}; what this host has of {self.service.name} is merged once more"
            self._tell("record_damaged", {"text": text})
        participant = Available(
            self._config.name, self.service.agents, self.service.charter, self.service.timing,
            self.service.watch.silence_s, ledger=ledger, profile=self._profile(self.service), rules=self.rules,
            chance=random.SystemRandom(), discard=self.service.hooks is None, most=self.service.servers, held=held,
            now=boottime(),
        )  # fmt: skip
        if self._ledger.damage or participant.merging.ledger != ledger:
            await asyncio.to_thread(self._ledger.write, participant.merging.ledger)
        await self._take_part(participant)

    async def _do(self, action: act.Action) -> None:
        match action:
            case act.Keep():
                await asyncio.to_thread(self._ledger.write, action.ledger)
            case act.Send(message=Offer(digest=name)) if not self._bulk.path(name):
                self.participate(lambda participant, _now: participant.export_lost())
            case act.Send():
                self._overlay.send(action.to, OP, {"service": self.service.name, **to_wire(action.message)})
            case act.Publish():
                self._overlay.publish(OP, {"service": self.service.name, **to_wire(action.message)})
            case act.Tell():
                self._tell(action.event, {"text": action.text})
            case act.Export():
                self._begin(partial(self._export, action), Available.export_failed)
            case act.Merge(host=host):
                self._begin(
                    partial(self._merge, action), lambda participant, now, why: participant.merge_failed(now, host, why)
                )
            case act.Cancel():
                if self._hook and self._may_cancel:
                    self._hook.cancel()
            case act.Drop():
                # One that isn't there, or that somebody fetches just now, needs no removal.
                with suppress(OkiagariError):
                    self._bulk.drop(action.digest)
            case _:
                self._supervise(action)

    def _stopped(self, token: object) -> None:
        self.participate(lambda participant, now: participant.stopped(now) if participant.token == token else [])

    # the hooks

    def _begin(
        self, work: Callable[[], Coroutine[Any, Any, None]],
        failed: Callable[[Available, float, str], Sequence[act.Action]],
    ) -> None:  # fmt: skip
        """Do work that tells by itself if it ends well, and else have told that it failed."""

        def tell(why: str) -> None:
            self.participate(lambda participant, now: failed(participant, now, why))

        async def run() -> None:
            try:
                await work()
            except (OkiagariError, OSError, KeyError) as error:
                # A user of the service that there isn't is a KeyError.
                tell(str(error) or type(error).__name__)

        def ended(task: asyncio.Task[None]) -> None:
            # Only what was cancelled has no reason; what else ends it is a mistake of this program, and told as one.
            if task.cancelled():
                tell("")
            elif error := task.exception():
                tell(type(error).__name__)

        self._may_cancel = True
        self._hook = self._background(run())
        self._hook.add_done_callback(ended)

    async def _export(self, action: act.Export) -> None:
        try:
            which = "snapshot" if action.running else "export"
            await self._run(which, self._config.name, action.term, writing=self._export_to)
            said = await last(self._bulk.offer(self._export_to))
        finally:
            self._export_to.unlink(missing_ok=True)
        name, size = said["digest"], said["bytes"]
        self.participate(lambda participant, now: participant.exported(now, action.term, name, size))

    async def _merge(self, action: act.Merge) -> None:
        said = await last(self._bulk.fetch(action.host, action.digest, action.size, _FETCH_S))
        # A merge that has begun goes on to its end: half of one helps nobody.
        self._may_cancel = False
        await self._run("merge", action.host, action.term, action.digest, reading=Path(said["path"]))
        self.participate(lambda participant, now: participant.merged(now, action.host, action.term, action.digest))

    async def _run(
        self, which: str, host: str, term: int, name: str = "", *, reading: Path | None = None,
        writing: Path | None = None,
    ) -> None:  # fmt: skip
        """Run a hook on what this host did until this term."""
        hooks = self.service.hooks
        if hooks is None:
            raise OkiagariError(f"{self.service.name} has no hooks any more; they are needed until all is merged")
        environment = {
            "OKIAGARI_SERVICE": self.service.name, "OKIAGARI_FROM": host, "OKIAGARI_TERM": str(term),
            "OKIAGARI_DIGEST": name, "OKIAGARI_STATE": hooks.folder,
        }  # fmt: skip
        argv: tuple[str, ...] = getattr(hooks, which)
        if not argv:
            raise OkiagariError(f"{self.service.name} has no hook {which}")
        await run_hook(argv, environment, self.service.user, reading=reading, writing=writing)
