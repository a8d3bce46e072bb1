# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks on a Linux target, through the device mapper: a fault is loaded over a device, whose own table waits below it.

The helper below carries the mark, and has the table that the device had: so the way back needs no memory.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..runner import CommandFailed, Runner, output, reason
from .backend import Leftover, Op
from .owned import DEVICE_PREFIX
from .resource import Entry, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# An empty table is never copied: the device would have no disk at all.
_CREATE = (
    'table=$(dmsetup table "$1") && test -n "$table" && '
    'printf "%s\\n" "$table" | dmsetup create --noudevrules --noudevsync "$2"'
)
# The helper is the only one that knows the table, so it goes when the device has that again, and not before.
_UNCOVER = (
    'table=$(dmsetup table "$2") && test -n "$table" && printf "%s\\n" "$table" | dmsetup load "$1" && '
    'dmsetup resume --nolockfs --noudevsync "$1" && test "$(dmsetup table "$1")" = "$table" && '
    'dmsetup remove --retry --noudevsync "$2"'
)
_COVER = (
    'below=$(dmsetup info -c --noheadings --separator : -o major,minor "$2") && '
    'dmsetup load "$1" --table "$(printf "%s" "$3" | sed "s/BELOW/$below/")"'
)
_DEVICES = ("dmsetup", "info", "-c", "--noheadings", "--separator", "/", "-o", "major,minor,name")
_DEVICE = re.compile(r"(\d{1,9})/(\d{1,9})/(.+)")
_STAT = re.compile(r"(\d{1,20})\|([0-9a-f]{1,8})\|([0-9a-f]{1,8})\|(.+)")
_LINE = re.compile(r"(\d{1,15}) (\d{1,15}) ([a-z0-9_-]+)\b *(.*)")
_GARBLED = "its output can't be understood"
# Without these nobody could end the fault any more.
_NEEDED = ("/usr/bin", "/etc", "/run")


class Device(Resource):
    """`device:PATH`: the device that a directory is on, or that `path` itself is. `journal` is that of the faults."""

    def __init__(self, runner: Runner, journal: str) -> None:
        super().__init__(runner)
        self._needed = (*_NEEDED, journal)

    def gather(self, name: str) -> Entry:
        stat = ("stat", "-L", "-c", "%d|%t|%T|%F", "--", name)
        done = self._runner.run(stat)
        if done.rc == 1 and done.err.strip().endswith(("No such file or directory", "Not a directory")):
            return {"missing": True}
        found = _STAT.fullmatch(done.out.strip())
        if done.rc or not found:
            raise CommandFailed(f"{' '.join(stat)}: {reason(done) if done.rc else _GARBLED}")
        number = int(found[1])
        block = found[4] == "block special file"
        place = (int(found[2], 16), int(found[3], 16)) if block else (os.major(number), os.minor(number))
        devices = self._devices()
        device = devices.get(place)
        if device is None:
            return {"device": None}
        helper = helper_of(device)
        below = next((f"{major}:{minor}" for (major, minor), each in devices.items() if each == helper), None)
        table = self._table(device)
        return {
            "device": device,
            "table": table,
            "helper": below,
            "fault": fault_in(table, below) if below else None,
            "needed_for": self._needed_for(place),
        }

    def ops(self, name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
        device, wanted = have.get("device"), want.get("fault")
        if device is None:
            if wanted is None:
                return []
            raise OkiagariError(f"{name} is no longer on a device of the device mapper")
        if have["fault"] == wanted and (wanted or not have["helper"]):
            return []
        helper = helper_of(device)
        if wanted is None:
            return [_uncover(device) if have["fault"] else _remove(helper)]
        begin = [] if have["helper"] else [("sh", "-c", _CREATE, "sh", device, helper)]
        return [*begin, ("sh", "-c", _COVER, "sh", device, helper, cover(have["table"], wanted)), _resume(device)]

    def leftovers(self) -> list[Leftover]:
        if self._runner.run(_DEVICES).rc:
            return []
        devices = self._devices().values()
        return [
            Leftover("device", helper, f"over {device}", (_uncover(device),))
            for device in devices
            if (helper := helper_of(device)) in devices
        ]

    def _devices(self) -> dict[tuple[int, int], str]:
        said = output(self._runner, _DEVICES).strip()
        if said == "No devices found":
            return {}
        found = [_DEVICE.fullmatch(line) for line in said.splitlines()]
        if not found or not all(found):
            raise CommandFailed(f"{' '.join(_DEVICES)}: {_GARBLED}")
        return {(int(each[1]), int(each[2])): each[3] for each in found if each}

    def _table(self, device: str) -> list[str]:
        argv = ("dmsetup", "table", device)
        lines = output(self._runner, argv).splitlines()
        if not lines or not all(map(_LINE.fullmatch, lines)):
            raise CommandFailed(f"{' '.join(argv)}: {_GARBLED}")
        return lines

    def _needed_for(self, place: tuple[int, int]) -> list[str]:
        """Give the mount points on the device, and on those above it, that this very program can't do without."""
        argv = ("lsblk", "--noheadings", "--raw", "--output", "MOUNTPOINTS", f"/dev/block/{place[0]}:{place[1]}")
        mounted = {point for line in output(self._runner, argv).split() for point in line.split("\\x0a")}
        if not all(point.startswith(("/", "[SWAP]")) for point in mounted):
            raise CommandFailed(f"{' '.join(argv)}: {_GARBLED}")
        needed = {str(each) for path in self._needed for each in (path, *PurePosixPath(path).parents)}
        return sorted(mounted & {*needed, "[SWAP]"})


def helper_of(device: str) -> str:
    """Give the name of the helper below a device that has a fault."""
    return f"{DEVICE_PREFIX}{device}"


def types_of(table: Sequence[str]) -> list[str]:
    """Give the types of a table's targets: `linear`, `crypt` ..."""
    return sorted({line.split()[2] for line in table})


def cover(table: Sequence[str], fault: Mapping[str, Any]) -> str:
    """Give the line that covers a device with this table; BELOW stands for the number of the helper."""
    start, length = table[-1].split()[:2]
    words = {
        "error": "error",
        "delay": f"delay BELOW 0 {fault.get('delay_ms')}",
        "flakey": f"flakey BELOW 0 {fault.get('up_s')} {fault.get('down_s')}",
    }
    return f"0 {int(start) + int(length)} {words[fault['type']]}"


def fault_in(table: Sequence[str], below: str) -> Entry | None:
    """Give the fault that a table over the helper `below` is, or None."""
    for known in ({"type": "error"}, _numbers(table, "delay", "delay_ms"), _numbers(table, "flakey", "up_s", "down_s")):
        if known and table[0].startswith(cover(table, known).replace("BELOW", below)):
            return known
    return None


def _numbers(table: Sequence[str], kind: str, *names: str) -> Entry | None:
    words = table[0].split()
    numbers = words[5 : 5 + len(names)]
    if words[2] != kind or len(numbers) < len(names) or not all(map(str.isdecimal, numbers)):
        return None
    return {"type": kind, **dict(zip(names, map(int, numbers), strict=True))}


def _uncover(device: str) -> Op:
    return ("sh", "-c", _UNCOVER, "sh", device, helper_of(device))


def _resume(device: str) -> Op:
    # Neither its file system, which may fail, nor udev, which reads from what is slow now, are waited for.
    return ("dmsetup", "resume", "--nolockfs", "--noudevsync", device)


def _remove(helper: str) -> Op:
    return ("dmsetup", "remove", "--retry", "--noudevsync", helper)
