# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a target's clock and of its services."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BadValue, shown
from ..units import DAY_S, signed_seconds
from .kind import Kind, absent
from .owned import DRILL_PREFIX, LEASE_PREFIX, LOAD_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import State

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,200}\.service")
# A lease is kept by these.
_NEEDED = ("systemd-", "dbus", LEASE_PREFIX, DRILL_PREFIX, LOAD_PREFIX)


def _step(value: object) -> float:
    found = signed_seconds(value)
    if not 0.1 <= abs(found) <= 3650 * DAY_S:
        raise BadValue(f"a step of {found:g} s is not between 100ms and ten years")
    return found


def _service(value: object) -> str:
    name = f"{value}" if str(value).endswith(".service") else f"{value}.service"
    if not isinstance(value, str) or not _UNIT.fullmatch(name):
        raise BadValue(f"{shown(value)} is not the name of a service")
    if name.startswith(_NEEDED):
        raise BadValue(f"{name} is needed to end the fault")
    return name


class ClockStep(Kind):
    """The wall clock jumps by so much; undoing it jumps back by the same, whatever time it is then."""

    name = "clock_step"
    capability = "clock"
    parameters: ClassVar = {"by": _step}

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:  # noqa: ARG003
        return "clock:realtime"

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        if daemon := have[cls.claim(params)]["kept_by"]:
            return (
                f"{daemon} keeps the clock of this target, and would set it back: stop it first, or with service_stop"
            )
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        claim = cls.claim(params)
        return {claim: {"booted_at": round(have[claim]["booted_at"] + params["by"], 6)}}


class _OfService(Kind):
    parameters: ClassVar = {"service": _service}

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        return f"service:{params['service']}"

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        entry, name = have[cls.claim(params)], params["service"]
        if "missing" in entry:
            return absent("service", name, entry["missing"])
        if name not in entry["active"]:
            return f"{name} isn't running: start it or choose another service"
        if entry["frozen"]:
            return f"{name} is frozen already, and not by Okiagari: thaw it first"
        return None


class ServiceStop(_OfService):
    """The service is stopped, with those that can't be without it."""

    name = "service_stop"
    capability = "service"

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        return {cls.claim(params): {"active": []}}


class ServiceFreeze(_OfService):
    """The service's processes get no processor time: it is there, and answers nobody, as a daemon that hangs."""

    name = "service_freeze"
    capability = "freezer"

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        return {cls.claim(params): {"frozen": True}}
