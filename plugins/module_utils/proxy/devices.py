# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that are reached from here: how a module is told of one, and the proxy that keeps its faults."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..target.store import Store
from ..target.system import Clock, Places
from .keeper import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..fault.device import Device

DEVICE_SPEC: dict[str, Any] = {
    "type": "dict",
    "options": {
        "os": {"type": "str", "choices": ["ios", "iosxr", "netconf", "vyos"], "required": True},
        "host": {"type": "str", "required": True},
        "port": {"type": "int"},
        "user": {"type": "str", "required": True},
        "password": {"type": "str", "no_log": True},
        "key_file": {"type": "path"},
        "known_hosts": {"type": "path"},
        "ssh_config": {"type": "path"},
        "proxy_command": {"type": "str"},
    },
    "mutually_exclusive": [("ssh_config", "proxy_command")],
}


def open_proxy(options: Mapping[str, Any]) -> Proxy:
    """Log in to the device that `options` describes, and give its proxy. Raises `OkiagariError`."""
    login = {key: value for key, value in options.items() if key != "os" and value is not None}
    folder = _state() / "devices" / re.sub(r"[^A-Za-z0-9.-]", "_", f"{options['host']}-{options['port'] or ''}")
    return Proxy(_OPENERS[options["os"]](login), Store(Places(str(folder), str(folder))), Clock())


def _state() -> Path:
    """Give where the journals are: as on a target, and for who isn't root at home."""
    if os.geteuid() == 0 or "OKIAGARI_STATE" in os.environ:
        return Places().state
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "okiagari"


def _vyos(options: Mapping[str, Any]) -> Device:
    from ..fault.vyos import VyosDevice
    from ..vyos import Session
    from ..vyos.netmiko_channel import Login, NetmikoChannel

    login = Login(**options)
    return VyosDevice(Session(login.host, lambda: NetmikoChannel(login)).__enter__())


def _netconf(options: Mapping[str, Any]) -> Device:
    from ..fault.netconf import NetconfDevice
    from ..netconf import connect

    return NetconfDevice(connect(options))


def _ios(options: Mapping[str, Any]) -> Device:
    from ..fault.ios import XeDevice
    from ..ios import XeSession
    from ..ios.netmiko_channel import XeChannel
    from ..vyos.netmiko_channel import Login

    return XeDevice(XeSession(options["host"], XeChannel(Login(**options))))


def _iosxr(options: Mapping[str, Any]) -> Device:
    from ..fault.ios import XrDevice
    from ..ios import XrSession
    from ..ios.netmiko_channel import XrChannel
    from ..vyos.netmiko_channel import Login

    return XrDevice(XrSession(options["host"], XrChannel(Login(**options))))


_OPENERS: dict[str, Callable[[Mapping[str, Any]], Device]] = {
    "ios": _ios,
    "iosxr": _iosxr,
    "netconf": _netconf,
    "vyos": _vyos,
}
