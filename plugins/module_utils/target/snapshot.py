# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target's state: equal testbeds give equal snapshots. `normalise` is pure; `take` runs the commands."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..fault import routes
from ..fault.owned import DRILL_PREFIX, FAULT_HANDLE, LEASE_PREFIX
from ..runner import CommandFailed, Completed, Runner, fitting, parsed_json, reason
from . import storage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..values import Shape

# One process for all questions of the routing daemons: starting vtysh costs more than its answers. What the role
# wan_routing lets hosts announce is not the testbed's, and moves from host to host: guests that are routed.
COMMANDS: dict[str, tuple[str, ...]] = {
    "links": ("ip", "-j", "addr", "show"),
    "qdiscs": ("tc", "-j", "qdisc", "show"),
    "routes": ("ip", "-N", "-j", "-d", "route", "show", "table", "all"),
    "rules": ("ip", "-j", "-4", "rule", "show"),
    "rules6": ("ip", "-j", "-6", "rule", "show"),
    "daemons": (
        "vtysh", "-c", "show bgp ipv4 unicast summary json", "-c", "show bgp ipv4 unicast prefix-list guests json",
        "-c", "show bfd peers json",
    ),
    "units": (
        "systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", "--state=failed",
    ),
    "leases": ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", f"{LEASE_PREFIX}*.timer"),
}  # fmt: skip
_NEEDED = ("links", "qdiscs", "routes", "rules")
_READ_BY = {
    "links": ("links",), "qdiscs": ("qdiscs",), "routes": ("routes", "daemons"), "rules": ("rules", "rules6"),
    "bgp": ("daemons",), "bfd": ("daemons",), "units": ("units",), "storage": (),
}  # fmt: skip
_SHAPES: dict[str, Shape] = {
    "links": [
        {
            "ifname": str,
            "flags": [str],
            "mtu": int,
            "operstate": str,
            "addr_info": [{"local": str, "prefixlen": int}],
        }
    ],
    "qdiscs": [{"kind": str, "handle": str, "dev": str, "root?": bool, "parent?": str, "options?": dict}],
    "routes": routes.SHAPE,
    "rules": [{"priority": int, "src?": str}],
}
_PEERS: dict[str, Shape] = {"peers?": {"*": {"state?": str, "pfxRcd?": int}}}
_BGP: Shape = {**_PEERS, "ipv4Unicast?": _PEERS, "routes?": {"*": [{"peerId?": str}]}}
_BFD: Shape = [{"peer": str, "status": str, "vrf?": str}]
# A device that libvirt makes for a guest has another number whenever the guest is started, and a guest that agents keep
# going takes its device along.
_OF_A_GUEST = re.compile(r"vnet\d+|okg-[0-9a-f]{6}-t")
# What a shell prints around the documents may have brackets too, but no line that begins like a document.
_DOCUMENT = re.compile(r"^(?:\{|\[\s*(?:[{\]]|\Z))", re.MULTILINE)

Snapshot = dict[str, Any]


def take(runner: Runner, parts: Collection[str] = ()) -> Snapshot:
    """Give the state of the target that `runner` runs on. Raises `OkiagariError` if `ip` or `tc` don't answer.

    With `parts`, names such as `bfd`, no more is looked at than those need, which is quicker.
    """
    answers: dict[str, Completed] = {}
    names = [name for name in COMMANDS if not parts or any(name in _READ_BY.get(part, COMMANDS) for part in parts)]

    def ask(name: str) -> None:
        answers[name] = runner.run(COMMANDS[name])

    part: list[Snapshot | None] = []
    asking = [threading.Thread(target=ask, args=(name,)) for name in names]
    if not parts or "storage" in parts:
        asking.append(threading.Thread(target=lambda: part.append(storage.take(runner))))
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    snapshot = normalise(answers)
    if part and part[0] is not None:
        snapshot["storage"] = part[0]
    return snapshot


def normalise(answers: Mapping[str, Completed]) -> Snapshot:
    """Make a snapshot of what the commands of `COMMANDS` printed, or some of them."""
    for name in _NEEDED:
        if name in answers and answers[name].rc:
            raise OkiagariError(f"no snapshot: {' '.join(COMMANDS[name])}: {reason(answers[name])}")
    tables = {
        name: parsed_json(COMMANDS[name], answers[name].out, _SHAPES[name]) for name in _NEEDED if name in answers
    }
    snapshot: Snapshot = {}
    if "links" in tables:
        links = [link for link in tables["links"] if not _OF_A_GUEST.fullmatch(link["ifname"])]
        snapshot["links"] = {link["ifname"]: _link(link) for link in links}
    if "qdiscs" in tables:
        snapshot["qdiscs"] = _qdiscs([each for each in tables["qdiscs"] if not _OF_A_GUEST.fullmatch(each["dev"])])
    if "routes" in tables:
        guests = _guests(_documents(answers["daemons"].out)) if "daemons" in answers else {}
        lasting = [route for route in tables["routes"] if _lasting(route) and routes.prefix_of(route) not in guests]
        snapshot["routes"] = sorted(routes.text(route) for route in lasting)
    if "rules" in tables:
        snapshot["rules"] = _rules(tables["rules"], answers["rules6"])
    if "leases" in answers:
        snapshot["okiagari"] = _ours(tables, answers["leases"])
    if "units" in answers and answers["units"].rc == 0:
        failed = [name for name in _unit_names(answers["units"]) if not name.startswith((LEASE_PREFIX, DRILL_PREFIX))]
        snapshot["units"] = {"failed": failed}
    if "daemons" in answers:
        snapshot.update(daemons(answers["daemons"].out))
    return snapshot


