# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks for addresses on bridges by ARP until all have answered. Needs no address of one's own there.

An answer counts only if it comes from the interface that shall have the address.
"""

from __future__ import annotations

import select
import socket
import struct
from contextlib import ExitStack
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadInput, OkiagariError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ETHERTYPE = 0x0806
_ETHERNET_IPV4 = struct.pack("!HHBB", 1, 0x0800, 6, 4)
_REQUEST, _REPLY = 1, 2
_FRAME = struct.Struct("!6s6sH6sH6s4s6s4s")
_BROADCAST = b"\xff" * 6
_AGAIN_S = 0.5


class Question(NamedTuple):
    """Who has `address` on `interface`? It shall be `mac`."""

    interface: str
    address: str
    mac: str


def questions(asked: Sequence[Mapping[str, Any]]) -> list[Question]:
    """Read what a module is asked; an address may carry its prefix length. Raise `BadInput` with all that is wrong."""
    found, problems = [], []
    for number, each in enumerate(asked):
        try:
            question = Question(each["interface"], each["address"].split("/")[0], each["mac"].lower())
            query(question, b"\0" * 6)
            found.append(question)
        except (KeyError, AttributeError, ValueError) as error:
            problems.append(Problem("", None, f"questions[{number}]", f"needs interface, address and mac: {error}"))
    if problems:
        raise BadInput(problems)
    return found


def query(question: Question, source: bytes) -> bytes:
    """Give the frame that asks; its sender has no address, so that nobody remembers one."""
    target = IPv4Address(question.address).packed
    _octets(question.mac)
    return _FRAME.pack(_BROADCAST, source, _ETHERTYPE, _ETHERNET_IPV4, _REQUEST, source, b"\0" * 4, b"\0" * 6, target)


def answer(frame: bytes) -> tuple[str, str] | None:
    """Give the address and its owner that a frame tells, or None if it is no reply."""
    if len(frame) < _FRAME.size:
        return None
    _to, _from, ethertype, kinds, operation, owner, address, _asker, _zero = _FRAME.unpack(frame[: _FRAME.size])
    if (ethertype, kinds, operation) != (_ETHERTYPE, _ETHERNET_IPV4, _REPLY):
        return None
    return str(IPv4Address(address)), ":".join(f"{octet:02x}" for octet in owner)


def open_link(interface: str) -> socket.socket:
    """Open an interface for ARP."""
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE))
    try:
        link.bind((interface, _ETHERTYPE))
        link.setblocking(False)
    except OSError:
        link.close()
        raise
    return link


def ask(
    asked: Sequence[Question],
    timeout: float,
    clock: Callable[[], float],
    opener: Callable[[str], socket.socket] = open_link,
) -> dict[Question, float]:
    """Ask until everyone has answered or `timeout` seconds have passed; give when each answered first, by `clock`."""
    ends = clock() + timeout
    wanted = set(asked)
    heard: dict[Question, float] = {}
    with ExitStack() as stack:
        links = {name: stack.enter_context(_opened(name, opener)) for name in dict.fromkeys(q.interface for q in asked)}
        again = clock()
        while len(heard) < len(wanted) and clock() < ends:
            if clock() >= again:
                again = clock() + _AGAIN_S
                for question in asked:
                    if question not in heard:
                        _send(links[question.interface], query(question, _own(links[question.interface])))
            ready, _writable, _failed = select.select(
                list(links.values()), [], [], max(0.0, min(again, ends) - clock())
            )
            for name, link in links.items():
                if link in ready:
                    said = Question(name, *(answer(_receive(link)) or ("", "")))
                    if said in wanted:
                        heard.setdefault(said, clock())
    return {question: heard[question] for question in asked if question in heard}


def _opened(name: str, opener: Callable[[str], socket.socket]) -> socket.socket:
    try:
        return opener(name)
    except OSError as error:
        raise OkiagariError(f"{name}: can't be asked: {error.strerror}") from error


def _own(link: socket.socket) -> bytes:
    name = link.getsockname()
    return bytes(name[4]) if isinstance(name, tuple) else b"\x02" + b"\0" * 5


def _send(link: socket.socket, frame: bytes) -> None:
    try:
        link.send(frame)
    except OSError:
        # The bridge may be down for a moment; it is asked again.
        return


def _receive(link: socket.socket) -> bytes:
    try:
        return link.recv(2048)
    except OSError:
        return b""


def _octets(mac: str) -> bytes:
    octets = bytes.fromhex(mac.replace(":", ""))
    if len(octets) != 6:
        raise ValueError(f"{mac} is not a MAC address")
    return octets
