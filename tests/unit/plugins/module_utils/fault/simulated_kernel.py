# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulation of the part of Linux that faults touch: it answers `ip` and `tc` as the real ones do."""

from __future__ import annotations

import copy
import ipaddress
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault import frr
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.linux import LinuxBackend
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.node import resources
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target.keeper import Keeper
from ansible_collections.okiagari.testbed.plugins.module_utils.target.store import Store
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Clock, Places
from ansible_collections.okiagari.testbed.plugins.module_utils.target.timers import Timers
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_node import SimulatedNode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Runner

_NUMBERS = {"static": "4", "boot": "3", "bgp": "186", "kernel": "2"}
_TYPES = {"blackhole": "6", "unreachable": "7", "prohibit": "8"}
_UNITS = {"%": 0.01, "us": 1e-6, "bit": 0.125}
# The words of netem, how tc -j calls what follows them, and with which default for what isn't given.
_NETEM: dict[str, tuple[str, dict[str, float]]] = {
    "delay": ("delay", {"delay": 0, "jitter": 0, "correlation": 0}),
    "loss": ("loss-random", {"loss": 0, "correlation": 0}),
    "gemodel": ("loss-gemodel", {"p": 0, "r": 0.99, "1-h": 1, "1-k": 0}),
    "state": ("loss-state", {"p13": 0, "p31": 0.99, "p32": 0, "p23": 1, "p14": 0}),
    "corrupt": ("corrupt", {"corrupt": 0, "correlation": 0}),
    "duplicate": ("duplicate", {"duplicate": 0, "correlation": 0}),
    "reorder": ("reorder", {"reorder": 0, "correlation": 0}),
    "rate": ("rate", {"rate": 0}),
}
_VERBS = {"destroy": "shut off", "start": "running", "suspend": "paused", "resume": "running", "shutdown": "running"}
_KEY_NUMBERS = ("vlan_id", "cvlan_id", "dst_port", "src_port")


def netem_options(words: Sequence[str]) -> dict[str, Any]:
    """Give what `tc -j` of iproute2 6.15 on Linux 7.2 prints for these arguments of netem."""
    options: dict[str, Any] = {"seed": 4711, "gap": 0}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("limit", "seed", "gap"):
            options[word] = int(rest.pop(0))
        elif word == "distribution":
            assert rest.pop(0) in ("normal", "pareto", "paretonormal")
        elif word != "loss" or rest[0] not in _NETEM:
            name, found = _NETEM[word][0], dict(_NETEM[word][1])
            for key in found:
                if rest and rest[0][0].isdigit():
                    found[key] = _quantity(rest.pop(0))
            options[name] = found
    if "reorder" in options:
        options["gap"] = options["gap"] or 1
    return options


def _quantity(text: str) -> float:
    unit = next(unit for unit in _UNITS if text.endswith(unit))
    return float(text.removesuffix(unit)) * _UNITS[unit]


def flower_keys(words: Sequence[str]) -> dict[str, Any]:
    """Give the keys of a flower filter as `tc -j` prints them."""
    keys: dict[str, Any] = {"eth_type": "ipv4"}
    for key, value in zip(words[::2], words[1::2], strict=True):
        if key == "ip_tos":
            tos, mask = value.split("/")
            keys.update(ip_tos=int(tos, 16), ip_tos_mask=mask.removeprefix("0x"))
        else:
            keys[key] = int(value) if key in _KEY_NUMBERS else value
    return keys


RUNNING = """frr version 10.3
frr defaults datacenter
!
router bgp 65001
 bgp router-id 10.255.0.1
 neighbor 10.254.0.0 remote-as 65101
 neighbor 10.254.0.0 bfd
 neighbor 10.254.0.0 bfd profile circuit
 neighbor 10.254.1.2 remote-as 65102
 !
 address-family ipv4 unicast
  network 10.1.0.0/24
  network 10.255.0.1/32
 exit-address-family
exit
!
router bgp 65001 vrf storage
 neighbor 10.254.0.0 remote-as 65101
 neighbor 10.254.0.0 bfd
exit
!
end
"""


