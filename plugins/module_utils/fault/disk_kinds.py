# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a disk: it is slow, or it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BadValue
from ..values import whole
from .kind import Kind
from .mapper import types_of
from .parameters import delay, directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .model import State

# Two devices with the same table of these are the same disk. Of others each has a state of its own, or a secret.
_PLAIN = ("linear", "striped")


def _whole_delay(value: object) -> float:
    found = round(delay(value), 3)
    if found == 0:
        raise BadValue("a disk's delay is 1ms at least")
    return found


class _Disk(Kind):
    parameters: ClassVar = {"path": directory}

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        return f"device:{params['path']}"

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        entry, path = have[cls.claim(params)], params["path"]
        if "missing" in entry:
            return f"there is no {path} on this target"
        device = entry["device"]
        if device is None:
            return f"{path} is not on a device of the device mapper (such as LVM's): its disk can't be disturbed"
        if entry["helper"]:
            return f"{device} has a fault already, of another path or without a record: undo it, or run heal_all"
        if entry["needed_for"]:
            points = ", ".join(entry["needed_for"])
            return f"{device} has {points}, without which the fault could not be ended: choose another disk"
        foreign = [each for each in types_of(entry["table"]) if each not in _PLAIN]
        if foreign:
            return f"{device} is of the type {foreign[0]}: only {' and '.join(_PLAIN)} devices can be covered safely"
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        return {cls.claim(params): {"fault": cls.fault(params)}}

    @classmethod
    def fault(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Give the fault as the device's entry shows it."""
        raise NotImplementedError


class DiskSlow(_Disk):
    """Each read and each write takes `delay` longer."""

    name = "disk_slow"
    capability = "dm_delay"
    parameters: ClassVar = {"path": directory, "delay": _whole_delay}

    @classmethod
    def fault(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "delay", "delay_ms": round(1000 * params["delay"])}


class DiskFailing(_Disk):
    """Each read and each write fails; or, again and again, it works for `up` seconds and fails for `down`."""

    name = "disk_failing"
    capability = "dm"
    optional: ClassVar = {"up": whole(1, 3600), "down": whole(1, 3600)}

    @classmethod
    def contradictions(cls, params: Mapping[str, Any]) -> Iterable[str]:
        if ("up" in params) is not ("down" in params):
            yield "up and down are given together"

    @classmethod
    def needs(cls, params: Mapping[str, Any]) -> tuple[str, ...]:
        return ("dm_flakey",) if "up" in params else ("dm",)

    @classmethod
    def fault(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        if "up" not in params:
            return {"type": "error"}
        return {"type": "flakey", "up_s": params["up"], "down_s": params["down"]}
