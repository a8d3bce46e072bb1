# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS packets, made, read and spoilt."""

from __future__ import annotations

import ipaddress
import struct
from contextlib import suppress

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.target import dns
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.target.simulated_dns import answer
from hypothesis import given
from hypothesis import strategies as st

ASKED = dns.query(7, "www.example.org", "A")
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)


def test_a_query_is_that_of_rfc_1035() -> None:
    assert bytes.fromhex("0007 0100 0001 0000 0000 0000 03777777 076578616d706c65 036f7267 00 0001 0001") == ASKED


@given(st.integers(0, 65535), names, st.lists(st.ip_addresses(v=4), max_size=8))
def test_answers_are_read_as_they_were_made(identifier: int, name: str, addresses: list[ipaddress.IPv4Address]) -> None:
    asked = dns.query(identifier, dns.host_name(name), "A")
    packet = answer(asked, [address.packed for address in addresses], alias=True)
    assert dns.reply(packet, asked) == dns.Reply("NOERROR", tuple(sorted(map(str, addresses))))


@given(st.ip_addresses(v=6))
def test_addresses_of_ipv6(address: ipaddress.IPv6Address) -> None:
    asked = dns.query(1, "a", "AAAA")
    assert dns.reply(answer(asked, [address.packed]), asked).addresses == (str(address),)


@pytest.mark.parametrize(("code", "name"), [(0, "NOERROR"), (2, "SERVFAIL"), (3, "NXDOMAIN"), (9, "code 9")])
def test_codes(code: int, name: str) -> None:
    assert dns.reply(answer(ASKED, [], code), ASKED) == dns.Reply(name, ())


def test_what_is_no_answer_to_the_question() -> None:
    right = answer(ASKED, [b"\x0a\0\0\1"])
    other = dns.query(7, "www.example.com", "A")
    for packet in (b"", right[:11], ASKED, answer(dns.query(8, "www.example.org", "A"), []), answer(other, [])):
        assert not dns.answers(packet, ASKED)
        with pytest.raises(BadValue, match="no answer to this question"):
            dns.reply(packet, ASKED)


def test_too_much_for_a_packet() -> None:
    packet = bytearray(answer(ASKED, []))
    packet[2] |= 2
    with pytest.raises(BadValue, match="too long for UDP"):
        dns.reply(bytes(packet), ASKED)


def addresses_of(packet: bytes) -> tuple[str, ...]:
    """Read an answer, which may be refused with words."""
    with suppress(BadValue):
        return dns.reply(packet, ASKED).addresses
    return ()


@given(st.data())
def test_a_spoilt_answer_is_read_or_refused_in_words(data: st.DataObject) -> None:
    packet = bytearray(answer(ASKED, [b"\x0a\0\0\1", b"\x0a\0\0\2"], alias=True))
    for _change in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    packet = packet[: data.draw(st.integers(0, len(packet)))]
    for address in addresses_of(bytes(packet)):
        assert ipaddress.ip_address(address).version == 4


@given(st.binary(max_size=200))
def test_anything_after_the_question(rest: bytes) -> None:
    packet = ASKED[:2] + struct.pack(">5H", 0x8180, 1, 5, 0, 0) + ASKED[12:] + rest
    assert len(addresses_of(packet)) <= 5


@pytest.mark.parametrize("name", ["", ".", "a..b", "a b", "-a", "a" * 64, ".".join(["a" * 60] * 5), "ä.org", 3, None])
def test_names_that_are_none(name: object) -> None:
    with pytest.raises(BadValue, match="is not a name"):
        dns.host_name(name)
