# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay: agents that need not reach each other relay through each other (P1.5), by zenoh.

Every agent is a zenoh router with mutual TLS, which keeps connections to the neighbours that its links name, and
whatever is sent takes the shortest way that there is. zenoh's threads call back into this file only, which hands over
to the agent's event loop; nothing else of the agent knows of threads.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import BadValue, OkiagariError
from .envelope import NotForUs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from .config import Config
    from .envelope import Envelopes, Opened

Asked: TypeAlias = "Callable[[Opened], Awaitable[Mapping[str, Any] | bytes]]"
"""What answers a question: with what JSON can say, or with bytes for whoever pulls."""

LEASE_MS = 2000
"""After so long without a sign of life a connection is over, and another way is taken."""
_BLOCKED_US = 1_500_000
_BULK_BATCHES = 16
"""So many batches of 64 KiB of bulk wait at each link: all that a transfer has on its way, so that none is dropped."""
_RETRY = {"period_init_ms": 500, "period_max_ms": 1000, "period_increase_factor": 1.5}
_MESSAGES = (
    "put", "delete", "declare_subscriber", "query", "reply", "declare_queryable", "liveliness_token",
    "liveliness_query", "declare_liveliness_subscriber",
)  # fmt: skip


class NoAnswer(OkiagariError):  # noqa: N818 - it says what there is
    """A peer did not answer in time, or could not be reached."""


def zenoh_settings(config: Config) -> dict[str, Any]:
    """Give zenoh's settings of an agent. `wait_before_close` keeps a cut link from holding up all others for 5 s."""
    tls = config.tls
    subjects = [{"id": "agents", "cert_common_names": sorted(config.peers)}]
    rules = [
        {
            "id": "all", "permission": "allow", "flows": ["ingress", "egress"], "messages": _MESSAGES,
            "key_exprs": [f"okiagari/{config.testbed}/**"],
        }
    ]  # fmt: skip
    policies = [{"id": "agents", "rules": ["all"], "subjects": ["agents"]}]
    return {
        "mode": "router",
        "listen/endpoints": list(config.listen),
        "connect/endpoints": list(config.connect),
        "connect/retry": _RETRY,
        "scouting/multicast/enabled": False,
        "transport/shared_memory/enabled": False,
        "transport/link/protocols": ["tls"],
        "transport/link/tx/lease": LEASE_MS,
        "transport/link/tx/queue/congestion_control/block/wait_before_close": _BLOCKED_US,
        "transport/link/tx/queue/size/background": _BULK_BATCHES,
        "transport/link/tls": {
            "root_ca_certificate": str(tls.authority),
            "listen_private_key": str(tls.key), "listen_certificate": str(tls.certificate),
            "connect_private_key": str(tls.key), "connect_certificate": str(tls.certificate),
            "enable_mtls": True, "verify_name_on_connect": True, "close_link_on_expiration": True,
        },
        "access_control": {
            "enabled": True, "default_permission": "deny", "rules": rules, "subjects": subjects, "policies": policies,
        },
    }  # fmt: skip


