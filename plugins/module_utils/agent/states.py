# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's states at its hosts: packs go from the holder to the candidates, and are committed when enough have them.

A pack goes along the tree of the agents' links, so that each link between sites carries it once: who is next to the
holder takes it from there, and the others from their neighbour. A candidate that missed packs takes them from whoever
has them, and a whole state where nobody has them any more (P1.2, P1.9).
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import deque
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from ..checkpoint.pack import Pack
from ..election import Committed
from ..election.profile import NO_STATE
from ..errors import BadValue, OkiagariError
from ..values import items, mapping, text
from .blobs import beside, digest
from .bulk import last
from .requests import word
from .shelf import Held, Shelf, held
from .supervise import boottime
from .turns import Turns, finished
from .wish_file import WishFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from .blobs import Blobs
    from .bulk import Bulk
    from .config import Config, Service
    from .envelope import Envelopes, Opened
    from .keeper import Keeper
    from .overlay import Overlay
    from .placement import Placement
    from .store import Store

OP_TAKE, OP_FIND, OP_WHOLE, OP_HEAD = "state.take", "state.find", "state.whole", "state.head"
_LARGEST_BYTES = 1024**5
_FETCH_S = 3600.0
_SILENT_S = 60.0
_TAKE_S = 600.0
_PROGRESS_S = 1.0
_COLLECT_S = 60.0
_AGAIN_S = 0.5
_LOOK_S = 1.0


def machines(config: Config) -> Path:
    """Where this host has what it keeps of all guests."""
    return config.state / "machines"


def folder(config: Config, service: str) -> Path:
    """Where this host has what it keeps of a service's guest."""
    return machines(config) / service


def run_folder(config: Config, service: str) -> Path:
    """Where its guest is run, when it runs here."""
    return folder(config, service) / "run"


def children(config: Config, root: str, among: Iterable[str]) -> dict[str, list[str]]:
    """Give who takes a pack from whom: the tree of the shortest ways from `root`, with nobody but these and `root`."""
    wanted, links = set(among), _links(config)
    tree: dict[str, list[str]] = {}
    seen, coming = {root}, deque([(root, root)])
    while coming:
        name, above = coming.popleft()
        for peer in sorted(links[name] - seen):
            seen.add(peer)
            if peer in wanted:
                tree.setdefault(above, []).append(peer)
            coming.append((peer, peer if peer in wanted else above))
    for peer in sorted(wanted - seen):
        tree.setdefault(root, []).append(peer)
    return tree


def _links(config: Config) -> dict[str, set[str]]:
    links: dict[str, set[str]] = {name: set() for name in config.peers}
    for name, peer in config.peers.items():
        for other in peer.links:
            links[name].add(other)
            links[other].add(name)
    return links


class Lacking(OkiagariError):  # noqa: N818 - it says what is wrong with the host
    """A pack changes a state that isn't here, and that nobody who can be reached has."""


