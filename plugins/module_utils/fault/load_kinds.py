# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that overload a target: its processors, its memory, its disk, or the room on one."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..units import mebibytes, percent
from ..values import whole
from .kind import Kind
from .parameters import above_zero, directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .model import State

# What the toolkit needs so that it can end the fault, in MiB: memory for its process, room for the journal's records.
# Of what counts as free on an ext4, 16 MiB can't be had by anybody.
LEAST_MEMORY = 64
LEAST_ROOM = 64
WRITTEN_OVER = 64
"""How much room a load that writes to a disk takes, in MiB."""


_busy = above_zero(percent, "0 % is no load")
_amount = above_zero(mebibytes, "less than 1 MiB is no load")


class _Load(Kind):
    capability = "service"
    what: ClassVar[str]

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        return f"load:{cls.what}" + (f"@{params['path']}" if "path" in params else "")

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        entry = have[cls.claim(params)]
        if entry["load"]:
            return f"an Okiagari load without a record runs for {cls.claim(params)}: run the heal_all playbook first"
        return cls.obstacle(params, entry)

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        return {cls.claim(params): {"load": {"kind": cls.what, **cls.load(params, have[cls.claim(params)])}}}

    @classmethod
    def obstacle(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:  # noqa: ARG003
        """Do as `refuse`, where no load runs."""
        return None

    @classmethod
    @abstractmethod
    def load(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
        """Give what `target.load` is told."""


class CpuPressure(_Load):
    """Processes that only calculate: `workers` of them (one for each processor), each busy `percent` of the time."""

    name = "cpu_pressure"
    what = "cpu"
    parameters: ClassVar = {}
    optional: ClassVar = {"workers": whole(1, 4096), "percent": _busy}

    @classmethod
    def load(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
        return {"workers": params.get("workers", entry["cpus"]), "percent": params.get("percent", 100.0)}


class MemoryPressure(_Load):
    """A process that holds memory: so much (`take`), or all that is available but so much (`leave`)."""

    name = "memory_pressure"
    what = "memory"
    parameters: ClassVar = {}
    optional: ClassVar = {"take": _amount, "leave": _amount}

    @classmethod
    def contradictions(cls, params: Mapping[str, Any]) -> Iterable[str]:
        if ("take" in params) is ("leave" in params):
            yield "memory_pressure needs one of take and leave"
        if params.get("leave", LEAST_MEMORY) < LEAST_MEMORY:
            yield f"leave: the target needs {LEAST_MEMORY}mib to end the fault"

    @classmethod
    def obstacle(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        available = entry["available_mib"]
        if "take" in params and available - params["take"] < LEAST_MEMORY:
            return f"of {available} MiB that are available {LEAST_MEMORY} have to be left to end the fault: take less"
        if "leave" in params and available <= params["leave"]:
            return f"only {available} MiB of memory are available already: leave less"
        return None

    @classmethod
    def load(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
        return {"mib": params["take"] if "take" in params else entry["available_mib"] - params["leave"]}


class _OnDirectory(_Load):
    parameters: ClassVar = {"path": directory}

    @classmethod
    def obstacle(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        if entry["free_mib"] is None:
            return f"there is no directory {params['path']} on this target"
        return cls.shortage(params, entry)

    @classmethod
    @abstractmethod
    def shortage(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        """Do as `refuse`, for a directory that is there."""


class DiskPressure(_OnDirectory):
    """A process that writes, and forces each block to the disk, as fast as the disk takes it."""

    name = "disk_pressure"
    what = "disk"

    @classmethod
    def shortage(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        if entry["free_mib"] < WRITTEN_OVER + LEAST_ROOM:
            return f"only {entry['free_mib']} MiB are free in {params['path']}: {WRITTEN_OVER + LEAST_ROOM} are needed"
        return None

    @classmethod
    def load(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG003
        return {"path": params["path"], "mib": WRITTEN_OVER}


class DiskFull(_OnDirectory):
    """The file system of the directory has no room, or only `leave`, for anybody."""

    name = "disk_full"
    what = "full"
    optional: ClassVar = {"leave": mebibytes}

    @classmethod
    def shortage(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        leave, free = params.get("leave", 0), entry["free_mib"]
        if entry["needed"] and leave < LEAST_ROOM:
            return f"the leases or the journal need room on the file system of {params['path']}: leave {LEAST_ROOM}mib"
        if free <= leave:
            return f"only {free} MiB are free in {params['path']} already: leave less"
        return None

    @classmethod
    def load(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG003
        return {"path": params["path"], "leave_mib": params.get("leave", 0)}