class Overlay:
    """The connection of one agent to all others. Use it within its event loop; `open` first, `close` last.

    `alive` are the agents that can be reached at present, by whatever way, this one among them.
    """

    def __init__(self, config: Config, envelopes: Envelopes) -> None:
        self.alive: set[str] = set()
        self.refused = 0
        """How many messages were not believed."""
        self._config, self._envelopes = config, envelopes
        self._loop = asyncio.get_running_loop()
        self._root = f"okiagari/{config.testbed}"
        self._taking: list[Any] = []
        self._token: Any = None
        self._eye: Any = None
        self._tokens: dict[str, set[str]] = {}
        self._session: Any = None
        self._answering: set[asyncio.Task[None]] = set()
        self._refusal: Callable[[str], object] = lambda _why: None
        self._changed: Callable[[str, bool], object] = lambda _peer, _alive: None
        self._heard: Callable[[Opened], object] = lambda _opened: None
        self._asked: Asked

    async def open(
        self,
        heard: Callable[[Opened], object],
        asked: Asked,
        changed: Callable[[str, bool], object],
        refusal: Callable[[str], object],
    ) -> None:
        """Connect. Then `heard` gets every message for this agent, and `asked` every question, whose answer it gives.

        `changed` is told who comes and goes, `refusal` the reason why a message was not believed.
        """
        import zenoh

        settings = zenoh.Config()
        for key, value in zenoh_settings(self._config).items():
            settings.insert_json5(key, json.dumps(value))
        self._changed, self._refusal = changed, refusal
        try:
            self._session = await self._loop.run_in_executor(None, zenoh.open, settings)
        except zenoh.ZError as error:
            raise OkiagariError(f"the overlay can't be opened: {error}") from error
        self._heard, self._asked = heard, asked
        gone = zenoh.SampleKind.DELETE
        self._eye = self._session.liveliness().declare_subscriber(
            f"{self._root}/alive/*/*",
            lambda sample: self._call(self._note, *str(sample.key_expr).split("/")[-2:], sample.kind != gone),
            history=True,
        )
        self._taking = [declare() for declare in self._declarations()]
        self._token = self._show()

    async def declare_again(self) -> None:
        """Say again what this agent takes and that it is there, for those who dropped it; see `sight`."""
        with suppress(Exception):
            await self._loop.run_in_executor(None, self._declare_again)

    def _declare_again(self) -> None:
        # zenoh tells others of a key once only, so that it has to be taken back first.
        for index, declare in enumerate(self._declarations()):
            self._taking[index].undeclare()
            self._taking[index] = declare()
        old, self._token = self._token, self._show()
        old.undeclare()

    def _declarations(self) -> list[Callable[[], Any]]:
        """Give what declares each thing that this agent takes."""
        import zenoh

        name, session, heard, asked = self._config.name, self._session, self._heard, self._asked
        return [
            lambda: session.declare_subscriber(
                f"{self._root}/to/{name}", lambda said: self._take(said, heard, fresh=False)
            ),
            lambda: session.declare_subscriber(
                f"{self._root}/all/*",
                lambda said: self._take(said, heard, fresh=True),
                # To read all that this agent publishes itself would halve what it can be told.
                allowed_origin=zenoh.Locality.REMOTE,
            ),
            lambda: session.declare_queryable(f"{self._root}/ask/{name}", lambda query: self._answer(query, asked)),
        ]

    def _show(self) -> Any:
        """Show that this agent is there, by another token each time: the new one is there before the old one goes."""
        return self._session.liveliness().declare_token(
            f"{self._root}/alive/{self._config.name}/{secrets.token_hex(4)}"
        )

    async def close(self) -> None:
        """Leave. Without it zenoh's threads would keep the process from ending."""
        for task in self._answering:
            task.cancel()
        session, self._session = self._session, None
        if session is not None:
            with suppress(Exception):
                await self._loop.run_in_executor(None, session.close)

    def send(self, to: str, op: str, body: Mapping[str, Any]) -> None:
        """Send a message to one agent. It may be lost."""
        self._put(f"{self._root}/to/{to}", *self._envelopes.seal(to, op, body))

    def publish(self, op: str, body: Mapping[str, Any], content: bytes = b"") -> None:
        """Tell all other agents that can be reached."""
        self._put(f"{self._root}/all/{self._config.name}", *self._envelopes.seal("*", op, body, content=content))

    async def ask(self, to: str, op: str, body: Mapping[str, Any], timeout_s: float = 2.0) -> Mapping[str, Any]:
        """Ask one agent; raise `NoAnswer`, or `OkiagariError` with what it says is wrong with the question."""
        opened = await self._ask(to, op, body, timeout_s)
        said: Mapping[str, Any] = opened.body["said"]
        return said

    async def pull(self, to: str, op: str, body: Mapping[str, Any], timeout_s: float) -> bytes:
        """Ask one agent for bytes, which everything else goes before; raise as `ask` does."""
        import zenoh

        # An answer goes as its question does: dropped rather than waited for, since a relay that waits holds up all.
        opened = await self._ask(
            to, op, body, timeout_s, priority=zenoh.Priority.BACKGROUND, congestion_control=zenoh.CongestionControl.DROP
        )  # fmt: skip
        return opened.content

    async def _ask(self, to: str, op: str, body: Mapping[str, Any], timeout_s: float, **carried: Any) -> Opened:
        answer = self._pose(to, [to], op, body, timeout_s, **carried)[to]
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise _late(to, timeout_s) from None

    async def ask_all(
        self, peers: Iterable[str], op: str, body: Mapping[str, Any], timeout_s: float = 2.0
    ) -> dict[str, Mapping[str, Any] | OkiagariError]:
        """Ask several agents at once; give what each answered, or why it didn't."""
        names = list(dict.fromkeys(peers))
        # One question to many costs less than one to each, but passes by those who aren't asked.
        if not 1 < len(names) >= len(self.alive) / 2:
            return dict(
                zip(names, await asyncio.gather(*(self._one(name, op, body, timeout_s) for name in names)), strict=True)
            )
        try:
            answers = self._pose("*", names, op, body, timeout_s)
        except NoAnswer as error:
            return dict.fromkeys(names, error)
        await asyncio.wait(answers.values(), timeout=timeout_s)
        return {name: _answered(name, answer, timeout_s) for name, answer in answers.items()}

    async def _one(
        self, to: str, op: str, body: Mapping[str, Any], timeout_s: float
    ) -> Mapping[str, Any] | OkiagariError:
        try:
            return await self.ask(to, op, body, timeout_s)
        except OkiagariError as error:
            return error

    def _pose(
        self, at: str, to: Sequence[str], op: str, body: Mapping[str, Any], timeout_s: float, **carried: Any
    ) -> dict[str, asyncio.Future[Opened]]:
        """Put a question to some agents, `at` one of them or `*`; give what will be the answer of each."""
        import zenoh

        if self._session is None:
            raise NoAnswer("the overlay isn't open")
        number = secrets.token_hex(8)
        said, signature = self._envelopes.seal(to if at == "*" else at, op, body, number)
        answers: dict[str, asyncio.Future[Opened]] = {name: self._loop.create_future() for name in to}

        def replied(reply: Any) -> None:
            if reply.ok is not None:
                sample = reply.ok
                self._call(self._settle, answers, number, sample.payload.to_bytes(), _attached(sample))

        # The last call comes when there will be no other answer.
        def over() -> None:
            self._call(self._fail, answers)

        try:
            self._session.get(
                f"{self._root}/ask/{at}", zenoh.handlers.Callback(replied, over), payload=said, attachment=signature,
                timeout=timeout_s, target=zenoh.QueryTarget.ALL, consolidation=zenoh.ConsolidationMode.NONE,
                **carried,
            )  # fmt: skip
        except zenoh.ZError as error:
            raise NoAnswer(f"{', '.join(to)} can't be asked: {error}") from error
        return answers

    def _put(self, key: str, said: bytes, signature: bytes) -> None:
        import zenoh

        if self._session is not None:
            # Dropped where a link is congested: nothing here may wait for a link that is being cut.
            # What isn't sent because the session ends is lost like anything else that may be.
            with suppress(zenoh.ZError):
                self._session.put(
                    key, said, attachment=signature, congestion_control=zenoh.CongestionControl.DROP,
                    priority=zenoh.Priority.INTERACTIVE_HIGH,
                )  # fmt: skip

    def _call(self, what: Callable[..., object], *args: Any) -> None:
        """Hand over from a thread of zenoh to the event loop; nobody is there any more when that has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *args)

    def _note(self, peer: str, token: str, here: bool) -> None:
        tokens = self._tokens.setdefault(peer, set())
        (tokens.add if here else tokens.discard)(token)
        here = bool(tokens)
        if here == (peer in self.alive):
            return
        (self.alive.add if here else self.alive.discard)(peer)
        self._changed(peer, here)

    def _take(self, sample: Any, heard: Callable[[Opened], object], *, fresh: bool) -> None:
        said, signature = sample.payload.to_bytes(), _attached(sample)
        self._call(self._hear, said, signature, heard, fresh)

    def _hear(self, said: bytes, signature: bytes, heard: Callable[[Opened], object], fresh: bool) -> None:
        try:
            opened = self._envelopes.open(said, signature, fresh=fresh)
        except BadValue as error:
            self._refuse(error.message)
        else:
            heard(opened)

    def _answer(self, query: Any, asked: Asked) -> None:
        said = query.payload.to_bytes() if query.payload is not None else b""
        self._call(self._begin_answer, query, said, _attached(query), asked)

    def _begin_answer(self, query: Any, said: bytes, signature: bytes, asked: Asked) -> None:
        try:
            opened = self._envelopes.open(said, signature)
        except BadValue as error:
            if not isinstance(error, NotForUs):
                self._refuse(error.message)
            query.drop()
            return
        task = self._loop.create_task(self._give_answer(query, opened, asked))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _give_answer(self, query: Any, opened: Opened, asked: Asked) -> None:
        import zenoh

        content = b""
        try:
            try:
                given = await asked(opened)
                body: Mapping[str, Any] = {"said": {} if isinstance(given, bytes) else given}
                content = given if isinstance(given, bytes) else b""
            except OkiagariError as error:
                body = {"error": str(error)}
            said, signature = self._envelopes.seal(opened.sender, opened.op, body, opened.id, content)
            with suppress(zenoh.ZError):
                # Bulk may wait for a moment until it is dropped.
                reply = partial(query.reply, f"{self._root}/ask/{self._config.name}", said, attachment=signature)
                await asyncio.to_thread(reply) if content else reply()
        finally:
            # Whatever happened: who asks hears at once that there is no other answer.
            query.drop()

    def _settle(
        self, answers: Mapping[str, asyncio.Future[Opened]], number: str, said: bytes, signature: bytes
    ) -> None:
        if all(answer.done() for answer in answers.values()):
            return
        try:
            opened = self._envelopes.open(said, signature, fresh=False)
        except BadValue as error:
            self._refuse(error.message)
            return
        peer = opened.sender
        answer = answers.get(peer)
        if answer is None:
            self._refuse(f"{peer} answers what {', '.join(answers)} was asked")
        elif opened.id != number:
            self._refuse(f"{peer} answers another question: somebody sends it again")
        elif answer.done():
            return
        elif "error" in opened.body:
            answer.set_exception(OkiagariError(f"{peer}: {opened.body['error']}"))
        elif isinstance(opened.body.get("said"), dict):
            answer.set_result(opened)
        else:
            answer.set_exception(OkiagariError(f"{peer}: its answer says nothing"))

    def _fail(self, answers: Mapping[str, asyncio.Future[Opened]]) -> None:
        for peer, answer in answers.items():
            if not answer.done():
                answer.set_exception(NoAnswer(f"{peer} can't be reached, or doesn't answer"))

    def _refuse(self, why: str) -> None:
        self.refused += 1
        self._refusal(why)


def _attached(carrier: Any) -> bytes:
    return carrier.attachment.to_bytes() if carrier.attachment is not None else b""


def _answered(peer: str, answer: asyncio.Future[Opened], timeout_s: float) -> Mapping[str, Any] | OkiagariError:
    """Give an answer that is there, or why it isn't; after this none is waited for."""
    if answer.cancel():
        return _late(peer, timeout_s)
    wrong = answer.exception()
    if wrong is None:
        said: Mapping[str, Any] = answer.result().body["said"]
        return said
    if isinstance(wrong, OkiagariError):
        return wrong
    raise wrong


def _late(peer: str, timeout_s: float) -> NoAnswer:
    return NoAnswer(f"{peer} didn't answer within {timeout_s:g} s")