class States:
    """The states of one service's guest at this host. `token` gives the fencing token by which this host holds it."""

    def __init__(
        self, config: Config, service: Service, envelopes: Envelopes, overlay: Overlay, store: Store, bulk: Bulk,
        blobs: Blobs, keeper: Keeper, token: Callable[[], int | None], tell: Callable[[str, Mapping[str, Any]], object],
        placement: Placement | None = None,
    ) -> None:  # fmt: skip
        """Without a `placement` all candidates keep the states."""
        self._config, self._service, self._envelopes = config, service, envelopes
        self._overlay, self._store, self._bulk, self._blobs, self._keeper = overlay, store, bulk, blobs, keeper
        self._token, self._tell, self._placement = token, tell, placement
        self._shelf = Shelf(folder(config, service.name) / "shelf.json")
        self._turns = Turns()
        self._behind: set[asyncio.Task[None]] = set()
        """Packs that are committed already, on their way to the rest."""
        self._wish = WishFile(config.run, service.name)
        self._shipped = asyncio.Condition()
        self._committed: tuple[float, Mapping[str, Any]] = (0.0, {})
        """What was committed last from here, after the instant from which on it was captured."""
        self._why = ""
        """Why the last one wasn't."""
        self._heard = ""
        self.head: Mapping[str, Any] | None = None
        self._roots: list[str] = []

    @property
    def newest(self) -> Committed:
        """The newest state that this host has whole."""
        return Committed(self.head["term"], self.head["epoch"]) if self.head else NO_STATE

    @property
    def _others(self) -> list[str]:
        return [name for name in self._service.candidates if name != self._config.name]

    @property
    def _keeping(self) -> Sequence[str]:
        """Who is to keep the states of the guest that runs here."""
        return self._placement.hosts(time.monotonic()) if self._placement else self._others

    async def open(self) -> None:
        """Look what is here from before."""
        try:
            self._note(await self._keep("head"))
        except OkiagariError as error:
            self._tell("replica_unusable", {"text": str(error)})

    # what other agents ask

    async def take(self, opened: Opened) -> Mapping[str, Any]:
        """Take a pack from who is nearest, and answer when it is on this host's disk."""
        source, pack = text(opened.body.get("source")), held(mapping(opened.body.get("pack")))
        await self._turns.give_up(before=pack.term)
        try:
            await self._turns.do(pack.term, self._take(pack, [source, opened.sender]))
        except Lacking as error:
            return {"lacks": str(error)}
        return dict(self.head or {})

    async def find(self, opened: Opened) -> Mapping[str, Any]:
        """Say by which packs one comes from one of these states to that one."""
        roots = [text(root) for root in items(opened.body.get("roots"))]
        return {"packs": [each.to_dict() for each in self._shelf.way(roots, text(opened.body.get("to")))]}

    async def whole(self, _opened: Opened) -> Mapping[str, Any]:
        """Offer the whole of this host's state."""
        path = folder(self._config, self._service.name) / f"{secrets.token_hex(4)}.whole"
        said = await self._keep("whole", path)
        if "head" not in said:
            raise OkiagariError(str(said.get("busy") or said))
        try:
            return (await self._offered(path)).to_dict()
        finally:
            path.unlink(missing_ok=True)

    async def tell_head(self, _opened: Opened) -> Mapping[str, Any]:
        return {"head": dict(self.head) if self.head else None}

    # what the program that runs the guest asks

    async def ship(self, path: Path, at: float = 0.0, pause_ms: float = 0.0) -> AsyncGenerator[dict[str, Any], None]:
        """Have a pack at so many failure domains that it is committed, and say so in the store of leases.

        It has all that the guest did until the instant `at`, and the guest stood still for `pause_ms`. After an error
        the same pack can be shipped again; but where `begin_anew` was said, only a first pack can be taken.
        """
        try:
            begun = time.monotonic()
            pack = await self._offered(path)
            size = path.stat().st_size
            shipping = _Shipping(self, pack, self._behind)
            waiting = asyncio.ensure_future(shipping.run())
            try:
                while not (await asyncio.wait([waiting], timeout=_PROGRESS_S))[0]:
                    yield {"domains": sorted(shipping.domains)}
                waiting.result()
            except BaseException:
                waiting.cancel()
                raise
            state = await self._commit(pack, at)
        except OkiagariError as error:
            self._why = str(error)
            self._tell("state_not_committed", {"text": self._why})
            await self._notify()
            if isinstance(error, Lacking):
                yield {"begin_anew": self._why}
            raise
        took_ms = round(1000 * (time.monotonic() - begun))
        figures = {"bytes": size, "pause_ms": pause_ms, "took_ms": took_ms}
        self._tell("state_committed", {**state, "domains": len(shipping.domains), **figures})
        where = {"hosts": sorted(shipping.hosts), "domains": sorted(shipping.domains)}
        self._why, self._committed = "", (at, {**state, **figures, **where})
        await self._notify()
        yield {"committed": state, "took_ms": took_ms}

    # what people ask, at whatever host

    async def checkpoint(self, asked_by: str, seconds: float) -> Mapping[str, Any]:
        """Have a state of the guest captured from now on, and give what is committed of that, where, and its figures.

        Raises `OkiagariError` if nothing is within so many seconds.
        """
        name = self._service.name
        if self._token() is None:
            raise OkiagariError(f"{self.me} doesn't hold {name} any more")
        since, self._why = self.want(asked_by), ""
        try:
            async with asyncio.timeout(seconds):
                while self._committed[0] < since and self._token() is not None:
                    # Nothing is shipped any more by a host that loses the service meanwhile.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_S), self._shipped:
                            await self._shipped.wait()
        except TimeoutError:
            why = f": {self._why}" if self._why else ""
            raise OkiagariError(
                f"no state of {name} that was captured since is committed within {seconds:g} s{why}. What was asked "
                f"for stands: it may still be captured and committed; okiagari-agent ask states service={name} says it"
            ) from None
        if self._committed[0] < since:
            why = f": {self._why}" if self._why else ""
            raise OkiagariError(f"{self.me} lost {name} before a state was committed{why}")
        return self._committed[1]

    def hear(self, said: str) -> None:
        """The service answers this when it is asked: by `checkpoint=WORD` it wants to be captured, once a word."""
        may = self._service.checkpoint is not None and self._service.checkpoint.on_request
        wish = word(said, "checkpoint") if may else ""
        if wish and wish != self._heard and self._token() is not None:
            with suppress(OkiagariError):
                self.want("the service")
                self._heard = wish

    def want(self, asked_by: str) -> float:
        """Have the guest captured as soon as may be; give the instant after which."""
        since = boottime()
        self._wish.write(since)
        self._tell("checkpoint_wanted", {"by": asked_by})
        return since

    async def collect(self) -> AsyncGenerator[dict[str, Any], None]:
        """Have the newest state here that can be had, at least the committed one; raise `OkiagariError` if not."""
        begun, end, why = time.monotonic(), time.monotonic() + _COLLECT_S, ""
        # Whoever gives a pack just now may have died with it.
        await self._turns.give_up(before=math.inf)
        while True:
            try:
                committed = await self._store.committed(self._service.name)
                await self._collect()
                if committed is None or self.newest >= Committed(committed["term"], committed["epoch"]):
                    break
                why = (
                    f"the committed state is {Committed(committed['term'], committed['epoch'])}, here is {self.newest}"
                )
            except OkiagariError as error:
                why = str(error)
            if time.monotonic() > end:
                raise OkiagariError(f"the state of {self._service.name} can't be collected: {why}")
            yield {"waiting": why}
            await asyncio.sleep(_AGAIN_S)
        took_ms = round(1000 * (time.monotonic() - begun))
        # What was done before that is here, whether or not something newer is.
        captured = {"captured": committed["captured"]} if committed and "captured" in committed else {}
        self._tell("state_collected", {**(self.head or {}), **captured, "took_ms": took_ms})
        yield {"head": dict(self.head) if self.head else None, "committed": committed, "took_ms": took_ms}

    async def close(self) -> None:
        """Send nothing any more."""
        for task in list(self._behind):
            task.cancel()
        await asyncio.gather(*self._behind, return_exceptions=True)

    async def take_own(self, pack: Held) -> None:
        """Have this host's own replica take a pack of the guest that runs here.

        The guest's disks lie over the replica's images. What a pack changes there, the guest has written itself: it is
        in its own layer, and it never reads those places of the images again.
        """
        async with self._turns.lock:
            await self._take(pack, [self.me])

    async def deliver(self, peer: str, pack: Held, source: str) -> None:
        """Have a peer take a pack from `source`."""
        body = {"service": self._service.name, "pack": pack.to_dict(), "source": source}
        answer = await self._overlay.ask(peer, OP_TAKE, body, _TAKE_S)
        if "lacks" in answer:
            raise Lacking(text(answer["lacks"]))

    def domain(self, peer: str) -> str:
        return self._config.peers[peer].domain

    @property
    def needed(self) -> int:
        """In how many failure domains a committed state is, this host's among them."""
        there_are = len({self.domain(name) for name in (*self._keeping, self.me)})
        wanted = self._service.checkpoint.copies if self._service.checkpoint else None
        return min(wanted, there_are) if wanted else there_are // 2 + 1

    def tree(self) -> dict[str, list[str]]:
        return children(self._config, self.me, self._keeping)

    @property
    def me(self) -> str:
        return self._config.name

    async def _commit(self, pack: Held, at: float) -> dict[str, Any]:
        """Say in the store that this state is committed, and when it was captured, by this host's clock."""
        captured = {"captured": round(time.time() - (boottime() - at), 3)} if at else {}
        state = {"term": pack.term, "epoch": pack.epoch, "root": pack.root, **captured}
        token = self._token()
        if token is None or not await self._store.commit(self._service.name, token=token, state=state):
            raise OkiagariError(f"{self.me} doesn't hold {self._service.name} any more")
        return state

    async def _notify(self) -> None:
        async with self._shipped:
            self._shipped.notify_all()

    async def _collect(self) -> None:
        said = await self._overlay.ask_all(self._others, OP_HEAD, {"service": self._service.name})
        there = [
            (Committed(head["term"], head["epoch"]), peer, str(head["root"]))
            for peer, answer in said.items()
            if not isinstance(answer, OkiagariError) and (head := answer.get("head"))
        ]
        if self._placement:
            self._placement.begin({peer for _newest, peer, _root in there})
        async with self._turns.lock:
            for newest, peer, root in sorted(there, reverse=True):
                if newest > self.newest:
                    with suppress(OkiagariError):
                        await self._reach(root, [peer, *self._others])

    async def _take(self, pack: Held, sources: list[str]) -> None:
        if self._has(pack):
            # The holder ships again what too few have taken, and counts who has it.
            return
        said = await self._try(pack, sources)
        if "missing" in said:
            try:
                await self._reach(str(said["missing"]), [*sources, *self._others])
            except Lacking:
                if not self._has(pack):
                    raise
                # Somebody gave the whole of what the pack itself leads to.
                return
            said = await self._try(pack, sources)
        why = said.get("refused") or said.get("busy") or ("missing" in said and "the packs before it can't be had")
        if why:
            # The others still take the holder's own pack from here.
            if sources != [self.me]:
                with suppress(OkiagariError):
                    self._bulk.drop(pack.digest)
            self._tell("pack_refused", {"term": pack.term, "epoch": pack.epoch, "text": str(why)})
            raise OkiagariError(f"the pack of term {pack.term}, epoch {pack.epoch} is refused: it {why}")

    def _has(self, pack: Held) -> bool:
        return self.head == {"term": pack.term, "epoch": pack.epoch, "root": pack.root}

    async def _reach(self, root: str, peers: list[str]) -> None:
        """Take the packs that lead to this state, or failing that a whole one; raise `OkiagariError` if nobody can."""
        for peer in dict.fromkeys(peers):
            with suppress(OkiagariError):
                asked = {"service": self._service.name, "roots": self._roots, "to": root}
                way = [held(mapping(each)) for each in items((await self._ask(peer, OP_FIND, asked)).get("packs"))]
                for each in way:
                    await self._take_one(each, peer)
                if way:
                    return
        for peer in dict.fromkeys(peers):
            with suppress(OkiagariError):
                whole = held(await self._ask(peer, OP_WHOLE, {"service": self._service.name}))
                await self._take_one(whole, peer)
                if root in self._roots:
                    return
        raise Lacking(f"nobody who can be reached has what leads to {root[:12]}")

    async def _try(self, pack: Held, sources: list[str]) -> Mapping[str, Any]:
        """Have the keeper take a pack, and give what it says; a pack that was taken is held from then on."""
        return await finished(self._apply(pack, await self._fetched(pack.digest, sources)))

    async def _apply(self, pack: Held, path: Path) -> Mapping[str, Any]:
        said = await self._keep("take", path)
        if "head" in said:
            self._note(said)
            self._hold(pack)
        return said

    async def _take_one(self, pack: Held, peer: str) -> None:
        said = await self._try(pack, [peer])
        if "head" not in said:
            raise OkiagariError(str(said))

    async def _fetched(self, name: str, sources: list[str]) -> Path:
        """Have a blob here, from whichever of these can give it."""
        name, why = digest(name), "nobody was asked"
        for source in dict.fromkeys(sources):
            if path := self._blobs.path(name):
                return path
            if source != self._config.name:
                try:
                    await self._fetch(source, name)
                except OkiagariError as error:
                    why = str(error)
        if path := self._blobs.path(name):
            return path
        raise OkiagariError(why)

    async def _fetch(self, source: str, name: str) -> None:
        """Fetch a blob; raise `OkiagariError` when nothing of it comes any more, where others may give it, too."""
        came, since = 0, time.monotonic()
        async with aclosing(self._bulk.fetch(source, name, _LARGEST_BYTES, _FETCH_S)) as steps:
            async for said in steps:
                if said.get("received", came) > came:
                    came, since = said["received"], time.monotonic()
                if time.monotonic() > since + _SILENT_S:
                    raise OkiagariError(f"nothing has come from {source} for {_SILENT_S:g} s")

    async def _offered(self, path: Path) -> Held:
        """Take a pack of this host among the blobs, and onto the shelf."""
        name = str((await last(self._bulk.offer(path)))["digest"])
        label = await beside(self._label, path)
        pack = Held(name, label.term, label.epoch, label.parent, label.root)
        self._hold(pack)
        return pack

    def _label(self, path: Path) -> Any:
        with path.open("rb") as file:
            label = Pack(file, self._envelopes.verify).label
        if label.service != self._service.name:
            raise BadValue(f"{path} is a pack of {label.service}, not of {self._service.name}")
        return label

    def _hold(self, pack: Held) -> None:
        for gone in self._shelf.add(pack):
            with suppress(OkiagariError):
                self._bulk.drop(gone.digest)

    async def _keep(self, do: str, path: Path | None = None) -> Mapping[str, Any]:
        return await self._keeper.ask(do, self._service.name, str(path or ""))

    async def _ask(self, peer: str, op: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if peer == self._config.name:
            raise OkiagariError("there is nothing to ask of oneself")
        return await self._overlay.ask(peer, op, body, _TAKE_S)

    def _note(self, said: Mapping[str, Any]) -> None:
        if "head" in said:
            self.head, self._roots = said["head"], [str(root) for root in said.get("roots", ())]


class _Shipping:
    """One pack on its way to all candidates; `hosts` have it."""

    def __init__(self, states: States, pack: Held, behind: set[asyncio.Task[None]]) -> None:
        self._states, self._pack = states, pack
        self._tree = states.tree()
        self.hosts: set[str] = set()
        self._wrong: dict[str, OkiagariError] = {}
        self._enough = asyncio.Event()
        self._behind = behind

    @property
    def domains(self) -> set[str]:
        return {self._states.domain(host) for host in self.hosts}

    async def run(self) -> None:
        """Wait until it is in enough domains; the others go on to take it. Raises `OkiagariError` if it can't be."""
        all_of_them = asyncio.create_task(self._everywhere())
        self._behind.add(all_of_them)
        all_of_them.add_done_callback(self._behind.discard)
        enough = asyncio.ensure_future(self._enough.wait())
        try:
            await asyncio.wait([all_of_them, enough], return_when=asyncio.FIRST_COMPLETED)
        finally:
            enough.cancel()
        if not self._enough.is_set():
            said = "; ".join(f"{peer}: {why}" for peer, why in self._wrong.items())
            lacking = any(isinstance(error, Lacking) for error in self._wrong.values())
            kind = Lacking if lacking else OkiagariError
            raise kind(f"only {len(self.domains)} of {self._states.needed} sites have it: {said}")

    async def _everywhere(self) -> None:
        me = self._states.me
        await asyncio.gather(self._note(me, self._states.take_own(self._pack)), self._below(me, me))

    async def _below(self, name: str, source: str) -> None:
        await asyncio.gather(*(self._deliver(peer, source) for peer in self._tree.get(name, ())))

    async def _deliver(self, peer: str, source: str) -> None:
        there = await self._note(peer, self._states.deliver(peer, self._pack, source))
        await self._below(peer, peer if there else source)

    async def _note(self, host: str, taking: Awaitable[None]) -> bool:
        """Wait until a host has taken the pack, and say whether it has."""
        try:
            await taking
        except OkiagariError as error:
            self._wrong[host] = error
            return False
        self.hosts.add(host)
        if len(self.domains) >= self._states.needed:
            self._enough.set()
        return True
