# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's local socket from both of its ends."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import local
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import NAME, ask
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

from .agents import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
    from pathlib import Path


class Operations:
    """What an agent does: counts to `to`, then refuses, breaks, or waits as it is told."""

    def __init__(self) -> None:
        self.open = 0

    async def __call__(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        self.open += 1
        try:
            for number in range(request.get("to", 0)):
                yield {"n": number}
            match request.get("then"):
                case "refuse":
                    raise OkiagariError("not so")
                case "break":
                    raise ZeroDivisionError
                case "wait":
                    await asyncio.Event().wait()
        finally:
            self.open -= 1


def use(folder: Path, what: Callable[[Operations], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        operations = Operations()
        server = await local.serve(folder / "run" / NAME, operations)
        async with server:
            await what(operations)
            await until(lambda: not operations.open)

    asyncio.run(run())


async def asked(folder: Path, **request: Any) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: list(ask(request, folder / "run")))


def test_answers_come_one_by_one(tmp_path: Path) -> None:
    async def what(_operations: Operations) -> None:
        assert await asked(tmp_path, to=3) == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert await asked(tmp_path) == []
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "run" / NAME).stat().st_mode & 0o777 == 0o600

    use(tmp_path, what)
    use(tmp_path, what)  # the socket of an agent that was killed is in nobody's way


@pytest.mark.parametrize(("then", "message"), [("refuse", "not so"), ("break", "the agent has an error: ZeroDivision")])
def test_what_is_refused_or_breaks_is_told(tmp_path: Path, then: str, message: str) -> None:
    async def what(_operations: Operations) -> None:
        with pytest.raises(OkiagariError, match=message):
            await asked(tmp_path, to=1, then=then)

    use(tmp_path, what)


async def lines(folder: Path, *said: bytes) -> list[Any]:
    reader, writer = await asyncio.open_unix_connection(str(folder / "run" / NAME))
    writer.write(b"".join(said))
    found = [json.loads(await reader.readline()) for _line in said]
    writer.close()
    return found


@pytest.mark.parametrize("garbage", [b"\n", b"{\n", b"3\n", b"[]\n", b"\xff\n"])
def test_garbage_is_refused_and_the_next_request_is_answered(tmp_path: Path, garbage: bytes) -> None:
    async def what(_operations: Operations) -> None:
        first, second = await lines(tmp_path, garbage, b"{}\n")
        assert list(first) == ["error"]
        assert second == {"end": True}

    use(tmp_path, what)


def test_a_request_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LONGEST", 1000)

    async def what(_operations: Operations) -> None:
        (said,) = await lines(tmp_path, b"x" * 5000)
        assert said == {"error": "a request is longer than 1000 bytes"}

    use(tmp_path, what)


def test_whoever_is_gone_is_not_answered_any_more(tmp_path: Path) -> None:
    async def what(operations: Operations) -> None:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "run" / NAME))
        writer.write(b'{"to": 1, "then": "wait"}\n')
        await reader.readline()
        assert operations.open == 1
        writer.close()

    use(tmp_path, what)


@contextmanager
def agent(folder: Path, said: bytes | None) -> Iterator[Path]:
    """An agent that says this and dies; or listens and says nothing."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / NAME))
    listener.listen()

    def serve() -> None:
        connection, _address = listener.accept()
        with connection:
            connection.recv(1000)
            if said is None:
                connection.recv(1000)
            else:
                connection.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    yield folder
    thread.join()
    listener.close()


@pytest.mark.parametrize(
    "said", [b"", b'{"n": 0}\n', b'{"n": 0}\n{"n": 1', b'{"n": 0}\n{"end": true}', b"\xff", b'{"n": 0}\n\xe3\x81']
)
def test_an_agent_that_dies_in_the_middle_of_its_answer(tmp_path: Path, said: bytes) -> None:
    with agent(tmp_path, said) as folder:
        answers = ask({}, folder)
        if said.startswith(b"{"):
            assert next(answers) == {"n": 0}
        with pytest.raises(OkiagariError, match="ended before it had answered"):
            next(answers)


def test_an_agent_that_says_nothing(tmp_path: Path) -> None:
    with agent(tmp_path, None) as folder, pytest.raises(OkiagariError, match=r"didn't answer within 0\.05 s"):
        list(ask({}, folder, timeout_s=0.05))


@pytest.mark.parametrize("said", [b"garbage\n", b"3\n", b"[]\n"])
def test_an_agent_that_says_something_else(tmp_path: Path, said: bytes) -> None:
    with agent(tmp_path, said) as folder, pytest.raises(OkiagariError):
        list(ask({}, folder))


@pytest.mark.parametrize("name", ["none", "x" * 200])
def test_no_agent(tmp_path: Path, name: str) -> None:
    with pytest.raises(OkiagariError, match=r"can't be reached at .*see systemctl status okiagari-agent") as raised:
        list(ask({}, tmp_path / name))
    assert "None" not in str(raised.value)
