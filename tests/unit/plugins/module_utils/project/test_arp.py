# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking by ARP, over sockets that stand for bridges."""

from __future__ import annotations

import socket
import time
from ipaddress import IPv4Address
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.project.arp import (
    Question,
    answer,
    ask,
    query,
    questions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE = Question("br100", "10.240.0.11", "02:03:00:64:00:0b")
TWO = Question("br100", "10.240.0.12", "02:03:00:64:00:0c")
OTHER = Question("br101", "10.240.0.11", "02:03:00:65:00:0b")
ASKER = bytes.fromhex("020500c90064")


def reply(question: Question) -> bytes:
    """Give the frame with which a machine answers, as its kernel makes it."""
    mac = bytes.fromhex(question.mac.replace(":", ""))
    address = IPv4Address(question.address).packed
    head = ASKER + mac + bytes.fromhex("0806 0001 0800 06 04 0002")
    return head + mac + address + ASKER + bytes(4) + bytes(18)


class Bridge:
    """A bridge with machines on it. They answer from the `after`th question for them on."""

    def __init__(self, machines: list[Question], after: int = 1) -> None:
        self.near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._machines, self._after = machines, after
        self.heard: list[bytes] = []
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while frame := self._far.recv(2048):
            self.heard.append(frame)
            asked = str(IPv4Address(frame[38:42]))
            if sum(each[38:42] == frame[38:42] for each in self.heard) >= self._after:
                self._far.send(frame)  # a bridge's port hears its own questions too
                self._far.send(b"short")
                for machine in self._machines:
                    if machine.address == asked:
                        self._far.send(reply(machine))

    def close(self) -> None:
        self.near.close()
        self._far.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._far.close()


@pytest.fixture
def bridges() -> Iterator[dict[str, Bridge]]:
    made = {"br100": Bridge([ONE, TWO], after=2), "br101": Bridge([OTHER])}
    yield made
    for bridge in made.values():
        bridge.close()


def test_the_frame() -> None:
    frame = query(ONE, ASKER)
    assert frame == (
        b"\xff" * 6 + ASKER + bytes.fromhex("0806 0001 0800 06 04 0001") + ASKER + bytes(4) + bytes(6)
        + bytes([10, 240, 0, 11])
    )  # fmt: skip
    assert answer(frame) is None
    assert answer(reply(ONE)) == (ONE.address, ONE.mac)
    assert answer(reply(ONE)[:41]) is None


def test_all_answer(bridges: dict[str, Bridge]) -> None:
    began = time.time()
    heard = ask([ONE, TWO, OTHER], 10, time.time, lambda name: bridges[name].near)
    assert list(heard) == [ONE, TWO, OTHER]
    assert began <= heard[OTHER] < heard[ONE] < began + 5, "asked again until there is an answer"


def test_only_the_right_one_counts(bridges: dict[str, Bridge]) -> None:
    wrong = [OTHER._replace(interface="br100"), ONE._replace(address="10.240.0.99")]
    began = time.monotonic()
    assert list(ask([*wrong, OTHER], 1.2, time.time, lambda name: bridges[name].near)) == [OTHER]
    assert 1.1 < time.monotonic() - began < 4
    asked = [frame[38:42] for frame in bridges["br101"].heard]
    assert len(asked) == 1, "who has answered isn't asked again"


def test_no_such_bridge() -> None:
    with pytest.raises(OkiagariError, match=r"okiagari-none: can't be asked: \w+"):
        ask([ONE._replace(interface="okiagari-none")], 1, time.time)


def test_what_is_asked() -> None:
    good = {"interface": "br100", "address": "10.240.0.11/24", "mac": "02:03:00:64:00:0B"}
    assert questions([good]) == [ONE]
    with pytest.raises(BadInput) as caught:
        questions([{}, good, {**good, "address": "10.240.0.999"}, {**good, "mac": "02:03"}, {**good, "address": None}])
    assert [problem.key for problem in caught.value.problems] == [f"questions[{number}]" for number in (0, 2, 3, 4)]
    assert ask([], 1, time.time) == {}
