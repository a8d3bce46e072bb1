# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy of a service as people describe it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from ..values import choice, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..values import Shape

SHAPE: dict[str, Shape] = {"port": int, "to": str, "mode?": str, "address?": str, "wait_s?": int}
ADDRESS = "{address}"
MODES = ("tcp", "http")
_PORT = whole(1, 65_535)
_WAIT_S = whole(1, 3600)


@dataclass(frozen=True)
class Proxy:
    """Where candidates listen, `address` and `port`, and where the service is at its server: `to` and `to_port`.

    `{address}` stands for the listening candidate's in the one, and for the server's in the other. Without `address`
    it is all of IPv4. A connection that the server doesn't take is tried again for `wait_s`.
    """

    port: int
    to: str
    to_port: int
    mode: str = "tcp"
    address: str = ""
    wait_s: int = 60


def read_proxy(said: Mapping[str, Any]) -> Proxy:
    """Give the proxy that a mapping of this shape, without flaws, describes."""
    to, to_port = _place(said["to"])
    rest = {key: said[key] for key in ("mode", "address", "wait_s") if key in said}
    return Proxy(said["port"], to, to_port, **rest)


def flaws(said: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """Give what is wrong in a mapping of this shape: the key, why, and what may be meant."""
    readers: dict[str, Callable[[Any], object]] = {
        "port": _PORT, "to": _place, "mode": choice(MODES, "mode"), "address": _address, "wait_s": _WAIT_S,
    }  # fmt: skip
    wrong = []
    for key, read in readers.items():
        if key in said:
            try:
                read(said[key])
            except BadValue as error:
                wrong.append((key, error.message, error.suggestion))
    yield from wrong
    if not wrong and _place(said["to"]) == (ADDRESS, said["port"]):
        yield "port", f"is where the service itself is at its server, {said['to']}: choose another one", None


def clashes(ports: Mapping[str, int], agents: Iterable[int]) -> Iterator[tuple[str, str]]:
    """Say of which services' ports one is another service's, or one of those of the agents themselves; and whose."""
    owners = dict.fromkeys(agents, "the agents'")
    for service, port in ports.items():
        if port in owners:
            yield service, f"{port} is {owners[port]} port already: choose another one"
        owners.setdefault(port, f"{service}'s")


def _place(said: str) -> tuple[str, int]:
    address, _colon, port = said.rpartition(":")
    try:
        return _address(address.removeprefix("[").removesuffix("]")), _PORT(port)
    except BadValue:
        raise BadValue(f"{said} is not an address and a port: say {ADDRESS}:7000, or 192.0.2.1:7000") from None


def _address(said: str) -> str:
    if said == ADDRESS:
        return said
    try:
        return str(ipaddress.ip_address(said))
    except ValueError:
        raise BadValue(f"{said} is neither an IP address nor {ADDRESS}") from None
