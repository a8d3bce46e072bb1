# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel of a simulated VyOS router: what `ip` and `tc` print there, as it follows from the configuration."""

from __future__ import annotations

import json
import shlex
from ipaddress import ip_address, ip_interface
from typing import Any

Config = frozenset[tuple[str, ...]]

_ASK = " 2>&1; echo rc=$?"
_NETEM = {"delay": ("delay", 0.001), "loss": ("loss-random", 0.01), "corruption": ("corrupt", 0.01),
          "duplicate": ("duplicate", 0.01), "reordering": ("reorder", 0.01)}  # fmt: skip
_INNER = {"delay": "delay", "loss": "loss", "corruption": "corrupt", "duplicate": "duplicate", "reordering": "reorder"}


def queues(config: Config) -> dict[str, dict[str, Any]]:
    """Give the root queues that a commit of `qos` makes; it has removed all others."""
    bound = {path[2]: path[4] for path in config if path[:2] == ("qos", "interface") and len(path) == 5}
    return {dev: _netem(config, policy) for dev, policy in bound.items()}


def _netem(config: Config, policy: str) -> dict[str, Any]:
    options: dict[str, Any] = {"limit": 1000}
    for path in config:
        if path[:4] == ("qos", "policy", "network-emulator", policy) and len(path) == 6:
            word, value = path[4], path[5]
            if word == "queue-limit":
                options["limit"] = int(value)
            elif word == "bandwidth":
                options["rate"] = {"rate": int(value.removesuffix("bit")) // 8}
            else:
                key, unit = _NETEM[word]
                options[key] = {_INNER[word]: int(value) * unit}
    return {"kind": "netem", "handle": "8001:", "root": True, "options": options}


def _names(config: Config) -> dict[str, tuple[str, ...]]:
    found = {}
    for path in config:
        if path[0] == "interfaces" and len(path) in (3, 5, 7) and (len(path) == 3 or path[-2].startswith("vif")):
            found[".".join([path[2], *path[4::2]])] = path
    return found


def _addresses(config: Config, place: tuple[str, ...]) -> list[str]:
    return sorted(path[-1] for path in config if path[:-1] == (*place, "address"))


def answer(line: str, config: Config, roots: dict[str, dict[str, Any]]) -> str:
    """Give what is printed for a command such as `/usr/sbin/ip -j addr show dev eth1`, and how it ended."""
    assert line.endswith(_ASK)
    argv = shlex.split(line.removesuffix(_ASK))
    program, words = argv[0].rpartition("/")[2], [word for word in argv[1:] if word not in ("-j", "-N", "-d", "-6")]
    said = _tc(config, roots) if program == "tc" else _ip(config, words)
    return f"{json.dumps(said)}\nrc=0\n"


def _tc(config: Config, roots: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    plain = {"kind": "mq", "handle": "0:", "root": True, "options": {}}
    return [{"dev": name, **roots.get(name, plain)} for name in sorted({*_names(config), *roots})]


def _ip(config: Config, words: list[str]) -> list[dict[str, Any]]:
    names = _names(config)
    down = {name for name, place in names.items() if (*place, "disable") in config}
    if words[:2] == ["link", "show"]:
        return [{"ifname": name, "mtu": 1500} for name in sorted(names)]
    if words[:2] == ["addr", "show"]:
        return [_link(config, name, place, name not in down) for name, place in sorted(names.items())]
    if words[:2] == ["route", "get"]:
        dev = _neighbour(config, names, down, words[2])
        return [{"dst": words[2], "dev": dev} if dev else {"dst": words[2], "gateway": "172.31.3.254", "dev": "eth0"}]
    return [] if "exact" not in words else _routes(config, words[-1])


def _link(config: Config, name: str, place: tuple[str, ...], up: bool) -> dict[str, Any]:
    found = map(ip_interface, _addresses(config, place))
    shown = [
        {"family": "inet", "local": str(each.ip), "prefixlen": each.network.prefixlen, "scope": "global"}
        for each in found
    ]
    above = {"link": name.rpartition(".")[0], "linkinfo": {"info_kind": "vlan"}} if "." in name else {}
    return {"ifname": name, **above, "flags": ["UP"] if up else [], "mtu": 1500, "addr_info": shown}


def _neighbour(config: Config, names: dict[str, tuple[str, ...]], down: set[str], address: str) -> str | None:
    for name, place in names.items():
        networks = [ip_interface(each).network for each in _addresses(config, place)]
        if name not in down and any(ip_address(address) in network for network in networks):
            return name
    return None


def _routes(config: Config, prefix: str) -> list[dict[str, Any]]:
    found = []
    for path in config:
        if path[:2] == ("protocols", "static") and path[3:4] == (prefix,) and len(path) > 4:
            route = {"dst": prefix, "protocol": "196", "metric": 20}
            if path[4] in ("blackhole", "reject") and len(path) == 5:
                found.append({**route, "type": "6" if path[4] == "blackhole" else "7"})
            elif path[4] == "next-hop" and len(path) == 6:
                found.append({**route, "type": "1", "gateway": path[5], "dev": "eth1"})
    return found
