# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Linux back-end: `ip` and `tc`, read with `-j`, written one command an operation; the rest are resources."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..runner import CommandFailed, Runner, Waiting, json_output, output, parsed_json, reason
from . import classify, frr, libvirt_power, netem, node, routes
from .backend import Backend, Leftover, Op
from .owned import CIRCUIT_HANDLE, FAULT_HANDLE, METRICS, ROUTE_PROTOCOL, SCOPED_HANDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..values import Shape
    from .model import State
    from .resource import Entry, Resource

# A guest may take long to start.
_PATIENCE_S = 120.0
_IMPAIRED_BAND = "2"
_BANDS = ("prio", "bands", "2", "priomap", *("0",) * 16)

_BATCHED = {"ip", "tc"}
_PLAIN = re.compile(r"[\w.:/%@+-]+")

# In a network namespace of its own, which vanishes with the command: the only sure way to know, and it touches nothing.
_TRY = ("unshare", "--net", "sh", "-c", """
tc qdisc add dev lo root netem loss 1% && echo netem
tc qdisc replace dev lo root handle 1: prio &&
tc filter add dev lo parent 1: protocol 802.1ad flower vlan_id 1 vlan_ethtype 802.1Q cvlan_id 1 && echo flower
""")  # fmt: skip

_NAMES: Shape = [{"ifname": routes.NAME}]
_ADDRESS: dict[str, Shape] = {
    **dict.fromkeys(("local", "address?", "broadcast?"), routes.HOST),
    **dict.fromkeys(("family", "scope", "label?"), re.compile(r"(?!-)\S+")),
    **dict.fromkeys(("prefixlen", "metric?"), int),
}
_LINKS: Shape = [
    {
        "ifname": routes.NAME,
        "link?": str,
        "linkinfo?": {"info_kind?": str},
        "flags": [str],
        "mtu": int,
        "addr_info": [_ADDRESS],
    }
]
_HANDLE = re.compile(r"[0-9a-f]*:[0-9a-f]*")
QDISC: dict[str, Shape] = {
    "kind": str,
    "handle": _HANDLE,
    "root?": bool,
    "parent?": _HANDLE,
    "options?": dict,
    "packets?": int,
    "drops?": int,
}
_CLASSES: Shape = [{"handle": _HANDLE, "parent?": _HANDLE}]
_WAY: Shape = [{"dev": routes.NAME, "type?": str}]

Shown = list[dict[str, Any]]


