# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed messages, with keys of a real authority."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.envelope import FRESH_S, Envelopes, NotForUs
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue, OkiagariError
from hypothesis import given
from hypothesis import strategies as st

from .agents import authority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EMPTY_KEY = b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"
BODY = {"service": "db", "term": 3}


class Watch:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("authority"), "a", "b", "c", "stranger")


@pytest.fixture(scope="module")
def of(keys: Path) -> Callable[..., Envelopes]:
    def make(name: str, clock: Watch | None = None) -> Envelopes:
        certificates = {peer: (keys / f"{peer}.pem").read_text() for peer in "abc"}
        return Envelopes(name, keys / f"{name}.key", certificates, clock or Watch())

    return make


def test_a_message_says_who_meant_what(of: Callable[..., Envelopes]) -> None:
    said, signature = of("a").seal("b", "election", BODY)
    opened = of("b").open(said, signature)
    assert (opened.sender, opened.op, opened.body) == ("a", "election", BODY)
    answer = of("b").open(*of("a").seal("b", "election", {}, opened.id))
    assert answer.id == opened.id
    assert of("c").open(*of("a").seal("*", "events", BODY)).body == BODY
    assert len({of("a").seal("b", "x", {})[0] for _time in range(20)}) == 20


@given(st.binary(max_size=100))
def test_whatever_goes_with_a_message_comes_with_it(of: Callable[..., Envelopes], content: bytes) -> None:
    opened = of("b").open(*of("a").seal("b", "bulk", BODY, content=content))
    assert (opened.body, opened.content) == (BODY, content)


@given(place=st.integers(0, 9999), change=st.integers(1, 255), content=st.binary(max_size=100))
def test_a_message_with_another_byte_is_none(
    of: Callable[..., Envelopes], place: int, change: int, content: bytes
) -> None:
    said, signature = of("a").seal("b", "election", BODY, content=content)
    message = bytearray(said + signature)
    message[place % len(message)] ^= change
    with pytest.raises(BadValue):
        of("b").open(bytes(message[: len(said)]), bytes(message[len(said) :]))
    for cut in (said.partition(b"\n")[0] + b"\n", said + b"\nmore", said[:-1]):
        with pytest.raises(BadValue):
            of("b").open(cut, signature)


@given(st.binary(max_size=100), st.binary(max_size=80))
def test_what_is_no_message_is_none(of: Callable[..., Envelopes], said: bytes, signature: bytes) -> None:
    with pytest.raises(BadValue):
        of("b").open(said, signature)


@pytest.mark.parametrize(
    ("key", "value"),
    [("from", 3), ("from", None), ("to", None), ("at", "now"), ("at", None), ("id", 3), ("op", None), ("body", []),
     ("at", True)],
)  # fmt: skip
def test_messages_of_another_shape(of: Callable[..., Envelopes], key: str, value: object) -> None:
    sealed = of("a")
    message = {**json.loads(sealed.seal("b", "x", BODY)[0]), key: value}
    said = json.dumps(message).encode()
    with pytest.raises(BadValue, match=f"a message.{key}"):
        of("b").open(said, sealed._private.sign(said, sealed._algorithm))


def test_nobody_signs_for_another(of: Callable[..., Envelopes]) -> None:
    said, _signature = of("a").seal("b", "x", BODY)
    forger = of("c")
    with pytest.raises(BadValue, match="the signature is not a's"):
        of("b").open(said, forger._private.sign(said, forger._algorithm))
    with pytest.raises(BadValue, match="the signature is not a's"):
        of("b").open(said, b"")


def test_a_stranger_is_not_heard(of: Callable[..., Envelopes]) -> None:
    with pytest.raises(BadValue, match="stranger is no agent of this testbed"):
        of("b").open(*of("stranger").seal("b", "x", BODY))


@pytest.mark.parametrize("fresh", [True, False])
def test_what_is_meant_for_somebody_else(of: Callable[..., Envelopes], fresh: bool) -> None:
    with pytest.raises(BadValue, match="it is meant for c"):
        of("b").open(*of("a").seal("c", "x", BODY), fresh=fresh)


def test_a_message_to_several_is_for_these_alone(of: Callable[..., Envelopes]) -> None:
    message = of("a").seal(["b", "c"], "x", BODY)
    assert of("b").open(*message).body == of("c").open(*message).body == BODY
    for others in (["c"], []):
        with pytest.raises(NotForUs):
            of("b").open(*of("a").seal(others, "x", BODY))
    with pytest.raises(BadValue, match="the signature is not a's"):
        of("b").open(message[0].replace(b'"c"', b'"d"'), message[1])


@pytest.mark.parametrize("late", [FRESH_S + 1, -FRESH_S - 1])
def test_what_is_old_or_of_the_future_is_refused_where_it_has_to_be_fresh(
    of: Callable[..., Envelopes], late: float
) -> None:
    said, signature = of("a").seal("b", "x", BODY)
    clock = Watch()
    receiver = of("b", clock)
    clock.now += late
    with pytest.raises(BadValue, match="set them alike"):
        receiver.open(said, signature)
    assert receiver.open(said, signature, fresh=False).body == BODY
    clock.now -= late
    assert receiver.open(said, signature).body == BODY


@pytest.mark.parametrize("at", [10**400, -(10**400), 0])
def test_a_time_that_is_none(of: Callable[..., Envelopes], at: int) -> None:
    sender = of("a")
    said = json.dumps({"from": "a", "to": "b", "at": at, "id": "1", "op": "x", "body": {}}).encode()
    with pytest.raises(BadValue, match="s old by the clocks"):
        of("b").open(said, sender._private.sign(said, sender._algorithm))


def test_what_comes_again_is_refused(of: Callable[..., Envelopes]) -> None:
    receiver, message = of("b"), of("a").seal("b", "x", BODY)
    receiver.open(*message)
    with pytest.raises(BadValue, match="a has sent it before"):
        receiver.open(*message)
    assert receiver.open(*message, fresh=False).body == BODY


@pytest.mark.parametrize(
    "content", [None, b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"]
)
def test_a_key_that_can_not_be_read_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(OkiagariError, match="key can't be read"):
        Envelopes("a", tmp_path / "key", {}, Watch())


def test_other_keys_and_certificates_than_the_authority_makes(keys: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    pem: Any = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key").write_bytes(pem)
    with pytest.raises(OkiagariError, match="not a key of an elliptic curve"):
        Envelopes("a", tmp_path / "key", {}, Watch())
    for certificate in ("", "garbage"):
        with pytest.raises(OkiagariError, match="the certificate of b can't be read"):
            Envelopes("a", keys / "a.key", {"b": certificate}, Watch())