def _running(lines: Sequence[frr.Line], under: frr.Line = ()) -> str:
    """Print lines as FRR does: what stands in a context below it, one space further in, and route-maps first."""
    own = sorted((line for line in lines if line[:-1] == under), key=lambda line: not line[-1].startswith("route-map "))
    return "".join(f"{' ' * len(under)}{line[-1]}\n{_running(lines, line)}" for line in own)


def u32_matches(words: Sequence[str]) -> list[dict[str, Any]]:
    """Give what a u32 filter matches, as `tc -j` prints each."""
    pairs = zip(words[2::6], words[3::6], words[5::6], strict=True)
    return [{"value": f"{int(value, 16):x}", "mask": f"{int(mask, 16):x}", "off": int(at)} for value, mask, at in pairs]


def _printed(result: Any) -> str:
    """As `tc` prints it: with one key `match` for each, which is no good JSON."""
    if not isinstance(result, list):
        return json.dumps(result)
    return "[" + ",".join(_object(each) for each in result) + "]"


def _object(item: Any) -> str:
    matches = item.get("options", {}).get("match") if isinstance(item, dict) else None
    if matches is None:
        return json.dumps(item)
    options = ",".join(f'"match":{json.dumps(match)}' for match in matches)
    return json.dumps({**item, "options": "OPTIONS"}).replace('"OPTIONS"', "{" + options + "}")