class LinuxBackend(Backend):
    """Links, qdiscs and routes of the Linux that `runner` runs on; and what else of it `resources` has."""

    name = "linux"

    def __init__(
        self,
        runner: Runner,
        resources: Mapping[str, Resource] | None = None,
        start: Callable[[Sequence[str]], Waiting] | None = None,
    ) -> None:
        self._runner = runner
        self._resources = resources or {}
        self._start = start
        self._capabilities: frozenset[str] | None = None

    def capabilities(self) -> frozenset[str]:
        if self._capabilities is None:
            able = set()
            if self._runner.run(("ip", "-V")).rc == 0:
                able |= {"link", "mtu", "route"}
            if self._runner.run(("test", "-S", frr.SOCKET)).rc == 0:
                able |= {"bgp", "bgp_shutdown"}
            if self._runner.run(libvirt_power.TRY).rc == 0:
                able.add("power")
            able |= set(self._runner.run(_TRY).out.split()) & {"netem", "flower"}
            if self._resources:
                able |= set(self._runner.run(node.TRY).out.split()) & node.CAPABILITIES
            if "netem" in able:
                able.add("drop")
            self._capabilities = frozenset(able)
        return self._capabilities

    def gather(self, entries: Iterable[str]) -> State:
        readers: dict[str, Callable[[str], Entry]] = {
            "link": self._link,
            "qdisc": self._qdisc,
            "route": self._route,
            "nexthop": self._nexthop,
            "session": self._session,
            "network": self._network,
            "power": lambda name: libvirt_power.guest(self._runner, name),
            **{name: resource.gather for name, resource in self._resources.items()},
        }
        state: State = {}
        for entry in entries:
            resource, _colon, name = entry.partition(":")
            state[entry] = readers[resource](name)
        return state

    def render(self, have: State, want: State) -> list[Op]:
        writers: dict[str, Callable[[str, Entry, Entry], list[Op]]] = {
            "link": link_ops,
            "qdisc": qdisc_ops,
            "route": route_ops,
            "session": frr_ops,
            "network": frr_ops,
            "power": libvirt_power.guest_ops,
            **{name: resource.ops for name, resource in self._resources.items()},
        }
        ops: list[Op] = []
        for entry, wanted in want.items():
            resource, _colon, name = entry.partition(":")
            ops += writers[resource](name, have[entry], wanted)
        return ops

    def apply(self, ops: Sequence[Op]) -> None:
        failed: OkiagariError | None = None
        for op in ops:
            done = self._runner.run(op, timeout=_PATIENCE_S)
            if done.rc and failed is None:
                failed = CommandFailed(f"{' '.join(op)}: {reason(done)}")
        if failed:
            raise failed

    def ready(self, ops: Sequence[Op]) -> Callable[[], None]:
        """Start `ip` or `tc`, which takes far longer than the change itself, and give what makes the change."""
        tools = {op[0] for op in ops}
        if self._start is None or len(tools) != 1 or not tools <= _BATCHED or not all(map(_can_wait, ops)):
            return super().ready(ops)
        argv = (*tools, "-force", "-batch", "-")
        lines = [" ".join(op[1:]) for op in ops]
        try:
            waiting = self._start(argv)
        except OSError:
            return super().ready(ops)

        def change() -> None:
            done = waiting.tell("".join(f"{line}\n" for line in lines), _PATIENCE_S)
            if done.rc:
                raise CommandFailed(f"{argv[0]} {'; '.join(lines)}: {reason(done)}")

        return change

    def measure(self, entry: str) -> dict[str, Any]:
        resource, _colon, name = entry.partition(":")
        if resource in self._resources:
            return self._resources[resource].measure(name)
        if resource != "qdisc":
            return {}
        return measured(json_output(self._runner, ("tc", "-j", "-s", "qdisc", "show", "dev", name), shape=[QDISC]))

    def leftovers(self) -> list[Leftover]:
        found = []
        for qdisc in json_output(self._runner, ("tc", "-j", "qdisc", "show"), shape=[{**QDISC, "dev": routes.NAME}]):
            if qdisc.get("handle") == FAULT_HANDLE:
                dev = qdisc["dev"]
                found.append(
                    Leftover(
                        "qdisc",
                        f"qdisc:{dev}",
                        f"{qdisc['kind']} {FAULT_HANDLE} on {dev}",
                        (_qdisc_del(dev, _place(qdisc)),),
                    )
                )
        for route in self._routes("table", "all", "proto", str(ROUTE_PROTOCOL)):
            if routes.is_ours({**route, "protocol": ROUTE_PROTOCOL}):
                words = routes.text({**route, "protocol": ROUTE_PROTOCOL}, flags=False)
                found.append(
                    Leftover(
                        "route", f"route:{routes.prefix_of(route)}", words, (("ip", "route", "del", *words.split()),)
                    )
                )
        if "bgp" in self.capabilities():
            found += self._frr_leftovers()
        for resource in self._resources.values():
            found += resource.leftovers()
        return found

    def _frr_leftovers(self) -> list[Leftover]:
        """What can't be known is no reason to leave the rest: it is told as something that is left."""
        try:
            return frr_leftovers(frr.parse(output(self._runner, frr.SHOW)))
        except OkiagariError as error:
            return [Leftover("bgp", "bgp", f"FRR can't be asked: {error}", ())]

    def _session(self, name: str) -> Entry:
        neighbor, lines, block = self._bgp(name)
        return {
            "router": block,
            "lines": [list(line) for line in frr.of_neighbor(lines, block, neighbor)],
            "neighbors": frr.neighbors(lines, block),
        }

    def _network(self, name: str) -> Entry:
        prefix, lines, block = self._bgp(name)
        return {
            "router": block,
            "lines": [list(line) for line in frr.of_network(lines, block, prefix)],
            "networks": frr.networks(lines, block),
        }

    def _bgp(self, name: str) -> tuple[str, list[frr.Line], str | None]:
        """Give what an entry such as `10.254.0.1@storage` names, and the BGP of its VRF: its lines, and which it is."""
        key, _at, vrf = name.partition("@")
        lines = frr.parse(output(self._runner, frr.SHOW))
        block = frr.router(lines, vrf)
        return key, lines if block else [], block

    def _link(self, name: str) -> Entry:
        argv = ("ip", "-j", "-d", "addr", "show")
        links = {link["ifname"]: link for link in json_output(self._runner, argv, shape=_LINKS)}
        if not links:
            raise CommandFailed(f"{' '.join(argv)}: it tells of no interface")
        if name not in links:
            return {"missing": list(links)}
        return link_entry(name, links, self._routes("table", "all"))

    def _qdisc(self, name: str) -> Entry:
        argv = ("tc", "-j", "qdisc", "show", "dev", name)
        try:
            said = output(self._runner, argv)
        except CommandFailed as failure:
            return self._missing(name, failure)
        classes = ("tc", "-j", "class", "show", "dev", name)
        return qdisc_entry(
            parsed_json(argv, said, [QDISC]),
            lambda: json_output(self._runner, classes, shape=_CLASSES),
            lambda: output(self._runner, ("tc", "-j", "filter", "show", "dev", name, "parent", FAULT_HANDLE)),
        )

    def _route(self, prefix: str) -> Entry:
        return route_entry(self._routes("exact", prefix))

    def _nexthop(self, address: str) -> Entry:
        argv = ("ip", "-j", "route", "get", address)
        done = self._runner.run(argv)
        if done.rc in (124, 127):
            raise CommandFailed(f"{' '.join(argv)}: {reason(done)}")
        found = [] if done.rc else parsed_json(argv, done.out, _WAY)
        if not found or found[0].get("type", "unicast") != "unicast" or {"gateway", "via"} & set(found[0]):
            return {}
        return {"dev": found[0]["dev"]}

    def _routes(self, *selector: str) -> list[dict[str, Any]]:
        version = ("-6",) if any(":" in word for word in selector) else ()
        found: list[dict[str, Any]] = json_output(
            self._runner, ("ip", "-N", "-j", "-d", *version, "route", "show", *selector), shape=routes.SHAPE
        )
        return found

    def _missing(self, name: str, failure: CommandFailed) -> Entry:
        """Give the entry of an interface that isn't there; raise `failure` if it is, or if nobody knows."""
        names = [link["ifname"] for link in json_output(self._runner, ("ip", "-j", "link", "show"), shape=_NAMES)]
        if name in names or not names:
            raise failure
        return {"missing": names}


