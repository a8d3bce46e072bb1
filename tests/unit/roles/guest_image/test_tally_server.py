# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tally over real sockets, and its two languages piece by piece."""

# pylint: disable=used-before-assignment
from __future__ import annotations

import http.client
import json
import os
import socket
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.roles.guest_image.files.guest.tally.journal import Journal
from ansible_collections.okiagari.testbed.roles.guest_image.files.guest.tally.protocol import (
    LONGEST_HEAD,
    LONGEST_LINE,
    Http,
    Lines,
    Tally,
)
from ansible_collections.okiagari.testbed.roles.guest_image.files.guest.tally.server import Server
from ansible_collections.okiagari.testbed.tests.unit.roles.guest_image.serving_tally import serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def client(port: int) -> Iterator[Any]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile("rwb", 0) as file:

        def ask(line: str) -> str:
            file.write(line.encode() + b"\n")
            return str(file.readline().decode().removesuffix("\n"))

        yield ask


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[Tally]:
    journal = Journal(str(tmp_path))
    yield Tally(journal, lambda: {"hostname": "g1"})
    journal.close()


def test_lines_from_two_clients_and_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, _http), client(port) as one, client(port) as two:
        assert [one("incr"), two("incr 41"), one("get")] == ["ok 1", "ok 42", "ok 42"]
        assert [one("set k a  b "), two("get k"), two("set empty "), one("get empty")] == [
            "ok 3", "ok a  b ", "ok 4", "ok ",
        ]  # fmt: skip
        assert [two("keys"), two("del empty"), two("del empty"), one("get empty")] == [
            "ok empty k", "ok 5", "missing", "missing",
        ]  # fmt: skip
        assert one("changed") == "ok changed=5"
        status = json.loads(one("status").removeprefix("ok "))
        assert (status["count"], status["sequence"], status["keys"], status["torn"]) == (42, 5, 1, 0)
        assert status["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert (status["hostname"], status["pid"]) == (socket.gethostname(), os.getpid())
    with serving(tmp_path) as (port, _http), client(port) as one:
        assert [one("get"), one("get k")] == ["ok 42", "ok a  b "]


@pytest.mark.parametrize(
    ("request_line", "message"),
    [
        ("increment", "unknown request; known are incr [N] | get [KEY]"),
        ("incr x", "'x' is not a number of 64 bits"),
        (f"incr {1 << 63}", "is not a number of 64 bits"),
        ("set  v", "a key is one word"),
        ("del a b", "a key is one word"),
        ("status now", "unknown request"),
        ("changed now", "unknown request"),
        ("", "unknown request"),
    ],
)
def test_a_bad_line_is_an_answer(tally: Tally, request_line: str, message: str) -> None:
    answer, over = Lines(tally).feed(request_line.encode() + b"\n")
    assert answer.decode().startswith("error ")
    assert message in answer.decode()
    assert not over


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=30), max_size=8))
def test_no_input_breaks_a_language(tally: Tally, pieces: list[bytes]) -> None:
    for language in (Lines(tally), Http(tally)):
        for piece in pieces:
            answer, _over = language.feed(piece)
            assert isinstance(answer, bytes)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 20), min_size=1, max_size=20))
def test_pieces_make_no_difference(tally: Tally, sizes: list[int]) -> None:
    said = b"get a\r\nGET /keys/a HTTP/1.1\r\nset a b\nkeys\n"
    asked = (
        b"PUT /keys/a HTTP/1.1\r\nContent-Length: 1\r\n\r\nbGET /keys/a HTTP/1.1\r\n\r\nHEAD /counter HTTP/1.0\r\n\r\n"
    )
    for language, whole in ((Lines, said), (Http, asked)):
        language(tally).feed(whole)
        expected, _over = language(tally).feed(whole)
        pieces, one, at = [], language(tally), 0
        for size in [*sizes, len(whole)]:
            pieces.append(one.feed(whole[at : at + size])[0])
            at += size
        if language is Http:
            assert b"".join(pieces).count(b"HTTP/1.1 20") == expected.count(b"HTTP/1.1 20") == 3
        else:
            assert b"".join(pieces).count(b"\n") == expected.count(b"\n") == 4


def test_too_long_is_over(tally: Tally) -> None:
    answer, over = Lines(tally).feed(b"x" * (LONGEST_LINE + 1))
    assert (answer, over) == (b"error the line is too long\n", True)
    answer, over = Http(tally).feed(b"x" * (LONGEST_HEAD + 1))
    assert (answer.split(b"\r\n")[0], over) == (b"HTTP/1.1 400 Bad Request", True)
    assert Lines(tally).feed(b"incr\nquit\nincr\n") == (b"ok 1\n", True)


def test_http(tmp_path: Path) -> None:
    with serving(tmp_path) as (_lines, port), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as web:

        def ask(method: str, path: str, body: str | None = None) -> tuple[int, str]:
            web.request(method, path, body)
            response = web.getresponse()
            return response.status, response.read().decode()

        assert ask("POST", "/counter") == (200, "1")
        assert ask("POST", "/counter", "9") == (200, "10")
        assert ask("GET", "/counter") == (200, "10")
        assert ask("HEAD", "/counter") == (200, "")
        assert ask("PUT", "/keys/cl%C3%A9", "value") == (201, "3")
        assert ask("GET", "/keys/cl%C3%A9?x=1") == (200, "value")
        assert ask("GET", "/keys") == (200, '["cl\\u00e9"]')
        assert ask("DELETE", "/keys/cl%C3%A9") == (200, "4")
        assert ask("DELETE", "/keys/cl%C3%A9") == (404, "there is no such key")
        assert json.loads(ask("GET", "/status")[1])["sequence"] == 4
        assert [ask("GET", "/other")[0], ask("DELETE", "/counter")[0], ask("POST", "/counter", "x")[0]] == [
            404,
            405,
            400,
        ]
        assert ask("PUT", "/keys/a%2Fb", "v") == (400, "a key is one word of at most 200 bytes without a slash")
        assert ask("GET", "/keys/%zz") == (400, "the path is not well quoted")


def test_one_wait_for_the_disk_serves_many_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(str(tmp_path), "127.0.0.1", 0, 0)
    syncs: list[int] = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    clients = [socket.create_connection(("127.0.0.1", server.ports[0]), timeout=5) for _number in range(5)]
    for _number in range(6):
        server.step(0.05)
    for connection in clients:
        connection.sendall(b"incr\nincr\n")
    server.step(1)
    while len(syncs) == 0:
        server.step(1)
    answers = sorted(connection.recv(100) for connection in clients)
    assert answers[0].startswith(b"ok 1\n")
    assert len(syncs) == 1
    for connection in clients:
        connection.close()
    server.step(1)
    server.close()


def test_a_failing_disk_ends_the_service_without_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(str(tmp_path), "127.0.0.1", 0, 0)

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with socket.create_connection(("127.0.0.1", server.ports[0]), timeout=5) as connection:
        server.step(1)
        connection.sendall(b"incr\n")
        with pytest.raises(OSError, match="Input/output"):
            server.step(1)
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(10)
    server.close()