class SimulatedKernel:
    """A `Runner` whose commands act on dictionaries. `ran` is every command, `broken` makes commands fail."""

    def __init__(self) -> None:
        self.links: dict[str, dict[str, Any]] = {}
        self.qdiscs: dict[str, list[dict[str, Any]]] = {}
        self.filters: dict[str, list[dict[str, Any]]] = {}
        self.routes: list[dict[str, Any]] = []
        self.able = {"netem", "flower", "bgp"}
        self.frr = frr.parse(RUNNING)
        self.guests = {"web": "running", "old": "shut off"}
        self.marked_guests: set[str] = set()
        self.ran: list[tuple[str, ...]] = []
        self.broken: Callable[[tuple[str, ...]], bool] = lambda _argv: False
        self.node = SimulatedNode()

    def state(self) -> Any:
        """Give all that a test compares."""
        routes = sorted(self.routes, key=lambda route: json.dumps(route, sort_keys=True))
        frr_lines, node = sorted(self.frr), self.node.state()
        guests = self.guests, sorted(self.marked_guests)
        return copy.deepcopy((self.links, self.qdiscs, self.filters, routes, frr_lines, guests, node))

    def add_link(self, name: str, *addresses: str) -> None:
        self.links[name] = {"up": True, "mtu": 1500, "addresses": list(addresses)}
        self.qdiscs[name] = [{"kind": "fq_codel", "handle": "0:", "dev": name, "root": True, "options": {}}]

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        words = tuple(argv)
        self.ran.append(words)
        if self.broken(words):
            return Completed(2, "", "Error: simulated failure.")
        if (answer := self.node.run(words)) is not None:
            return answer
        if words[0] == "test":
            return Completed(0 if "bgp" in self.able else 1, "", "")
        if words[0] == "vtysh":
            return Completed(0, self._vtysh(words[2::2]), "")
        if words[0] == "unshare":
            return Completed(1, "\n".join(self.able), "")
        try:
            if words[0] == "virsh":
                return Completed(0, self._virsh(*words[2:]), "")
            result = self._run([word for word in words if word not in ("-j", "-N", "-d", "-s", "-6")])
        except ValueError as error:
            return Completed(1, "", str(error))
        except KeyError as error:
            return Completed(1, "", f"Cannot find device {error}")
        return Completed(0, "" if result is None else _printed(result), "")

    def _run(self, words: list[str]) -> Any:  # noqa: C901 -- one case a command
        match words:
            case ["ip", "-V"]:
                return None
            case ["ip", "rule", "show"] | ["ip", "-4", "rule", "show"]:
                return []
            case ["ip", "addr", "show"] | ["ip", "link", "show"]:
                return [self._show_link(name) for name in self.links]
            case ["ip", "link", "set", "dev", name, ("up" | "down") as admin]:
                self._set(name, admin == "up")
            case ["ip", "link", "set", "dev", name, "mtu", mtu]:
                self._set_mtu(name, int(mtu))
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
            case ["tc", "qdisc", ("add" | "del" | "change") as action, "dev", name, *rest]:
                self._qdisc(action, name, rest)
            case ["tc", "filter", "show", "dev", name, "parent", handle]:
                return [each for each in self.filters.get(name, ()) if each["parent"] == handle]
            case ["tc", "filter", "add", "dev", name, "parent", handle, *rest]:
                self._filter(name, handle, rest)
            case _:
                raise ValueError(f"not simulated: {' '.join(words)}")
        return None

    def _virsh(self, verb: str, *names: str) -> str:
        if verb == "list":
            return "\n".join(self.guests)
        if verb == "domstate":
            return self.guests[names[0]]
        if verb == "metadata":
            return self._mark(*names)
        self.guests[names[0]] = _VERBS[verb]
        return ""

    def _mark(self, name: str, *options: str) -> str:
        if "--set" in options:
            self.marked_guests.add(name)
        elif "--remove" in options:
            self.marked_guests.discard(name)
        else:
            self._check(name in self.marked_guests, "error: metadata not found")
            return "<stopping/>\n"
        return ""

    def _vtysh(self, said: Sequence[str]) -> str:
        if said[0].startswith("show "):
            return f"{_running(self.frr)}end\n"
        contexts: list[str] = []
        for line in said[1:]:
            if line.startswith(("router bgp ", "route-map ")):
                contexts = [line]
            elif line.startswith("address-family "):
                contexts = [contexts[0], line]
            bare = line.removeprefix("no ")
            path = (bare,) if bare.startswith("route-map ") else (*contexts[: -1 if line in contexts else None], bare)
            if bare != line:
                self.frr = [each for each in self.frr if each[: len(path)] != path]
            elif path not in self.frr:
                self.frr.append(path)
        return ""

    @staticmethod
    def _check(fine: bool, message: str) -> None:
        if not fine:
            raise ValueError(message)

    def _show_link(self, name: str) -> dict[str, Any]:
        link = self.links[name]
        found = []
        for text in link["addresses"]:
            address = ipaddress.ip_interface(text)
            family = "inet" if address.version == 4 else "inet6"
            found.append(
                {"family": family, "local": str(address.ip), "prefixlen": address.network.prefixlen, "scope": "global"}
            )
        below = {"link": link["on"], "linkinfo": {"info_kind": "vlan"}} if "on" in link else {}
        flags, operstate = (["UP"], "UP") if link["up"] else ([], "DOWN")
        rest = {"flags": flags, "operstate": operstate, "mtu": link["mtu"], "addr_info": found}
        return {"ifname": name, **below, **rest}

    def _set_mtu(self, name: str, mtu: int) -> None:
        """As the kernel does it: a VLAN's MTU goes down with that of the link below, but not up again."""
        below = self.links[name].get("on")
        self._check(
            below is None or mtu <= self.links[below]["mtu"], "RTNETLINK answers: Numerical result out of range"
        )
        self.links[name]["mtu"] = mtu
        for above, link in self.links.items():
            if link.get("on") == name and link["mtu"] > mtu:
                self._set_mtu(above, mtu)

    def _set(self, name: str, up: bool) -> None:
        """As the kernel does it: the VLANs above go down and up with a link, whatever they were before."""
        below = self.links[name].get("on")
        self._check(not up or below is None or self.links[below]["up"], "RTNETLINK answers: Network is down")
        self.links[name]["up"] = up
        for above in [above for above, link in self.links.items() if link.get("on") == name]:
            self._set(above, up)
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
            below = [qdisc for qdisc in self.qdiscs[name] if qdisc.get("parent", "").startswith(rest[0])]
            gone = [there, *below]
            self.qdiscs[name] = [qdisc for qdisc in self.qdiscs[name] if qdisc not in gone] or [default]
            self.filters.pop(name, None)
            return
        if action == "change":
            if there is None or there["handle"] != rest[0]:
                raise ValueError("Error: Specified qdisc not found.")
            # It keeps what it isn't told of, but for loss: an absent model is none.
            told = netem_options(rest[2:])
            kept = {key: value for key, value in there["options"].items() if not key.startswith("loss-")}
            there["options"] = {**kept, **told}
            return
        kind = rest[1]
        self._check(kind == "prio" or "netem" in self.able, "Error: Specified qdisc kind is unknown.")
        self._check(there is None or there["handle"] == "0:", "Error: Exclusivity flag on, cannot modify.")
        options = netem_options(rest[2:]) if kind == "netem" else {"bands": int(rest[3])}
        made = {"kind": kind, "handle": rest[0], "dev": name, **place, "options": options, "packets": 7, "drops": 3}
        self.qdiscs[name] = [qdisc for qdisc in self.qdiscs[name] if qdisc is not there] + [made]

    def _filter(self, name: str, handle: str, words: list[str]) -> None:
        self._check("flower" in self.able, "Error: TC classifier not found.")
        self._check(
            any(qdisc["handle"] == handle for qdisc in self.qdiscs[name]), "Error: Parent Qdisc doesn't exists."
        )
        chain = int(words[1]) if words[0] == "chain" else 0
        protocol, pref, kind, *rest = words[words.index("protocol") + 1 :: 2][:2] + words[words.index("pref") + 2 :]
        head = {"protocol": protocol, "pref": int(pref), "kind": kind, "parent": handle, "chain": chain}
        if rest[-4:-1] == ["action", "goto", "chain"]:
            then: dict[str, Any] = {"actions": [{"control_action": {"type": "goto", "chain": int(rest[-1])}}]}
            rest = rest[:-4]
        else:
            then = {"classid": rest[-1]}
            rest = rest[:-2]
        what = {"keys": flower_keys(rest)} if kind == "flower" else {"match": u32_matches(rest)}
        self.filters.setdefault(name, []).extend([head, {**head, "options": {**what, **then}}])


