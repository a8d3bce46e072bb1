# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds that concern a whole machine, and that only what runs it can make and end: off, rebooted, frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .kind import Kind, absent
from .parameters import machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import State


class PowerKind(Kind):
    """A kind that claims a machine's power, which is `on`, `paused`, `off`, or `stopping` on its way to that."""

    capability = "power"
    parameters: ClassVar = {"machine": machine}
    power: ClassVar[str]

    @classmethod
    def silences(cls, params: Mapping[str, Any]) -> bool:  # noqa: ARG003
        return True

    @classmethod
    def ends_programs(cls, params: Mapping[str, Any]) -> bool:  # noqa: ARG003
        return cls.power != "paused"

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        return f"power:{params['machine']}"

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        entry, name = have[cls.claim(params)], params["machine"]
        if "missing" in entry:
            return absent("machine", name, entry["missing"])
        if entry["power"] != "on":
            return f"{name} is {entry['power']} already, and not by Okiagari: switch it on or choose another machine"
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        return {cls.claim(params): {"power": cls.power}}


class PowerCut(PowerKind):
    """The machine loses its power at once, with all that it hasn't written to its disk; in the end it boots."""

    name = "power_cut"
    power = "off"


class Reboot(PowerKind):
    """The machine is told to shut down in order, so that its services say goodbye; in the end it boots.

    One that isn't down by then loses its power first.
    """

    name = "reboot"
    power = "stopping"


class Pause(PowerKind):
    """The machine stands still, as when its hypervisor hangs; in the end it goes on as if no time had passed."""

    name = "pause"
    power = "paused"