def _can_wait(op: Op) -> bool:
    """Whether a line of a batch says the same as this command: no options, and nothing that is quoted there."""
    return not op[1].startswith("-") and all(_PLAIN.fullmatch(word) for word in op)


def qdisc_entry(qdiscs: Sequence[Mapping[str, Any]], classes: Callable[[], Shown], filters: Callable[[], str]) -> Entry:
    """Give the state of one interface's egress: our netem, where it is or would go, or what foreign thing is there.

    `netem` is None where nothing of ours stands, and empty where it is incomplete. `filters` says which packets it
    concerns; without any it is all of them.
    """
    ours = next((qdisc for qdisc in qdiscs if qdisc.get("handle") == FAULT_HANDLE), None)
    if ours:
        scoped = ours["kind"] == "prio"
        found = _netem(qdiscs)
        return {
            "parent": _place(ours),
            "netem": netem.read(found.get("options", {})) if found else {},
            "filters": classify.read(filters()) if scoped else [],
            "foreign": None,
        }
    root = next((qdisc for qdisc in qdiscs if qdisc.get("root")), None)
    if root is None or root["handle"] == "0:":
        return _without_netem("root")
    place = _leaf(root, classes) if root["handle"] == CIRCUIT_HANDLE else None
    if not place:
        return _without_netem(None, f"root qdisc {root['kind']} {root['handle']}")
    children = [qdisc for qdisc in qdiscs if qdisc.get("parent") == place and qdisc.get("handle") != "0:"]
    if children:
        return _without_netem(None, f"qdisc {children[0]['kind']} {children[0]['handle']} under {place}")
    return _without_netem(place)


def _without_netem(parent: str | None, foreign: str | None = None) -> Entry:
    return {"parent": parent, "netem": None, "filters": [], "foreign": foreign}


