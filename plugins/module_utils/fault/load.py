# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads on a Linux target: each is one process in a transient systemd unit, and what it holds goes when it ends.

A load has no file that outlives it: what it writes or fills has no name, so the kernel frees it with the process, also
after a crash or a power cut. The process is `target.load`, started by the program that injects.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ..runner import CommandFailed, Runner, fitting, output, parsed_json
from ..units import DAY_S
from .backend import Leftover, Op
from .owned import LOAD_PREFIX
from .resource import Entry, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MIB = 2**20
_RUN = "/run"
# No lease is longer. A load that nobody ends, for whatever reason, ends by itself.
_LONGEST_S = DAY_S
_PROCESSORS = re.compile(r"^(\d{1,6})$", re.MULTILINE)
_AVAILABLE = re.compile(r"^MemAvailable: +(\d{1,15}) kB$", re.MULTILINE)
_ROOM = re.compile(r"^(\d{1,9}) (\d{1,15})$", re.MULTILINE)


class Load(Resource):
    """`load:cpu`, `load:memory`, `load:disk@PATH` and `load:full@PATH`: what runs, and what there is to be used up.

    `program` is how the program that has `target.load` is called, and `journal` where the journal of faults is.
    """

    def __init__(self, runner: Runner, program: Sequence[str], journal: str) -> None:
        super().__init__(runner)
        self._program = tuple(program)
        self._journal = journal

    def gather(self, name: str) -> Entry:
        what, _at, path = name.partition("@")
        if what == "cpu":
            return {"load": self._running(name), "cpus": self._numbers(("nproc",), _PROCESSORS)[0]}
        if what == "memory":
            [available] = self._numbers(("cat", "/proc/meminfo"), _AVAILABLE)
            return {"load": self._running(name), "available_mib": available // 1024}
        return {"load": self._running(name), **self._file_system(path)}

    def ops(self, name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
        stands, wanted = have["load"], want["load"]
        if stands == wanted:
            return []
        stop = [_stop(unit_of(name))] if stands else []
        return [*stop, start_argv(unit_of(name), self._program, wanted)] if wanted else stop

    def leftovers(self) -> list[Leftover]:
        done = self._runner.run((
            "systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", f"{LOAD_PREFIX}*.service",
        ))  # fmt: skip
        lines = [line.split(maxsplit=4) for line in done.out.splitlines() if line.startswith(LOAD_PREFIX)]
        return [
            Leftover("load", words[0].removesuffix(".service"), " ".join(words[4:]), (("systemctl", "stop", words[0]),))
            for words in lines
        ]

    def measure(self, name: str) -> dict[str, Any]:
        """Give what the load itself says that it has done; a load that was killed meanwhile isn't running any more."""
        argv, shown = self._show(name)
        if not shown:
            return {"running": False}
        used, said = shown.get("CPUUsageNSec", ""), shown.get("StatusText", "")
        cpu = {"cpu_s": round(int(used) / 1e9, 3)} if used.isdecimal() else {}
        return {"running": True, **cpu, **(parsed_json(argv, said, {}) if said else {})}

    def _running(self, name: str) -> Entry | None:
        argv, shown = self._show(name)
        return parsed_json(argv, shown.get("Description", ""), {"kind": str}) if shown else None

    def _show(self, name: str) -> tuple[Op, dict[str, str]]:
        properties = "--property=ActiveState,Description,StatusText,CPUUsageNSec"
        argv = ("systemctl", "show", properties, f"{unit_of(name)}.service")
        shown = dict(line.split("=", 1) for line in output(self._runner, argv).splitlines() if "=" in line)
        fitting(argv, shown, {"ActiveState": str})
        return argv, {} if shown["ActiveState"] in ("inactive", "failed") else shown

    def _file_system(self, path: str) -> Entry:
        """What is free where `path` is, and whether the program keeps something there: its journal, or what is in /run.

        Of the journal's folder there may only be one above it yet.
        """
        folders = [self._journal, *map(str, PurePosixPath(self._journal).parents), _RUN]
        stat = ("stat", "-L", "-c", "%d|%F|%n", "--", path, *folders)
        found = [line.split("|", 2) for line in self._runner.run(stat).out.splitlines()]
        if not found or found[0][1:] != ["directory", path]:
            return {"free_mib": None, "needed": False}
        size, free = self._numbers(("stat", "-f", "-c", "%S %f", "--", path), _ROOM)
        needed = [*found[1:2], *(each for each in found[1:] if each[2] == _RUN)]
        return {"free_mib": size * free // _MIB, "needed": found[0][0] in [each[0] for each in needed]}

    def _numbers(self, argv: Op, pattern: re.Pattern[str]) -> list[int]:
        found = pattern.search(output(self._runner, argv))
        if found is None:
            raise CommandFailed(f"{' '.join(argv)}: its output can't be understood")
        return [int(each) for each in found.groups()]


def unit_of(name: str) -> str:
    """Give the unit of a load, without suffix. A path may have letters that a unit's name can't have."""
    what, _at, path = name.partition("@")
    return f"{LOAD_PREFIX}{what}" + (f"-{zlib.crc32(path.encode()):08x}" if path else "")


def start_argv(unit: str, program: Sequence[str], load: Mapping[str, Any]) -> Op:
    """Render the service of a load, which has begun when the command is done.

    It is the first that the kernel kills when memory is short, and it is never moved to the swap space instead.
    """
    document = json.dumps(load, sort_keys=True)
    return (
        "systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--description={document}",
        "--property=Type=notify", "--property=TimeoutStartSec=8s", "--property=TimeoutStopSec=2s",
        "--property=OOMScoreAdjust=1000", "--property=MemorySwapMax=0", f"--property=RuntimeMaxSec={_LONGEST_S:.0f}s",
        "--", *program, "load", document.replace("$", "$$"),
    )  # fmt: skip


def _stop(unit: str) -> Op:
    return ("systemctl", "stop", f"{unit}.service")
