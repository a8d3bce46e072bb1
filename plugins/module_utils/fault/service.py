# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of a Linux target, as systemd knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..runner import fitting, output
from .resource import Entry, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..values import Shape
    from .backend import Op

# Stopping a service stops those that can't be without it. What would start it again at the first request has to go too.
_RELATED = ("TriggeredBy", "RequiredBy", "BoundBy", "ConsistsOf")
# A unit that systemd itself has frozen has no watchdog, and can neither be thawed nor stopped nor started if its
# processes die meanwhile. A service that hangs is one of which systemd doesn't know it.
_FREEZE = "/sys/fs/cgroup{group}/cgroup.freeze"
_UP = ("active", "reloading", "activating", "refreshing")


class Service(Resource):
    """`service:UNIT`: which of it and of the units that stop with it are active, and whether it is frozen."""

    def gather(self, name: str) -> Entry:
        properties = ("Id", "LoadState", "ActiveState", "ControlGroup", *_RELATED)
        [found] = self._show(properties, name)
        if found["LoadState"] != "loaded":
            return {"missing": self._services()}
        related = {unit for relation in _RELATED for unit in found.get(relation, "").split()} - {name, found["Id"]}
        others = self._show(("Id", "ActiveState"), *sorted(related)) if related else []
        group = found.get("ControlGroup", "")
        said = self._runner.run(("cat", _FREEZE.format(group=group))).out if group else ""
        return {
            "active": [each["Id"] for each in ({**found, "Id": name}, *others) if each["ActiveState"] in _UP],
            "frozen": said.strip() == "1",
            "group": group,
        }

    def ops(self, name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:  # noqa: ARG002
        ops: list[Op] = []
        if "missing" in have:
            return ops
        if want.get("frozen", have["frozen"]) is not have["frozen"]:
            word = "0" if have["frozen"] else "1"
            ops.append(("sh", "-c", f"echo {word} >$0", _FREEZE.format(group=have["group"])))
        wanted = want.get("active", have["active"])
        for verb, units in (
            ("stop", [unit for unit in have["active"] if unit not in wanted]),
            ("start", [unit for unit in wanted if unit not in have["active"]]),
        ):
            if units:
                ops.append(("systemctl", verb, *units))
        return ops

    def _show(self, properties: tuple[str, ...], *units: str) -> list[dict[str, str]]:
        argv = ("systemctl", "show", f"--property={','.join(properties)}", "--", *units)
        blocks = output(self._runner, argv).strip().split("\n\n")
        found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
        shape: dict[str, Shape] = dict.fromkeys({"Id", "ActiveState", "LoadState"} & set(properties), str)
        fitting(argv, found, [shape])
        return found

    def _services(self) -> list[str]:
        argv = ("systemctl", "list-units", "--type=service", "--all", "--plain", "--no-legend", "--full")
        return [line.split()[0] for line in output(self._runner, argv).splitlines() if line.split()]
