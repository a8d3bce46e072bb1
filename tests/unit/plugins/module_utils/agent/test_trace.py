# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of a packet, and traces over loopback; routers are in the contract tests."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.links import Links
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.trace import Tracer, _answers, _complaint

HERE, THERE, NOBODY = "127.0.8.11", "127.0.8.12", "127.0.8.13"
IP, RECVERR, RECVTTL = 0, 11, 12


def error(origin: int, kind: int, family: int = socket.AF_INET) -> bytes:
    complains = struct.pack("=HH4s8x", family, 0, socket.inet_aton("192.0.2.7"))
    return struct.pack("=IBBBBII", 113, origin, kind, 0, 0, 0, 0) + complains


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ([(IP, RECVERR, error(2, 11))], ("192.0.2.7", False)),
        ([(IP, RECVTTL, b"\0\0\0\0"), (IP, RECVERR, error(2, 3))], ("192.0.2.7", True)),
        ([(IP, RECVERR, error(2, 12))], None),
        ([(IP, RECVERR, error(1, 3))], None),  # the kernel itself
        ([(IP, RECVERR, error(2, 11, socket.AF_INET6))], None),
        ([(IP, RECVERR, error(2, 11)[:20])], None),
        ([(41, RECVERR, error(2, 11))], None),
        ([], None),
    ],
)
def test_who_complains_is_told_from_what_else_the_kernel_says(extra, found) -> None:
    assert _complaint(extra) == found


class Queues:
    """A socket with one message in either queue."""

    def __init__(self, quoted: bytes, said: bytes) -> None:
        self.quoted: list[bytes] = [quoted]
        self.said = said

    def recvmsg(self, *_how: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str, int]]:
        if not self.quoted:
            raise BlockingIOError
        return self.quoted.pop(), [(IP, RECVERR, error(2, 11))], 0, (THERE, 7447)

    def recvfrom(self, _most: int) -> tuple[bytes, tuple[str, int]]:
        return self.said, (THERE, 7447)


@pytest.mark.parametrize(
    ("quoted", "number"),
    [(b"okiagari?12345678", b"12345678"), (b"okiagari?123", b""), (b"", b"")],
)
def test_a_router_that_quotes_less_than_the_number_quotes_none(quoted, number) -> None:
    complaint = (THERE, number, "192.0.2.7", False)
    assert list(_answers(Queues(quoted, b"okiagari!12345678"))) == [complaint, (THERE, b"12345678", THERE, True)]
    for other in (b"okiagari?12345678", b"okiagari!1234567", b""):
        assert list(_answers(Queues(quoted, other))) == [complaint]


def test_an_agent_and_a_host_without_one_are_found() -> None:
    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chosen:
            chosen.bind((THERE, 0))
            port = chosen.getsockname()[1]
        links = Links(THERE, port, {}, {HERE})
        task = asyncio.create_task(links.run())
        with Tracer(HERE, port, gap_s=0.0) as tracer:
            for to in (THERE, NOBODY, THERE):
                found = await tracer.trace(to)
                assert (str(found), found.arrived) == ("direct", True)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_host_that_says_nothing_is_given_up_after_a_bounded_number_of_packets() -> None:
    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind((THERE, 0))
            with Tracer(HERE, mute.getsockname()[1], flows=2, gap_s=0.0, answer_s=0.01) as tracer:
                found = await tracer.trace(THERE)
            mute.setblocking(False)
            count = 0
            with suppress(BlockingIOError):
                while mute.recv(100):
                    count += 1
        assert (str(found), found.arrived) == ("...", False)
        # From afar and with five TTLs, twice in each of two flows.
        assert count == (1 + 5) * 2 * 2

    asyncio.run(run())


def test_an_address_that_is_not_here_is_told_and_nothing_is_left_open() -> None:
    async def run() -> None:
        tracer = Tracer("192.0.2.77", 7447)
        with pytest.raises(OSError, match="Cannot assign"), tracer:
            raise AssertionError
        assert not tracer._walks

    asyncio.run(run())
