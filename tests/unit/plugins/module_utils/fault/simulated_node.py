# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulation of a node's own resources: its units, file systems, device-mapper devices and clock.

It answers systemctl, dmsetup, stat and the others as those of Debian 13 do.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.fault import clock, mapper
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed

if TYPE_CHECKING:
    from collections.abc import Sequence

_RELATIONS = ("TriggeredBy", "RequiredBy", "BoundBy", "ConsistsOf")
LINEAR = ["0 1000 linear 8:16 2048", "1000 1000 linear 8:32 2048"]


class SimulatedNode:
    """Answers what it knows. `units` has the active and the inactive ones, `loads` the transient ones by name."""

    def __init__(self) -> None:
        self.able = {"service", "freezer", "clock", "dm", "dm_delay", "dm_flakey"}
        self.units: dict[str, dict[str, Any]] = {
            name: {"active": name != "cron.service", "frozen": False}
            for name in ("web.service", "web.socket", "shop.service", "cron.service", "chrony.service")
        }
        self.units["web.service"].update(TriggeredBy="web.socket", RequiredBy="shop.service")
        self.units["chrony.service"]["active"] = False
        self.loads: dict[str, str] = {}
        self.available_mib = 1000
        # By path: the number of the file system's device, and the blocks of 4 KiB that are free there.
        self.folders = {
            "/": (2049, 500_000),
            "/var/lib": (2049, 500_000),
            "/srv": (64768, 100_000),
            "/run": (26, 20_000),
        }
        self.devices: dict[tuple[int, int], tuple[str, list[str]]] = {(253, 0): ("vg-srv", LINEAR)}
        self.inactive: dict[str, list[str]] = {}
        self.mounts = {(253, 0): ["/srv"], (8, 1): ["/"]}
        self.booted_at = 1_700_000_000.25

    def state(self) -> Any:
        """Give all that a test compares."""
        devices = sorted((*place, *device) for place, device in self.devices.items())
        return copy.deepcopy((self.units, self.loads, devices, round(self.booted_at, 3)))

    def run(self, argv: tuple[str, ...]) -> Completed | None:
        """Give the answer of a command that is of a node; None for any other."""
        try:
            said = self._run(argv)
        except (KeyError, ValueError) as error:
            return Completed(1, "", str(error))
        return None if said is None else Completed(0, said, "")

    def _run(self, argv: tuple[str, ...]) -> str | None:  # noqa: C901 -- one case a command
        match argv:
            case ["systemctl", "show", properties, *units]:
                names = properties.removeprefix("--property=").split(",")
                return "\n\n".join(self._show(names, unit) for unit in units if unit != "--")
            case ["systemctl", "list-units", "--type=service", *_]:
                return "".join(f"{name} loaded\n" for name in self.units if name.endswith(".service"))
            case ["systemctl", "list-units", *_]:
                return "".join(f"{name}.service loaded active running {said}\n" for name, said in self.loads.items())
            case ["systemctl", "is-active", *names]:
                active = [self.units.get(f"{name}.service", {}).get("active", False) for name in names]
                return "".join("active\n" if each else "inactive\n" for each in active)
            case ["systemctl", ("stop" | "start") as verb, *units]:
                return self._control(verb, units)
            case ["cat", path] if path.endswith("/cgroup.freeze"):
                return f"{int(self.units[path.split('/')[-2]]['frozen'])}\n"
            case ["sh", "-c", ("echo 0 >$0" | "echo 1 >$0") as line, path]:
                self.units[path.split("/")[-2]]["frozen"] = "1" in line
                return ""
            case ["systemd-run", *words]:
                return self._start(words)
            case ["nproc"]:
                return "4\n"
            case ["cat", "/proc/meminfo"]:
                return f"MemTotal:  4000000 kB\nMemAvailable:   {1024 * self.available_mib} kB\n"
            case ["stat", "-L", "-c", _form, "--", path] if path not in self.folders:
                raise ValueError(f"stat: cannot statx '{path}': No such file or directory")
            case ["stat", "-L", "-c", form, "--", *paths]:
                return "".join(f"{self._stat(form, path)}\n" for path in paths if path in self.folders)
            case ["stat", "-f", "-c", "%S %f", "--", path]:
                return f"4096 {self.folders[path][1]}\n"
            case ["lsblk", *_options, path]:
                major, minor = map(int, path.rpartition("/")[2].split(":"))
                return "\\x0a".join(self.mounts.get((major, minor), ())) + "\n"
            case ["dmsetup", "info", *_]:
                return "".join(f"{major}/{minor}/{name}\n" for (major, minor), (name, _table) in self.devices.items())
            case ["dmsetup", "table", name]:
                return "\n".join(self._named()[name])
            case ["dmsetup", verb, *options]:
                return self._mapper(verb, options[-1])
            case ["sh", "-c", mapper._CREATE, "sh", name, helper]:
                self.devices[253, len(self.devices)] = (helper, self._named()[name])
                return ""
            case ["sh", "-c", mapper._UNCOVER, "sh", name, helper]:
                self.inactive[name] = self._named()[helper]
                return self._mapper("resume", name) + self._mapper("remove", helper)
            case ["sh", "-c", mapper._COVER, "sh", name, helper, line]:
                [(major, minor)] = [place for place, (each, _table) in self.devices.items() if each == helper]
                self.inactive[name] = [line.replace("BELOW", f"{major}:{minor}")]
                return ""
            case ["sh", "-c", script] if "CapEff" in script:
                return "\n".join(self.able)
        if argv == clock._READ:
            return f"{self.booted_at}\n"
        if argv[:-1] == clock._STEP:
            self.booted_at += float(argv[-1])
            return ""
        return None

    def _show(self, names: Sequence[str], unit: str) -> str:
        name = unit.removesuffix(".service")
        if name.startswith("okiagari-load-"):
            running = name in self.loads
            said = {"ActiveState": "active" if running else "inactive", "Description": self.loads.get(name, unit)}
            said.update({"StatusText": '{"held_mib": 7}', "CPUUsageNSec": "1500000000"} if running else {})
        else:
            known = self.units.get(unit)
            state = known or {"active": False, "frozen": False}
            said = {
                "Id": unit,
                "LoadState": "loaded" if known else "not-found",
                "ActiveState": "active" if state["active"] else "inactive",
                "ControlGroup": f"/system.slice/{unit}" if state["active"] else "",
                **{relation: state.get(relation, "") for relation in _RELATIONS},
            }
        return "\n".join(f"{key}={said[key]}" for key in names if key in said)

    def _control(self, verb: str, units: Sequence[str]) -> str:
        for unit in units:
            if unit.removesuffix(".service") in self.loads:
                del self.loads[unit.removesuffix(".service")]
            else:
                self.units[unit]["active"] = verb == "start"
        return ""

    def _start(self, words: Sequence[str]) -> str:
        options = dict(word.removeprefix("--").split("=", 1) for word in words[: words.index("--")] if "=" in word)
        if options["unit"] in self.loads:
            raise ValueError(f"Unit {options['unit']}.service was already loaded or has a fragment file.")
        self.loads[options["unit"]] = options["description"]
        return ""

    def _stat(self, form: str, path: str) -> str:
        number = self.folders[path][0]
        return form.replace("%d", str(number)).replace("%t|%T", "0|0").replace("%F", "directory").replace("%n", path)

    def _named(self) -> dict[str, list[str]]:
        return dict(self.devices.values())

    def _mapper(self, verb: str, name: str) -> str:
        [place] = [place for place, (each, _table) in self.devices.items() if each == name]
        if verb == "remove":
            if any(f"{place[0]}:{place[1]}" in line for _name, table in self.devices.values() for line in table):
                raise ValueError("device-mapper: remove ioctl failed: Device or resource busy")
            del self.devices[place]
        elif name in self.inactive:
            self.devices[place] = (name, self.inactive.pop(name))
        return ""