def _leaf(root: Mapping[str, Any], classes: Callable[[], Sequence[Mapping[str, Any]]]) -> str | None:
    if root["kind"] == "netem":
        return f"{CIRCUIT_HANDLE}1"
    # Of the others only htb gets its default queue back when the child is removed; a tbf would then drop everything.
    if root["kind"] != "htb":
        return None
    found = list(classes())
    inner = {each.get("parent") for each in found}
    leaves = [each["handle"] for each in found if each["handle"] not in inner]
    return leaves[0] if len(leaves) == 1 else None


def _place(qdisc: Mapping[str, Any]) -> str:
    return "root" if qdisc.get("root") else str(qdisc.get("parent", "root"))


def qdisc_ops(dev: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the commands that put our netem on `dev`, or take away exactly ours; a vanished interface took it along."""
    stands = have.get("netem") is not None
    removal = [_qdisc_del(dev, have["parent"])] if stands else []
    if want["netem"] is None:
        return removal
    if have.get("foreign"):
        raise OkiagariError(f"foreign {have['foreign']} on {dev}: left untouched")
    filters = classify.filters(want["only"]) if want["only"] else []
    parent = have.get("parent", "root")
    place = ("root",) if parent == "root" else ("parent", parent)
    ours = ("tc", "qdisc", "add", "dev", dev, *place, "handle", FAULT_HANDLE)
    impaired = ("netem", *netem.words(want["netem"]))
    if stands and classify.same(have["filters"], filters):
        if netem.agrees(have["netem"], want["netem"]):
            return []
        if netem.overwrites(want["netem"], have["netem"]):
            return [_netem_change(dev, place, impaired, scoped=bool(filters))]
    if not filters:
        return [*removal, (*ours, *impaired)]
    band = f"{FAULT_HANDLE}{_IMPAIRED_BAND}"
    scoped = ("tc", "qdisc", "add", "dev", dev, "parent", band, "handle", SCOPED_HANDLE, *impaired)
    return [*removal, (*ours, *_BANDS), scoped, *(_filter_add(dev, band, *each) for each in enumerate(filters, 1))]


def _netem_change(dev: str, place: Sequence[str], impaired: Sequence[str], *, scoped: bool) -> Op:
    """Change our netem in place: no packet goes without it, and those in its queue stay there."""
    where = (
        ("parent", f"{FAULT_HANDLE}{_IMPAIRED_BAND}", "handle", SCOPED_HANDLE)
        if scoped
        else (*place, "handle", FAULT_HANDLE)
    )
    return ("tc", "qdisc", "change", "dev", dev, *where, *impaired)


def _filter_add(dev: str, band: str, number: int, wanted: classify.Filter) -> Op:
    chain = ("chain", str(wanted["chain"])) if "chain" in wanted else ()
    where = ("dev", dev, "parent", FAULT_HANDLE, *chain, "protocol", wanted["protocol"], "pref", str(number))
    then = ("action", "goto", "chain", str(wanted["goto"])) if "goto" in wanted else ("classid", band)
    return ("tc", "filter", "add", *where, *classify.words(wanted), *then)


def _qdisc_del(dev: str, place: str) -> Op:
    where = ("root",) if place == "root" else ("parent", place)
    return ("tc", "qdisc", "del", "dev", dev, *where, "handle", FAULT_HANDLE)


def measured(qdiscs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give what our netem counted: packets it was given, packets it lost, and their share in percent."""
    found = _netem(qdiscs)
    if not found:
        return {}
    lost = found.get("drops", 0)
    seen = found.get("packets", 0) + lost
    return {"packets": seen, "lost": lost, "loss_percent": round(100 * lost / seen, 3) if seen else None}


def _netem(qdiscs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    ours = (qdisc for qdisc in qdiscs if qdisc.get("handle") in (FAULT_HANDLE, SCOPED_HANDLE))
    return next((qdisc for qdisc in ours if qdisc["kind"] == "netem"), {})


def link_entry(name: str, links: Mapping[str, Mapping[str, Any]], found: Sequence[routes.Route]) -> Entry:
    """Give the state of an interface, and in `vlans` that of each VLAN above it, which goes down and shrinks with it.

    Of `found`, all routes, it keeps those that the kernel drops with the link and that nobody else gives back.
    """
    link = links[name]
    kept = sorted(
        routes.text(route, flags=False)
        for route in found
        if name in routes.devices(route)
        and str(route.get("protocol")) in routes.STATIC_PROTOCOLS
        and "expires" not in route
    )
    vlans = [
        above
        for above, each in links.items()
        if each.get("link") == name and each.get("linkinfo", {}).get("info_kind") == "vlan"
    ]
    return {
        "admin": "up" if "UP" in link["flags"] else "down",
        "mtu": link["mtu"],
        "addresses": sorted(address_text(address) for address in link["addr_info"] if not address.get("dynamic")),
        "routes": kept,
        "vlans": {above: link_entry(above, links, found) for above in vlans},
    }


def link_ops(dev: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the commands that set `dev` down, or up with everything that it lost; a vanished interface stays lost."""
    ops: list[Op] = []
    if "missing" in have and want["admin"] == "up":
        return ops
    if have.get("admin") != want["admin"]:
        ops.append(("ip", "link", "set", "dev", dev, want["admin"]))
        # All else goes with it by itself.
        if want["admin"] == "down":
            return ops
    if have["mtu"] != want["mtu"]:
        ops.append(("ip", "link", "set", "dev", dev, "mtu", str(want["mtu"])))
    lost = [address for address in want["addresses"] if address not in have["addresses"]]
    ops += [("ip", "addr", "add", *address.split(), "dev", dev) for address in lost]
    # Routes to a next hop come after the link-scope ones that may reach it.
    gone = sorted(set(want["routes"]) - set(have["routes"]), key=lambda route: (" via " in route, route))
    ops += [("ip", "route", "add", *route.split()) for route in gone]
    # An older journal doesn't know of them.
    for above, wanted in want.get("vlans", {}).items():
        if above in have["vlans"]:
            ops += link_ops(above, have["vlans"][above], wanted)
    return ops


def address_text(address: Mapping[str, Any]) -> str:
    """Give an address of `ip -j addr` as arguments of `ip addr add`."""
    local, length = address["local"], address["prefixlen"]
    words = [local, "peer", f"{address['address']}/{length}"] if "address" in address else [f"{local}/{length}"]
    if "broadcast" in address:
        words += ["broadcast", address["broadcast"]]
    if address["scope"] != "global":
        words += ["scope", address["scope"]]
    if address.get("label") and address["family"] == "inet":
        words += ["label", address["label"]]
    if address.get("metric"):
        words += ["metric", str(address["metric"])]
    words += [flag for flag in ("nodad", "home", "noprefixroute") if address.get(flag)]
    return " ".join(words)


def route_entry(found: Sequence[Mapping[str, Any]]) -> Entry:
    """Give what `found`, the main table's routes for a prefix, means: our route, and those it wouldn't win over."""
    ours: Entry | None = None
    others = []
    for route in found:
        if routes.is_ours(route):
            ours = {"type": routes.kind_of(route)}
            ours.update({"via": route["gateway"], "dev": route["dev"]} if {"gateway", "dev"} <= route.keys() else {})
        elif route.get("metric", 0) <= METRICS[routes.family(route)]:
            others.append(routes.text(route))
    return {"ours": ours, "others": others}


def frr_ops(_name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the vtysh that leads to the wanted lines; one for all of them, since each costs a moment."""
    way = frr.way([tuple(line) for line in have["lines"]], [tuple(line) for line in want["lines"]])
    return [way] if way else []


def frr_leftovers(lines: Sequence[frr.Line]) -> list[Leftover]:
    """Give what carries our mark in FRR's running configuration, the last first: what is used goes after its use."""
    ours = frr.marked(lines)
    return [
        Leftover("bgp", f"bgp:{line[-1]}", " / ".join(line), (frr.way([line], []),))
        for line in reversed(ours)
        if line[:-1] not in ours
    ]


def route_ops(prefix: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the commands that install our route for `prefix`, or remove exactly ours."""
    if want["ours"] is None:
        return [("ip", "route", "del", *_our_route(prefix, have["ours"]))] if have["ours"] else []
    return [] if have["ours"] else [("ip", "route", "add", *_our_route(prefix, want["ours"]))]


def _our_route(prefix: str, route: Mapping[str, Any]) -> tuple[str, ...]:
    kind = () if route["type"] == "unicast" else (route["type"],)
    hop = ("via", route["via"], "dev", route["dev"]) if "via" in route else ()
    metric = METRICS[6 if ":" in prefix else 4]
    return (*kind, prefix, *hop, "proto", str(ROUTE_PROTOCOL), *(("metric", str(metric)) if metric else ()))
