# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dummy requests, to real sockets and programs."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.requests import request, word, wrong_request

from .agents import BOUND_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


async def ask(*argv: str, timeout_s: float = BOUND_S) -> str:
    return (await request(argv, host="a-kvm1", address="127.0.0.1", timeout_s=timeout_s)).wrong


def asked(answer: bytes | None, *said: str, timeout_s: float = BOUND_S) -> tuple[str, bytes]:
    """Ask a server that answers this line, or never; give what is wrong, and what it was asked."""
    heard = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        over.set()

    async def run() -> str:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            said_wrong = await ask("tcp", "{address}", str(port), *said, timeout_s=timeout_s)
            await over.wait()
            return said_wrong

    over = asyncio.Event()
    return asyncio.run(run()), b"".join(heard)


def test_a_line_over_tcp() -> None:
    assert asked(b"pong 3\n", "ping {host}", "pong") == ("", b"ping a-kvm1\n")
    assert asked(b"pong\n", "ping") == ("", b"ping\n")
    assert asked(b"no\n", "ping", "pong")[0] == "answered no, not pong"
    assert asked(b"", "ping", "pong")[0] == "answered nothing, not pong"
    assert asked(b"\xff\xfe\n", "ping", "pong")[0].endswith("not pong")
    assert asked(b"x" * 100_000, "ping", "pong")[0]


def test_what_is_said_behind_the_answer_is_given() -> None:
    async def said(script: str) -> tuple[str, str]:
        return await request(("sh", "-c", script), host="a", address="127.0.0.1", timeout_s=BOUND_S)

    assert asyncio.run(said("echo fine checkpoint=3")) == ("", "fine checkpoint=3")
    assert asyncio.run(said("echo ill; exit 1")) == ("ill (exit status 1)", "ill")

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"pong checkpoint=3\n")
        writer.close()

    async def run() -> tuple[str, str]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            words = ("tcp", "{address}", str(server.sockets[0].getsockname()[1]), "ping", "pong")
            return await request(words, host="a", address="127.0.0.1", timeout_s=BOUND_S)

    assert asyncio.run(run()) == ("", "pong checkpoint=3")


def test_whoever_only_listens_is_well_without_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert asyncio.run(ask("tcp", "{address}", str(server.getsockname()[1]))) == ""


def test_silence_ends_at_the_timeout() -> None:
    assert asked(None, "ping", "pong", timeout_s=0.05)[0] == "no answer within 0.05 s"


def test_a_refused_connection_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "Connect call failed" in asyncio.run(ask("tcp", "{address}", str(port), "ping"))


@pytest.mark.parametrize(
    "argv",
    [
        ("tcp",),
        ("tcp", "{address}"),
        ("tcp", "{address}", "http", "ping"),
        ("tcp", "{address}", "70000", "ping"),
        ("tcp", "{address}", "-1", "ping"),
        ("tcp", "a\0b", "7000"),
        ("/no/such/program",),
        ("/bin/ec\0ho",),
        ("/",),
    ],
)
def test_what_can_not_be_asked_is_a_word_and_no_end_of_the_agent(argv: tuple[str, ...]) -> None:
    assert asyncio.run(ask(*argv))


@pytest.mark.parametrize(
    ("argv", "wrong"),
    [
        ((), ""),
        (("/bin/ask", "x"), ""),
        (("tcp", "{address}", "7000"), ""),
        (("tcp", "{address}", "7000", "ping", "pong"), ""),
        (("tcp", "{address}"), "is not of the form [tcp, address, port, line, what the answer begins with]"),
        (("tcp", "{address}", "7000", "ping", "pong", "x"), "is not of the form"),
        (("tcp", "{address}", "0"), "its port 0 is not a whole number from 1 to 65535"),
    ],
)
def test_what_is_wrong_with_words(argv: tuple[str, ...], wrong: str) -> None:
    assert wrong_request(argv).startswith(wrong)
    assert bool(wrong_request(argv)) is bool(wrong)


def test_a_program_says_what_is_wrong() -> None:
    assert asyncio.run(ask("sh", "-c", "echo fine")) == ""
    assert asyncio.run(ask("sh", "-c", "echo '{host} is sick' >&2; exit 3")) == "a-kvm1 is sick (exit status 3)"
    assert asyncio.run(ask("sh", "-c", "exit 1")) == "no word (exit status 1)"
    assert asyncio.run(ask("sh", "-c", "kill -9 $$")) == "no word (exit status -9)"


# The child keeps the output open, so that its end alone would not be the end of the request.
HANGING = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); os.fork(); time.sleep(3600)"


@pytest.mark.parametrize("script", [HANGING, HANGING.replace("os.fork()", "os.fork() and os._exit(0)")])
def test_a_program_that_hangs_is_killed_with_its_children_and_reaped(tmp_path: Path, script: str) -> None:
    note = tmp_path / "pid"

    async def run() -> str:
        asking = asyncio.create_task(ask(sys.executable, "-IBS", "-c", script, str(note)))
        while not (note.exists() and note.read_text().endswith("\n")):
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return note.read_text()

    group = int(asyncio.run(run()).split()[0])
    wait_for(lambda: not list(living(group)))
    assert asyncio.run(ask("sleep", "3600", timeout_s=0.05)) == "no answer within 0.05 s"


def test_a_program_that_is_given_up_while_it_starts_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, start = tmp_path / "pid", asyncio.create_subprocess_exec

    async def slowly(*words: str, **options: Any) -> Any:
        process = await start(*words, **options)
        while not (note.exists() and note.read_text().endswith("\n")):
            await asyncio.sleep(0.01)
        started.set()
        await asyncio.sleep(0.1)
        return process

    async def run() -> None:
        asking = asyncio.create_task(ask(sys.executable, "-IBS", "-c", HANGING, str(note)))
        await started.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    started = asyncio.Event()
    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    asyncio.run(run())
    wait_for(lambda: not list(living(int(note.read_text()))))


def living(group: int) -> Iterator[str]:
    """Give the processes of this group that are no zombies."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        words = read(stat.read_text).rpartition(")")[2].split()
        if words and words[0] != "Z" and words[2] == str(group):
            yield stat.parent.name


def read(reader: Callable[[], str]) -> str:
    try:
        return reader()
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("pong changed=7", "7"), ("changed=a1-b checkpoint=2", "a1-b"), ("pong", ""), ("pong unchanged=7", ""),
        ("pong changed= 7", ""), ("ok changed=" + "x" * 70, "x" * 64),
    ],
)  # fmt: skip
def test_a_word_behind_the_answer(said: str, found: str) -> None:
    assert word(said, "changed") == found
