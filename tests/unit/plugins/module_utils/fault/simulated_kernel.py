# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulation of the part of Linux that faults touch: it answers `ip` and `tc` as the real ones do."""

from __future__ import annotations

import copy
import ipaddress
import json
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.linux import LinuxBackend
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target.keeper import Keeper
from ansible_collections.okiagari.testbed.plugins.module_utils.target.store import Store
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Clock, Places
from ansible_collections.okiagari.testbed.plugins.module_utils.target.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_NUMBERS = {"static": "4", "boot": "3", "bgp": "186", "kernel": "2"}
_TYPES = {"blackhole": "6"}


class SimulatedKernel:
    """A `Runner` whose commands act on dictionaries. `ran` is every command, `broken` makes commands fail."""

    def __init__(self) -> None:
        self.links: dict[str, dict[str, Any]] = {}
        self.qdiscs: dict[str, list[dict[str, Any]]] = {}
        self.routes: list[dict[str, Any]] = []
        self.netem = True
        self.ran: list[tuple[str, ...]] = []
        self.broken: Callable[[tuple[str, ...]], bool] = lambda _argv: False

    def state(self) -> Any:
        """Give all that a test compares."""
        routes = sorted(self.routes, key=lambda route: json.dumps(route, sort_keys=True))
        return copy.deepcopy((self.links, self.qdiscs, routes))

    def add_link(self, name: str, *addresses: str) -> None:
        self.links[name] = {"up": True, "mtu": 1500, "addresses": list(addresses)}
        self.qdiscs[name] = [{"kind": "fq_codel", "handle": "0:", "dev": name, "root": True, "options": {}}]

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        words = tuple(argv)
        self.ran.append(words)
        if self.broken(words):
            return Completed(2, "", "Error: simulated failure.")
        try:
            result = self._run([word for word in words if word not in ("-j", "-N", "-d", "-s", "-6")])
        except ValueError as error:
            return Completed(1, "", str(error))
        except KeyError as error:
            return Completed(1, "", f"Cannot find device {error}")
        return Completed(0, "" if result is None else json.dumps(result), "")

    def _run(self, words: list[str]) -> Any:  # noqa: C901 -- one case a command
        match words:
            case ["ip", "-V"]:
                return None
            case ["unshare", *_rest]:
                self._check(self.netem, "Error: Specified qdisc kind is unknown.")
                return None
            case ["ip", "addr", "show", "dev", name]:
                return [self._show_link(name)]
            case ["ip", "link", "show"]:
                return [self._show_link(name) for name in self.links]
            case ["ip", "link", "set", "dev", name, ("up" | "down") as admin]:
                self._set(name, admin == "up")
            case ["ip", "link", "set", "dev", name, "mtu", mtu]:
                self.links[name]["mtu"] = int(mtu)
            case ["ip", "addr", "add", address, *_rest, "dev", name]:
                self._check(address not in self.links[name]["addresses"], "RTNETLINK answers: File exists")
                self.links[name]["addresses"].append(address)
            case ["ip", "route", "get", address]:
                return self._route_get(address)
            case ["ip", "route", "show", *selector]:
                return [route for route in self.routes if self._selected(route, selector)]
            case ["ip", "route", ("add" | "del") as action, *rest]:
                self._route(action, rest)
            case ["tc", "qdisc", "show", *rest]:
                names = rest[1:] or list(self.qdiscs)
                self._check(set(names) <= set(self.qdiscs), f'Cannot find device "{names[-1]}"')
                return [qdisc for name in names for qdisc in self.qdiscs[name]]
            case ["tc", "class", "show", "dev", _name]:
                return []
            case ["tc", "qdisc", ("add" | "del") as action, "dev", name, *rest]:
                self._qdisc(action, name, rest)
            case _:
                raise ValueError(f"not simulated: {' '.join(words)}")
        return None

    @staticmethod
    def _check(fine: bool, message: str) -> None:
        if not fine:
            raise ValueError(message)

    def _show_link(self, name: str) -> dict[str, Any]:
        self._check(name in self.links, f'Device "{name}" does not exist.')
        link = self.links[name]
        found = []
        for text in link["addresses"]:
            address = ipaddress.ip_interface(text)
            family = "inet" if address.version == 4 else "inet6"
            found.append(
                {"family": family, "local": str(address.ip), "prefixlen": address.network.prefixlen, "scope": "global"}
            )
        return {"ifname": name, "flags": ["UP"] if link["up"] else [], "mtu": link["mtu"], "addr_info": found}

    def _set(self, name: str, up: bool) -> None:
        self.links[name]["up"] = up
        if not up:
            self.links[name]["addresses"] = [text for text in self.links[name]["addresses"] if ":" not in text]
            self.routes = [route for route in self.routes if route.get("dev") != name]

    def _route_get(self, address: str) -> Any:
        for name, link in self.links.items():
            for text in link["addresses"]:
                if link["up"] and ipaddress.ip_address(address) in ipaddress.ip_interface(text).network:
                    return [{"dst": address, "dev": name}]
        raise ValueError("RTNETLINK answers: Network is unreachable")

    def _selected(self, route: dict[str, Any], selector: list[str]) -> bool:
        match selector:
            case ["table", "all"]:
                return True
            case ["table", "all", "proto", number]:
                return bool(route["protocol"] == number)
            case ["exact", prefix]:
                return bool(route["dst"] == prefix)
        raise ValueError(f"not simulated: route show {' '.join(selector)}")

    def _route(self, action: str, words: list[str]) -> None:
        kind = _TYPES.get(words[0], "1")
        prefix, *rest = words if kind == "1" else words[1:]
        pairs = dict(zip(rest[::2], rest[1::2], strict=True))
        route: dict[str, Any] = {"type": kind, "dst": prefix, "protocol": _NUMBERS.get(pairs["proto"], pairs["proto"])}
        if "via" in pairs:
            route["gateway"] = pairs["via"]
        if "dev" in pairs:
            self._check(self.links[pairs["dev"]]["up"], "RTNETLINK answers: Network is down")
            route["dev"] = pairs["dev"]
        if "metric" in pairs:
            route["metric"] = int(pairs["metric"])
        if action == "del":
            self._check(route in self.routes, "RTNETLINK answers: No such process")
            self.routes.remove(route)
            return
        same = [each for each in self.routes if (each["dst"], each.get("metric")) == (prefix, route.get("metric"))]
        self._check(not same, "RTNETLINK answers: File exists")
        self.routes.append(route)

    def _qdisc(self, action: str, name: str, words: list[str]) -> None:
        place = {"root": True} if words[0] == "root" else {"parent": words[1]}
        rest = words[words.index("handle") + 1 :]
        default = {"kind": "fq_codel", "handle": "0:", "dev": name, "root": True, "options": {}}
        there = next((qdisc for qdisc in self.qdiscs[name] if place.items() <= qdisc.items()), None)
        if action == "del":
            self._check(there is not None and there["handle"] == rest[0], "Error: Specified handle mismatch.")
            self.qdiscs[name] = [qdisc for qdisc in self.qdiscs[name] if qdisc is not there] or [default]
            return
        self._check(self.netem, "Error: Specified qdisc kind is unknown.")
        self._check(there is None or there["handle"] == "0:", "Error: Exclusivity flag on, cannot modify.")
        loss = float(rest[rest.index("loss") + 1].removesuffix("%")) / 100
        limit = int(rest[rest.index("limit") + 1])
        options = {"limit": limit, "loss-random": {"loss": loss, "correlation": 0}}
        netem = {"kind": "netem", "handle": rest[0], "dev": name, **place, "options": options, "packets": 7, "drops": 3}
        self.qdiscs[name] = [qdisc for qdisc in self.qdiscs[name] if qdisc is not there] + [netem]


