# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages between agents, signed by who sent them: the neighbour who relays one vouches for nothing.

The overlay's connections are mutually authenticated, but each vouches for the neighbour alone. So every message
carries who sent it, to whom, when and its number, and a signature over all of it by the key of the sender's
certificate (ECDSA over P-256). What is no JSON, as a part of a file, goes after it and a line feed, signed with it.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError, shown
from ..values import Shape, from_json, mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

FRESH_S = 30.0
"""How far a message's time may be from the receiver's clock."""
_FAR_S = 1e12
_REMEMBERED = 100_000
_SHAPE: Shape = {"from": str, "to": (str, list), "at": (int, float), "id": str, "op": str, "body": dict}


class NotForUs(BadValue):
    """A message to several agents, of which this is none: it came by on its way, and nobody has done wrong."""


@dataclass(frozen=True)
class Opened:
    """A message whose sender is known to have meant it for us."""

    sender: str
    op: str
    body: Mapping[str, Any]
    id: str
    content: bytes = b""


class Envelopes:
    """Seals and opens the messages of the agent `name`.

    `key` is its private key and `certificates` are those of all agents by name, in PEM: whose isn't there is a
    stranger. `clock` gives seconds since the epoch.
    """

    def __init__(self, name: str, key: Path, certificates: Mapping[str, str], clock: Callable[[], float]) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        self._name, self._clock = name, clock
        try:
            private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise OkiagariError(f"{key} can't be read: {error}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise OkiagariError(f"{key} is not a key of an elliptic curve, as the testbed's authority makes them")
        self._algorithm = ec.ECDSA(hashes.SHA256())
        self._private = private
        self._public: dict[str, ec.EllipticCurvePublicKey] = {}
        for peer, certificate in certificates.items():
            try:
                public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
            except ValueError as error:
                raise OkiagariError(f"the certificate of {peer} can't be read: {error}; run the role agent") from error
            if isinstance(public, ec.EllipticCurvePublicKey):
                self._public[peer] = public
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def seal(
        self, to: str | Sequence[str], op: str, body: Mapping[str, Any], number: str = "", content: bytes = b""
    ) -> tuple[bytes, bytes]:
        """Give a message and its signature. `to` is an agent, several, or `*`, which is all.

        `number` is its id; an answer has that of its question.
        """
        message = {
            "from": self._name, "to": to, "at": self._clock(), "id": number or secrets.token_hex(8), "op": op,
            "body": body,
        }  # fmt: skip
        said = json.dumps(message, separators=(",", ":")).encode()
        if content:
            said += b"\n" + content
        return said, self.sign(said)

    def sign(self, said: bytes) -> bytes:
        """Give this agent's signature."""
        return self._private.sign(said, self._algorithm)

    def verify(self, signer: str, said: bytes, signature: bytes) -> None:
        """Raise `BadValue` unless an agent of this testbed signed this."""
        from cryptography.exceptions import InvalidSignature

        public = self._public.get(signer)
        if public is None:
            raise BadValue(f"{shown(signer)} is no agent of this testbed")
        try:
            public.verify(signature, said, self._algorithm)
        except InvalidSignature:
            raise BadValue(f"the signature is not {signer}'s; if its certificate is new, run the role here") from None

    def open(self, said: bytes, signature: bytes, *, fresh: bool = True) -> Opened:
        """Give what a message says; raise `BadValue` with the reason if it isn't one for us.

        With `fresh` it must be new: not older than `FRESH_S` by the sender's clock, and not seen before.
        """
        head, _line_feed, content = said.partition(b"\n")
        message = from_json(head.decode("utf-8", "replace"))
        if wrong := mismatch(message, _SHAPE, "a message"):
            raise BadValue(wrong)
        sender, to = message["from"], message["to"]
        if isinstance(to, list) and self._name not in to:
            raise NotForUs("it is meant for others")
        self.verify(sender, said, signature)
        if isinstance(to, str) and to not in (self._name, "*"):
            raise BadValue(f"it is meant for {shown(to)}")
        if fresh:
            self._look_at_age(sender, message["id"], message["at"])
        return Opened(sender, message["op"], message["body"], message["id"], content)

    def _look_at_age(self, sender: str, number: str, at: float) -> None:
        age = self._clock() - min(max(at, -_FAR_S), _FAR_S)
        if abs(age) > FRESH_S:
            raise BadValue(
                f"it is {age:.0f} s old by the clocks of {sender} and this host; set them alike if it is new"
            )
        if (sender, number) in self._seen:
            raise BadValue(f"{sender} has sent it before")
        self._seen[(sender, number)] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
