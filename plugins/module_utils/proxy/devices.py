# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that are reached from here: how a module is told of one, and what makes its faults."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..target.store import Store
from ..target.system import Clock, Places, boot_id
from .lasting import Lasting
from .maker import DeviceMaker
from .runners import Runners

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


def open_proxy(options: Mapping[str, Any], told: str = "") -> DeviceMaker:
    """Give the maker of the faults of the device that `options` describes; it logs in when that is needed.

    What a drill's runner has to be told is `told`.
    """
    places = places_of(options)
    runners = Runners(places.run / "runners", told)
    return DeviceMaker(Lasting(options["os"], lambda: _login(options)), Store(places), runners, Clock(), boot_id())


def places_of(options: Mapping[str, Any]) -> Places:
    """Give where the journal of a device is: as on a target, and for who isn't root at home."""
    name = re.sub(r"[^A-Za-z0-9.-]", "_", f"{options['host']}-{options.get('port') or ''}")
    folder = str(_state() / "devices" / name)
    return Places(folder, folder)


def _login(options: Mapping[str, Any]) -> Device:
    """Raises `OkiagariError`."""
    known = {key: value for key, value in options.items() if key != "os" and value is not None}
    return _OPENERS[options["os"]](known)


def _state() -> Path:
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
