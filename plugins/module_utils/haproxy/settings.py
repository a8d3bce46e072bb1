# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy of one host reads when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .proxy import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .proxy import Proxy

_BEGINNING = """\
# Made by the role agent. Who the server is, the agent says, at the socket below.
global
    nbthread 1
    maxconn 4000
    stats socket {socket} mode 600 level admin

defaults
    timeout connect 500ms
    timeout client 1h
    timeout server 1h
    timeout client-fin 1m
    timeout server-fin 1m
    option clitcpka
    # A server may know nothing of a connection any more: a guest that goes on from an earlier state doesn't say so.
    option srvtcpka
    srvtcpka-idle 3s
    srvtcpka-intvl 1s
    srvtcpka-cnt 5
    default-server tcp-ut 8s
    option contstats
    # What isn't taken is tried again twice a second, at whoever is the server by then.
    option redispatch 1
"""
_HTTP = ("option forwardfor", "option abortonclose", "timeout http-request 10s", "timeout http-keep-alive 1m")


@dataclass(frozen=True)
class Listener:
    """The proxy of a service, and its candidates' addresses by their names."""

    proxy: Proxy
    addresses: Mapping[str, str]


def settings(socket: str, listeners: Mapping[str, Listener], own_address: str) -> str:
    """Give the whole text for a host that has `own_address`; nothing where it has no service's proxy.

    The first candidate is the one that is ready until the agent says another one: where nothing runs there,
    connections wait.
    """
    if not listeners:
        return ""
    text = _BEGINNING.format(socket=socket)
    for name, listener in sorted(listeners.items()):
        text += "".join([f"\nlisten {name}\n", *(f"    {line}\n" for line in _lines(listener, own_address))])
    return text


def _lines(listener: Listener, own_address: str) -> Iterator[str]:
    proxy = listener.proxy
    yield f"mode {proxy.mode}"
    yield f"bind {_end(proxy.address.replace(ADDRESS, own_address) or '*', proxy.port)}"
    yield f"retries {2 * proxy.wait_s}"
    if proxy.mode == "http":
        yield from _HTTP
    for number, (name, address) in enumerate(listener.addresses.items()):
        end = _end(proxy.to.replace(ADDRESS, address), proxy.to_port)
        yield f"server {name} {end}{' disabled' if number else ''}"


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
