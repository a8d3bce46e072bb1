# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of faults, from what people write to plain values. Each reader raises `BadValue` for all else."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ..errors import BadValue, shown
from ..units import bits_per_second, percent, seconds
from ..values import file_path

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_INTERFACE = re.compile(r"[^\s/:]{1,15}")
_MACHINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")
_VRF = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
# As routers call theirs: GigabitEthernet0/0/0.100, Bundle-Ether1, ge-0/0/1.
_PORT = re.compile(r"(?=.{1,40}$)[A-Za-z][A-Za-z-]*[0-9]+(?:/[0-9]+)*(?:\.[0-9]+)?")


def interface(value: object) -> str:
    """Give the name of an interface as Linux allows it, or as a router has it."""
    if not isinstance(value, str):
        raise BadValue(f"{shown(value)} is not the name of an interface")
    on_linux = _INTERFACE.fullmatch(value) and value not in (".", "..") and value.isprintable()
    if (on_linux and not value.startswith("-")) or _PORT.fullmatch(value):
        return value
    raise BadValue(f"{shown(value)} is not the name of an interface")


def machine(value: object) -> str:
    """Give the name of a machine as what runs it knows it: a node of a lab, or a guest."""
    if isinstance(value, str) and _MACHINE.fullmatch(value):
        return value
    raise BadValue(f"{shown(value)} is not the name of a machine")


def vrf(value: object) -> str:
    """Give the name of a VRF."""
    if isinstance(value, str) and _VRF.fullmatch(value):
        return value
    raise BadValue(f"{shown(value)} is not the name of a VRF")


def prefix(value: object) -> str:
    """Give a prefix in its canonical spelling."""
    suggestion = None
    if isinstance(value, str) and "%" not in value:
        with suppress(ValueError):
            suggestion = str(ipaddress.ip_network(value, strict=False))
            return str(ipaddress.ip_network(value))
    raise BadValue(f"{shown(value)} is not a prefix such as 10.2.0.0/16", suggestion)


def address(value: object) -> str:
    """Give an address in its canonical spelling, without a zone: that of one link means nothing elsewhere."""
    if isinstance(value, str) and "%" not in value:
        with suppress(ValueError):
            return str(ipaddress.ip_address(value))
    raise BadValue(f"{shown(value)} is not an address such as 10.254.0.3")


def directory(value: object) -> str:
    """Give the absolute path of a directory, without a slash at its end."""
    return "/" if value == "/" else file_path(value.rstrip("/") if isinstance(value, str) else value)


def above_zero(read: Callable[[object], T], refusal: str) -> Callable[[object], T]:
    """Make a reader that is `read` but for 0, which is refused in these words."""

    def reader(value: object) -> T:
        found = read(value)
        if found == 0:
            raise BadValue(refusal)
        return found

    return reader


share = above_zero(percent, "0 % of the packets is no fault")
"""Reads a share in percent, above 0."""


def delay(value: object) -> float:
    """Give a delay in seconds, from a microsecond to 10 s."""
    found = seconds(value)
    if not 1e-6 <= found <= 10:
        raise BadValue(f"a delay of {found:g} s is not between 1us and 10s")
    return found


def rate(value: object) -> int:
    """Give a rate in bits per second, from 8 kbit/s (a packet of 1500 bytes takes 1.5 s then) to 100 Gbit/s."""
    found = bits_per_second(value)
    if not 8_000 <= found <= 100_000_000_000:
        raise BadValue(f"a rate of {found} bit/s is not between 8kbit and 100gbit")
    return found


def shares(*names: str) -> Callable[[object], list[float]]:
    """Make a reader of a list of up to so many shares in percent, the first of them above 0."""

    def read(value: object) -> list[float]:
        if not isinstance(value, list) or not 1 <= len(value) <= len(names):
            raise BadValue(f"has to be a list of 1 to {len(names)} percentages: {', '.join(names)}")
        return [share(value[0]), *(percent(item) for item in value[1:])]

    return read