def _rules(rules: Sequence[Mapping[str, Any]], answer6: Completed) -> list[str]:
    rules6 = [] if answer6.rc else parsed_json(COMMANDS["rules6"], answer6.out, _SHAPES["rules"])
    return sorted([_rule("ip", rule) for rule in rules] + [_rule("ip6", rule) for rule in rules6])


def _ours(tables: Mapping[str, Any], leases: Completed) -> dict[str, Any]:
    mine = [qdisc for qdisc in tables["qdiscs"] if qdisc["handle"] == FAULT_HANDLE]
    return {
        "leases": _unit_names(leases),
        "qdiscs": sorted(f"{qdisc['kind']} on {qdisc['dev']}" for qdisc in mine),
        "routes": sorted(routes.text(each) for each in tables["routes"] if _lasting(each) and routes.is_ours(each)),
    }


def daemons(text: str) -> Snapshot:
    """Read what the routing daemons said: the state of the BGP and BFD peers. A daemon that is absent gives no key."""
    found: Snapshot = {}
    documents = _documents(text)
    of_guests = Counter(peer for peers in _guests(documents).values() for peer in peers)
    for document in documents:
        if isinstance(document, dict):
            peers = document.get("peers") or document.get("ipv4Unicast", {}).get("peers")
            if peers:
                found["bgp"] = {
                    name: {"state": peer.get("state"), "received": _less(peer.get("pfxRcd"), of_guests[name])}
                    for name, peer in sorted(peers.items())
                }
        elif document:
            found["bfd"] = dict(sorted((_session(peer), peer["status"]) for peer in document))
    return found


def _documents(text: str) -> list[Any]:
    documents = _stream(text)
    for document in documents:
        fitting(COMMANDS["daemons"], document, _BGP if isinstance(document, dict) else _BFD)
    return documents


def _guests(documents: Sequence[Any]) -> dict[str, list[str]]:
    """Give the neighbours by whom a router knows of each guest, by the guest's prefix."""
    return {
        prefix: [path.get("peerId", "") for path in paths]
        for document in documents
        if isinstance(document, dict)
        for prefix, paths in document.get("routes", {}).items()
    }


def _less(received: int | None, of_guests: int) -> int | None:
    return None if received is None else received - of_guests


def _session(peer: Mapping[str, Any]) -> str:
    """A circuit has the same addresses in every VRF."""
    vrf = peer.get("vrf", "default")
    return str(peer["peer"]) if vrf == "default" else f"{peer['peer']} in {vrf}"


def unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Name what differs between two snapshots, such as `bfd.10.254.0.9`; our own leases and marks don't count."""
    found = []
    for part in sorted((one.keys() | other.keys()) - {"okiagari"}):
        mine, its = one.get(part), other.get(part)
        if isinstance(mine, dict) and isinstance(its, dict):
            found += [f"{part}.{name}" for name in sorted(mine.keys() | its.keys()) if mine.get(name) != its.get(name)]
        elif mine != its:
            found.append(part)
    return found


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    addresses = [f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"] if not _link_local(each["local"])]
    return {
        "admin": "up" if "UP" in link["flags"] else "down",
        "oper": link["operstate"].lower(),
        "mtu": link["mtu"],
        "addresses": sorted(addresses),
    }


def _qdiscs(qdiscs: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    by_device: dict[str, list[dict[str, Any]]] = {}
    for qdisc in qdiscs:
        parent = "root" if qdisc.get("root") else qdisc.get("parent", "")
        entry = {
            "kind": qdisc["kind"],
            "handle": qdisc["handle"],
            "parent": parent,
            # The seed of netem is drawn anew for each qdisc.
            "options": {key: value for key, value in qdisc.get("options", {}).items() if key != "seed"},
        }
        by_device.setdefault(qdisc["dev"], []).append(entry)
    return {dev: sorted(found, key=lambda each: (each["parent"], each["handle"])) for dev, found in by_device.items()}


def _lasting(route: Mapping[str, Any]) -> bool:
    return not (
        routes.table_of(route) == "local"
        or routes.kind_of(route) == "multicast"
        or "expires" in route
        or _link_local(str(route["dst"]))
        or "cloned" in route.get("flags", ())
        or any(_OF_A_GUEST.fullmatch(device) for device in routes.devices(route))
    )


def _link_local(address: str) -> bool:
    return address.startswith(("fe80:", "169.254."))


def _rule(family: str, rule: Mapping[str, Any]) -> str:
    first = f"{family} {rule['priority']}: from {rule.get('src', 'all')}"
    if "srclen" in rule:
        first += f"/{rule['srclen']}"
    rest = {key: value for key, value in rule.items() if key not in ("priority", "src", "srclen")}
    return " ".join([first, *(f"{key} {value}" for key, value in sorted(rest.items()))])


def _unit_names(answer: Completed) -> list[str]:
    return sorted(line.split()[0] for line in answer.out.splitlines() if line.split())


def _stream(text: str) -> list[Any]:
    """Give the JSON documents in `text`, whatever a shell printed between them."""
    decoder, position, found = json.JSONDecoder(), 0, []
    while begins := _DOCUMENT.search(text, position):
        try:
            document, position = decoder.raw_decode(text, begins.start())
        except (ValueError, RecursionError) as error:
            raise CommandFailed(f"{' '.join(COMMANDS['daemons'])}: its output is not JSON") from error
        found.append(document)
    return found