class HandClock(Clock):
    """A clock that tests move by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return 1_700_000_000.0 + self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class HandTimers(Timers):
    """Timers that only remember; `refuse` makes arming fail."""

    def __init__(self) -> None:
        self.armed: dict[str, tuple[float, tuple[str, ...]]] = {}
        self.services: dict[str, tuple[str, ...]] = {}
        self.refuse: Callable[[str], bool] = lambda _unit: False

    def available(self) -> bool:
        return True

    def arm(self, unit: str, delay: float, command: Sequence[str]) -> None:
        if self.refuse(unit):
            raise OkiagariError("simulated: no timer")
        self.armed[unit] = (delay, tuple(command))

    def disarm(self, unit: str) -> None:
        self.armed.pop(unit, None)

    def start(self, unit: str, command: Sequence[str]) -> None:
        self.services[unit] = tuple(command)

    def stop(self, unit: str) -> None:
        self.armed.pop(unit, None)
        self.services.pop(unit, None)

    def units(self) -> list[str]:
        return sorted([*self.armed, *self.services])


class SimulatedTarget:
    """A router with two circuits, one of them with the lab's circuit emulation, and the keeper of its faults."""

    def __init__(self, folder: Path) -> None:
        kernel = self.kernel = SimulatedKernel()
        kernel.add_link("w-a", "10.254.0.1/31", "2001:db8:a::1/64")
        kernel.add_link("w-b", "10.254.1.1/24")
        kernel.qdiscs["w-b"] = [
            {"kind": "netem", "handle": "c1c:", "dev": "w-b", "root": True, "options": {"delay": {"delay": 0.004}}}
        ]
        for words in (
            "10.9.0.0/16 via 10.254.0.0 dev w-a proto static metric 5",
            "10.8.0.0/16 dev w-b proto boot",
            "10.2.0.0/16 via 10.254.1.2 dev w-b proto bgp metric 20",
            "blackhole 10.66.0.0/16 proto static",
        ):
            kernel.run(("ip", "route", "add", *words.split()))
        self.places = Places(str(folder / "state"), str(folder / "run"))
        self.clock, self.timers = HandClock(), HandTimers()
        self.store = Store(self.places)
        self.boot("boot-1")

    def boot(self, boot_id: str) -> None:
        self.keeper = Keeper(
            LinuxBackend(self.kernel), self.store, self.timers, self.clock, boot_id, ("python3", "okiagari.pyz")
        )
