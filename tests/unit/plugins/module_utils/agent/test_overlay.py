# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay over a session that is in memory; zenoh itself is met by the contract tests."""

from __future__ import annotations

import asyncio
import gc
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.envelope import Envelopes
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer, Overlay
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue, OkiagariError

from .agents import authority, config, until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path


class ZError(Exception):
    """As zenoh calls it."""


class Bytes:
    def __init__(self, said: bytes) -> None:
        self.to_bytes = lambda: said


class Session:
    """Gives each question to `answer`, with what takes replies and what is called at the end."""

    def __init__(self) -> None:
        self.closed = False
        self.sent: list[str] = []
        self.asked: list[str] = []
        self.carried: list[tuple[object, object]] = []
        self.answer: Callable[..., None] = lambda _said, _reply, _over: None

    def get(self, key: str, callback: Any, payload: bytes, attachment: bytes, **options: Any) -> None:
        if self.closed:
            raise ZError("session closed")
        self.asked.append(key)
        self.carried.append((options.get("priority"), options.get("congestion_control")))
        replied, over = callback

        def reply(said: bytes, signature: bytes) -> None:
            replied(SimpleNamespace(ok=SimpleNamespace(payload=Bytes(said), attachment=Bytes(signature))))

        self.answer(payload, reply, over)

    def put(self, key: str, *_arguments: Any, **_options: Any) -> None:
        if self.closed:
            raise ZError("session closed")
        self.sent.append(key)

    def close(self) -> None:
        self.closed = True


class Rig:
    """The overlay of agent `a`, and the envelopes of all."""

    def __init__(self, folder: Path) -> None:
        authority(folder, "a", "b", "c")
        certificates = {name: (folder / f"{name}.pem").read_text() for name in "abc"}
        self.of = {name: Envelopes(name, folder / f"{name}.key", certificates, lambda: 1e9) for name in "abc"}
        self.session = Session()
        self.overlay = Overlay(config(folder), self.of["a"])
        self.overlay._session = self.session
        self.refused: list[str] = []
        self.overlay._refusal = self.refused.append


