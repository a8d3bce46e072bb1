# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest learns who it is: read the NoCloud seed, give the shell commands that make it so.

The seed is a disk with an ISO 9660 file system of the name `cidata`. Its files are JSON; what only YAML can say isn't
understood. The kernel's driver isn't needed: three files in one folder are quickly read.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, BinaryIO

SECTOR = 2048


def read_seed(disk: BinaryIO) -> dict[str, Any]:
    """Give the seed's files as data; empty when the disk isn't a seed."""
    disk.seek(16 * SECTOR)
    descriptor = disk.read(SECTOR)
    if descriptor[1:6] != b"CD001" or descriptor[40:72].strip().lower() != b"cidata":
        return {}
    return {name: _parse(content) for name, content in _files(disk, descriptor[156:190])}


def _files(disk: BinaryIO, folder: bytes) -> Iterable[tuple[str, bytes]]:
    start, length = _extent(folder)
    disk.seek(start)
    records, at = disk.read(length), 0
    while at < length and records[at]:
        record = records[at : at + records[at]]
        name = record[33 : 33 + record[32]].decode("latin-1").partition(";")[0].rstrip(".").lower()
        if not record[25] & 2:
            start, size = _extent(record)
            disk.seek(start)
            yield name, disk.read(size)
        at += len(record)


def _extent(record: bytes) -> tuple[int, int]:
    return int.from_bytes(record[2:6], "little") * SECTOR, int.from_bytes(record[10:14], "little")


def _parse(content: bytes) -> Any:
    lines = content.decode().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).strip()
    return json.loads(text) if text else {}


def commands(seed: Mapping[str, Any], links: Mapping[str, str]) -> list[str]:
    """Give the shell commands. `links` maps MAC addresses to the names of the interfaces that are there."""
    user, network = seed.get("user-data", {}), seed.get("network-config", {})
    name = seed.get("meta-data", {}).get("local-hostname") or user.get("hostname") or "guest"
    script = [
        f"hostname {_quoted(name)}",
        f"printf '%s\\n' {_quoted(name)} > /etc/hostname",
        f"printf '127.0.0.1 localhost %s\\n' {_quoted(name)} > /etc/hosts",
    ]
    for ethernet in network.get("ethernets", {}).values():
        link = links.get(ethernet.get("match", {}).get("macaddress", "").lower())
        script += _network(link, ethernet) if link else []
    keys = user.get("ssh_authorized_keys", [])
    file = "/root/.ssh/authorized_keys"
    return [
        *script,
        f"printf '%s\\n' {' '.join(map(_quoted, keys)) or _quoted('')} > {file}.new",
        f"chmod 600 {file}.new && mv {file}.new {file}",
    ]


def _network(link: str, ethernet: Mapping[str, Any]) -> list[str]:
    mtu = f" mtu {int(ethernet['mtu'])}" if "mtu" in ethernet else ""
    addresses = [f"ip address add {_quoted(address)} dev {link}" for address in ethernet.get("addresses", [])]
    routes = [
        f"ip route add {_quoted(route['to'])} via {_quoted(route['via'])} dev {link}"
        for route in ethernet.get("routes", [])
    ]
    return [*addresses, f"ip link set {link}{mtu} up", *routes]


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "'\"'\"'") + "'"


def script_of(disks: Iterable[str]) -> str:
    """Give the commands of the first of the disks that is a seed, as a script; without one it says so."""
    links = {}
    for link in os.listdir("/sys/class/net"):  # noqa: PTH208 -- pathlib takes its time to import
        with open(f"/sys/class/net/{link}/address") as file:  # noqa: PTH123
            links[file.read().strip()] = link
    for path in disks:
        try:
            with open(path, "rb") as disk:  # noqa: PTH123
                seed = read_seed(disk)
        except FileNotFoundError:
            continue
        if seed:
            return "\n".join(commands(seed, links)) + "\n"
    return "echo 'guest: no seed disk'\n"
