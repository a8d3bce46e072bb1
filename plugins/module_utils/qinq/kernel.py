# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of tagged networks as a node's kernel has them, brought to the plan by networkd."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, OkiagariError, Problem
from ..runner import json_output, output, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..runner import Runner

_OUTER = re.compile(r"s([0-9]+)")
_BRIDGE_MAC = "02:05:"
_TRUNK = "trunk0"
# What can't be changed while a device is there.
_NATURE = ("kind", "parent", "protocol", "tag", "table")
_NUMBERS = ("mtu", "cost", "priority", "stp")
_TREE = {"priority": "priority", "stp": "stp_state"}
_STEP_S = 0.1
_PATIENCE_S = 3.0
_HEADERS = 28


class Devices:
    """The devices that `wanted` names (as `qinq.linux.devices` gives them), and those of ours that it doesn't."""

    def __init__(
        self,
        runner: Runner,
        wanted: Mapping[str, Mapping[str, Any]],
        timeout: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner, self._wanted, self._timeout = runner, wanted, timeout
        self._sleep, self._clock = sleep, clock

    def read(self) -> dict[str, Any]:
        """Give the devices that are there, wanted or stale; of a wanted one the same keys as wanted."""
        links = self._links()
        found = {name: _as_wanted(links[name], wanted) for name, wanted in self._wanted.items() if name in links}
        return {**found, **{name: {"kind": links[name]["kind"]} for name in self._stale(links)}}

    def want(self) -> dict[str, Any]:
        """Give the devices as `read` gives them once all is done; raise `BadInput` for what stands in the way."""
        links = self._links()
        problems = [
            Problem("", None, name, "is there already, and it isn't a device of a tagged network")
            for name, wanted in self._wanted.items()
            if name in links and wanted["kind"] not in ("own", "vrf") and not _ours(name, links)
        ]
        problems += [
            Problem("", None, name, f"is there already, with the table {links[name]['table']}")
            for name, wanted in self._wanted.items()
            if wanted["kind"] == "vrf" and links.get(name, wanted)["table"] != wanted["table"]
        ]
        problems += [
            Problem("", None, name, f"{', '.join(guests)} still hangs on it, so that it can't be removed")
            for name in self._stale(links)
            if (guests := _guests(name, links))
        ]
        if problems:
            raise BadInput(problems)
        return {name: {**wanted, "up": True} for name, wanted in self._wanted.items()}

    def apply(self) -> None:
        """Have networkd read its files anew, remove what is stale, and wait until the kernel has what is wanted."""
        links = self._links()
        wrong = [name for name in self._wanted if name in links and self._of_another_nature(name, links)]
        output(self._runner, ["networkctl", "reload"])
        # After the reload, lest networkd makes them again.
        for name in [*self._stale(links), *wrong]:
            self._runner.run(["ip", "link", "delete", name])
        if not self._settled(_PATIENCE_S):
            for command in self._repairs():
                self._runner.run(command)
            if not self._settled(self._timeout):
                raise OkiagariError("\n".join(self._differences()))

    def reached(self, places: Sequence[Mapping[str, Any]]) -> None:
        """Send a full packet that nobody may cut over each circuit; raise `BadInput` with those that don't pass it."""
        deadline = self._clock() + self._timeout
        left = list(places)
        while True:
            left = [place for place in left if not self._passes(place)]
            if not left:
                return
            if self._clock() > deadline:
                raise BadInput(
                    Problem(
                        "", None, place["circuit"], f"a packet of {place['mtu']} octets doesn't reach {place['to']}"
                    )
                    for place in left
                )
            self._sleep(_STEP_S)

    def _passes(self, place: Mapping[str, Any]) -> bool:
        size = str(place["mtu"] - _HEADERS)
        ping = ["ping", "-q", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", size, "-I", place["device"], place["to"]]
        done = self._runner.run(ping)
        if done.rc == 127:
            raise OkiagariError(reason(done))
        return done.rc == 0

    def _settled(self, patience: float) -> bool:
        deadline = self._clock() + patience
        while self.read() != self.want():
            if self._clock() > deadline:
                return False
            self._sleep(_STEP_S)
        return True

    def _repairs(self) -> list[list[str]]:
        """Give what a reload doesn't do: it looks at files that have changed, not at devices that have."""
        present, wanted = self.read(), self.want()
        differing = [name for name in wanted if name in present and present[name] != wanted[name]]
        missing = [name for name in wanted if name not in present]
        touched = dict.fromkeys([*(wanted[name].get("parent", name) for name in missing), *differing])
        repairs = [["networkctl", "reconfigure", name] for name in touched]
        for name in differing:
            device = ["ip", "link", "set", "dev", name]
            values = {
                key: str(int(wanted[name][key])) for key in _NUMBERS if present[name].get(key) != wanted[name].get(key)
            }
            if wanted[name]["kind"] != "own" and "mtu" in values:
                repairs.append([*device, "mtu", values["mtu"]])
            if "cost" in values:
                repairs.append([*device, "type", "bridge_slave", "cost", values["cost"]])
            tree = [word for key, option in _TREE.items() if key in values for word in (option, values[key])]
            if tree:
                repairs.append([*device, "type", "bridge", *tree])
        return repairs

    def _differences(self) -> list[str]:
        present = self.read()
        lines = []
        for name, wanted in self.want().items():
            if name not in present:
                lines.append(f"{name} is missing")
                continue
            lines += [
                f"{name}: {key} is {present[name].get(key)}, not {value}"
                for key, value in wanted.items()
                if present[name].get(key) != value
            ]
        return lines + [f"{name} is still there" for name in present if name not in self._wanted]

    def _of_another_nature(self, name: str, links: Mapping[str, dict[str, Any]]) -> bool:
        wanted = self._wanted[name]
        return wanted["kind"] != "own" and any(links[name].get(key) != wanted.get(key) for key in _NATURE)

    def _stale(self, links: Mapping[str, dict[str, Any]]) -> list[str]:
        """Bridges last: their ports go first."""
        stale = [name for name in links if name not in self._wanted and _ours(name, links)]
        return sorted(stale, key=lambda name: (links[name]["kind"] == "bridge", name.count(".") == 0, name))

    def _links(self) -> dict[str, dict[str, Any]]:
        shown = json_output(self._runner, ["ip", "-json", "-details", "address", "show"])
        return {link["ifname"]: _device(link) for link in shown if link}


def _device(link: Mapping[str, Any]) -> dict[str, Any]:
    info = link.get("linkinfo", {})
    data, port = info.get("info_data", {}), info.get("info_slave_data", {})
    return {
        "kind": info.get("info_kind", "own"),
        "parent": link.get("link"),
        "protocol": data.get("protocol"),
        "tag": data.get("id"),
        "table": data.get("table"),
        "mac": link.get("address"),
        "mtu": link["mtu"],
        "stp": bool(data.get("stp_state")),
        "priority": data.get("priority"),
        "cost": port.get("cost"),
        "master": link.get("master"),
        "addresses": [
            f"{each['local']}/{each['prefixlen']}" for each in link.get("addr_info", []) if each["family"] == "inet"
        ],
        "up": "UP" in link.get("flags", []),
    }


def _as_wanted(link: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: link[key] for key in (*wanted, "up")}
    if wanted["kind"] == "own":
        # More than is needed is as good.
        found = {**found, "kind": "own", "mtu": min(link["mtu"], wanted["mtu"])}
    return found


def _ours(name: str, links: Mapping[str, dict[str, Any]]) -> bool:
    """Tell a device of ours by all that its name says, so that another one of such a name is left alone."""
    link = links[name]
    if link["kind"] == "vlan" and link["protocol"] == "802.1ad":
        return name == f"s{link['tag']}"
    if link["kind"] == "vlan":
        parent = link["parent"] or ""
        outer = _OUTER.fullmatch(parent) and parent in links and links[parent]["protocol"] == "802.1ad"
        return name == f"{parent}.{link['tag']}" and bool(outer or parent == _TRUNK)
    if link["kind"] == "bridge":
        mac = link["mac"] or ""
        return bool(mac.startswith(_BRIDGE_MAC)) and name == f"br{int(mac[-5:].replace(':', ''), 16)}"
    return False


def _guests(name: str, links: Mapping[str, dict[str, Any]]) -> list[str]:
    """Give the ports of a bridge that aren't ours."""
    return sorted(port for port, link in links.items() if link["master"] == name and not _ours(port, links))