@pytest.fixture
def zenoh(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(
        ZError=ZError, handlers=SimpleNamespace(Callback=lambda reply, over: (reply, over)),
        QueryTarget=SimpleNamespace(ALL=1), ConsolidationMode=SimpleNamespace(NONE=1),
        CongestionControl=SimpleNamespace(DROP="drop"),
        Priority=SimpleNamespace(INTERACTIVE_HIGH="first", BACKGROUND="last"),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "zenoh", fake)


def use(folder: Path, what: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await what(Rig(folder))

    asyncio.run(run())


def test_an_answer_is_the_one_to_this_question(tmp_path: Path, zenoh: None) -> None:
    """A neighbour that relays can keep answers, and send them again to whatever it likes."""
    kept: list[tuple[bytes, bytes]] = []

    async def what(rig: Rig) -> None:
        def answer(said: bytes, reply: Any, over: Any) -> None:
            opened = rig.of["b"].open(said, rig.of["a"]._private.sign(said, rig.of["a"]._algorithm))
            for old in kept:
                reply(*old)
            reply(*rig.of["c"].seal("a", opened.op, {"said": {"n": "forged"}}, opened.id))
            reply(b"garbage", b"")
            kept.append(rig.of["b"].seal("a", opened.op, {"said": {"n": len(kept)}}, opened.id))
            reply(*kept[-1])
            over()

        rig.session.answer = answer
        assert await rig.overlay.ask("b", "ping", {}) == {"n": 0}
        assert await rig.overlay.ask("b", "ping", {}) == {"n": 1}
        assert rig.refused[0] == "c answers what b was asked"
        assert any("answers another question" in why for why in rig.refused)
        assert rig.overlay.refused == len(rig.refused)

    use(tmp_path, what)


def test_bytes_are_pulled_behind_everything_else_and_are_signed(tmp_path: Path, zenoh: None) -> None:
    async def what(rig: Rig) -> None:
        def answer(said: bytes, reply: Any, over: Any) -> None:
            opened = rig.of["b"].open(said, rig.of["a"]._private.sign(said, rig.of["a"]._algorithm))
            message, signature = rig.of["b"].seal("a", opened.op, {"said": {}}, opened.id, b"\n{}\x00")
            reply(message + b"!", signature)
            reply(message, signature)

        rig.session.answer = answer
        assert await rig.overlay.pull("b", "bulk.chunk", {}, 2.0) == b"\n{}\x00"
        assert len(rig.refused) == 1
        await rig.overlay.ask("b", "ping", {})
        assert rig.session.carried == [("last", "drop"), (None, None)]

    use(tmp_path, what)


@pytest.mark.parametrize("body", [{}, {"said": None}, {"said": 3}])
def test_an_answer_that_says_nothing(tmp_path: Path, zenoh: None, body: dict[str, Any]) -> None:
    async def what(rig: Rig) -> None:
        def answer(said: bytes, reply: Any, over: Any) -> None:
            opened = rig.of["b"].open(said, rig.of["a"]._private.sign(said, rig.of["a"]._algorithm))
            reply(*rig.of["b"].seal("a", opened.op, body, opened.id))

        rig.session.answer = answer
        with pytest.raises(OkiagariError, match="says nothing"):
            await rig.overlay.ask("b", "ping", {})

    use(tmp_path, what)


def test_many_are_asked_by_one_question_and_each_answers_for_itself(tmp_path: Path, zenoh: None) -> None:
    async def what(rig: Rig) -> None:
        def answer(said: bytes, reply: Any, over: Any) -> None:
            signature = rig.of["a"]._private.sign(said, rig.of["a"]._algorithm)
            number = rig.of["b"].open(said, signature).id
            assert rig.of["c"].open(said, signature).id == number
            reply(*rig.of["c"].seal("a", "ping", {"said": {"n": 2}}, number))
            reply(*rig.of["c"].seal("a", "ping", {"said": {"n": 3}}, number))
            reply(*rig.of["b"].seal("a", "ping", {"error": "no such thing"}, number))
            over()

        rig.overlay.alive = {"a", "b", "c"}
        rig.session.answer = answer
        said = await rig.overlay.ask_all(["b", "c"], "ping", {}, timeout_s=0.05)
        assert (str(said["b"]), said["c"]) == ("b: no such thing", {"n": 2})
        assert rig.session.asked == ["okiagari/t/ask/*"]

    use(tmp_path, what)


def test_whoever_is_not_heard_of_in_time_did_not_answer(tmp_path: Path, zenoh: None) -> None:
    async def what(rig: Rig) -> None:
        unread: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unread.append(context))
        ends: list[Any] = []

        def answer(said: bytes, reply: Any, over: Any) -> None:
            opened = rig.of["b"].open(said, rig.of["a"]._private.sign(said, rig.of["a"]._algorithm))
            reply(*rig.of["b"].seal("a", "ping", {"said": {}}, opened.id))
            ends.append(over)

        rig.session.answer = answer
        said = await rig.overlay.ask_all(["b", "c"], "ping", {}, timeout_s=0.05)
        assert said["b"] == {}
        assert isinstance(said["c"], NoAnswer)
        assert str(said["c"]) == "c didn't answer within 0.05 s"
        ends.pop()()
        rig.session.answer = lambda _said, _reply, over: over()
        said = await rig.overlay.ask_all(["b", "c"], "ping", {})
        assert [str(said[peer]) for peer in "bc"] == [f"{peer} can't be reached, or doesn't answer" for peer in "bc"]
        rig.session.closed = True
        assert all(isinstance(why, NoAnswer) for why in (await rig.overlay.ask_all(["b", "c"], "ping", {})).values())
        gc.collect()
        assert unread == []

    use(tmp_path, what)


def test_a_few_of_many_are_asked_one_by_one(tmp_path: Path, zenoh: None) -> None:
    async def what(rig: Rig) -> None:
        def answer(said: bytes, reply: Any, over: Any) -> None:
            if b'"to":"c"' in said:
                return over()
            opened = rig.of["b"].open(said, rig.of["a"]._private.sign(said, rig.of["a"]._algorithm))
            return reply(*rig.of["b"].seal("a", opened.op, {"said": {}}, opened.id))

        rig.overlay.alive = set("abcdefgh")
        rig.session.answer = answer
        said = await rig.overlay.ask_all(["b", "c", "b"], "ping", {})
        assert said["b"] == {}
        assert isinstance(said["c"], NoAnswer)
        assert rig.session.asked == ["okiagari/t/ask/b", "okiagari/t/ask/c"]
        assert await rig.overlay.ask_all([], "ping", {}) == {}

    use(tmp_path, what)


def test_a_session_that_closes_meanwhile_is_no_answer(tmp_path: Path, zenoh: None) -> None:
    async def what(rig: Rig) -> None:
        rig.session.answer = lambda _said, _reply, over: over()
        with pytest.raises(NoAnswer, match="can't be reached"):
            await rig.overlay.ask("b", "ping", {})
        rig.session.closed = True
        with pytest.raises(NoAnswer, match="can't be asked: session closed"):
            await rig.overlay.ask("b", "ping", {})
        rig.overlay.publish("events", {})
        rig.overlay.send("b", "election", {})
        await rig.overlay.close()
        with pytest.raises(NoAnswer, match="isn't open"):
            await rig.overlay.ask("b", "ping", {})
        rig.overlay.publish("events", {})
        await rig.overlay.close()
        assert rig.session.sent == []

    use(tmp_path, what)


class Question:
    """A question as it comes in."""

    def __init__(self, said: bytes, signature: bytes, closed: bool = False) -> None:
        self.payload, self.attachment = Bytes(said), Bytes(signature)
        self.replies: list[tuple[bytes, bytes]] = []
        self.at: list[str] = []
        self.dropped = False
        self._closed = closed

    def reply(self, key: str, said: bytes, attachment: bytes) -> None:
        if self._closed:
            raise ZError("session closed")
        self.at.append(key)
        self.replies.append((said, attachment))

    def drop(self) -> None:
        self.dropped = True


def test_whoever_asks_always_hears_of_an_end(tmp_path: Path, zenoh: None) -> None:
    async def what(rig: Rig) -> None:
        async def asked(opened: Any) -> Any:
            if opened.op == "bad":
                raise BadValue("is bad")
            if opened.op == "broken":
                raise ZeroDivisionError
            if opened.op == "bulk":
                return b"bytes"
            return {"n": 3}

        def come(*sealed: bytes, closed: bool = False) -> Question:
            question = Question(*sealed, closed=closed)
            rig.overlay._answer(question, asked)
            return question

        errors: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        seal = rig.of["b"].seal
        good, bad, bulk = (come(*seal(to, op, {})) for to, op in (("a", "good"), (["a", "c"], "bad"), ("a", "bulk")))
        passing = come(*seal(["b", "c"], "good", {}))
        others = [
            come(*seal("a", "broken", {})), come(*seal("c", "good", {})), come(b"garbage", b""),
            come(*seal("a", "good", {}), closed=True), passing,
        ]  # fmt: skip
        await until(lambda: all(each.dropped for each in (good, bad, bulk, *others)))
        for question, body, content in (
            (good, {"said": {"n": 3}}, b""), (bad, {"error": "is bad"}, b""), (bulk, {"said": {}}, b"bytes"),
        ):  # fmt: skip
            (reply,) = question.replies
            assert question.at == ["okiagari/t/ask/a"]
            opened = rig.of["b"].open(*reply)
            assert (opened.sender, opened.body, opened.content) == ("a", body, content)
        assert not any(each.replies for each in others)
        assert len(rig.refused) == 2
        await rig.overlay.close()

    use(tmp_path, what)


def test_who_comes_and_goes_is_told_once(tmp_path: Path, zenoh: None) -> None:
    async def what(rig: Rig) -> None:
        told: list[tuple[str, bool]] = []
        rig.overlay._changed = lambda peer, here: told.append((peer, here))
        tokens = [("b", "1", True), ("b", "1", True), ("c", "1", False), ("b", "2", True), ("b", "1", False)]
        for peer, token, here in [*tokens, ("b", "2", False), ("b", "2", False)]:
            rig.overlay._note(peer, token, here)
        assert told == [("b", True), ("b", False)]
        assert rig.overlay.alive == set()

    use(tmp_path, what)