class SimulatedBatch:
    """`ip` or `tc` with `-force -batch -`: each line a command, and a failure of any is the failure of all."""

    def __init__(self, runner: Runner, argv: Sequence[str]) -> None:
        self._runner = runner
        tool, *options = argv
        assert options == ["-force", "-batch", "-"]
        self._tool = tool

    def tell(self, text: str, timeout: float = 10.0) -> Completed:
        done = [self._runner.run((self._tool, *line.split())) for line in text.splitlines()]
        errors = [f"{each.err}\nCommand failed -:{number}" for number, each in enumerate(done, 1) if each.rc]
        return Completed(1 if errors else 0, "", "\n".join(errors))


def backend_of(runner: Runner) -> LinuxBackend:
    """Give the back-end over a simulated kernel."""
    others = resources(runner, ("python3", "okiagari.pyz"), "/var/lib/okiagari/journal")
    return LinuxBackend(runner, others, partial(SimulatedBatch, runner))


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

    unit_is = "simulated unit"

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
        kernel.add_link("s101.w-b", "10.101.0.1/24", "2001:db8:101::1/64")
        kernel.links["s101.w-b"]["on"] = "w-b"
        kernel.add_link("s102.w-b")
        kernel.links["s102.w-b"].update(on="w-b", up=False)
        kernel.qdiscs["w-b"] = [
            {"kind": "netem", "handle": "c1c:", "dev": "w-b", "root": True, "options": {"delay": {"delay": 0.004}}}
        ]
        for words in (
            "10.9.0.0/16 via 10.254.0.0 dev w-a proto static metric 5",
            "10.8.0.0/16 dev w-b proto boot",
            "10.102.0.0/16 via 10.101.0.2 dev s101.w-b proto static",
            "10.2.0.0/16 via 10.254.1.2 dev w-b proto bgp metric 20",
            "blackhole 10.66.0.0/16 proto static",
        ):
            kernel.run(("ip", "route", "add", *words.split()))
        self.places = Places(str(folder / "state"), str(folder / "run"))
        self.clock, self.timers = HandClock(), HandTimers()
        self.store = Store(self.places)
        self.boot("boot-1")

    def boot(self, boot_id: str) -> None:
        program = ("python3", "okiagari.pyz")
        self.keeper = Keeper(backend_of(self.kernel), self.store, self.timers, self.clock, boot_id, program)
