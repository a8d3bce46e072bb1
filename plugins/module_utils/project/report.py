# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read about projects: tables as plain text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..guest.capacity import free
from .capacity import held
from .record import leaving

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .record import Record


def questions(record: Record, testbed: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Give for each KVM host whom it shall hear: every machine of each network that spans its site, near or far."""
    asked: dict[str, list[dict[str, str]]] = {}
    for host, node in testbed["nodes"].items():
        if node["kind"] != "kvm_host":
            continue
        here = [
            {"interface": each["bridge"], "address": each["address"].split("/")[0], "mac": each["mac"]}
            for machine in record.get("machines", {}).values()
            for each in machine["networks"]
            if not leaving(machine) and node["site"] in record["networks"][each["name"]]["sites"]
        ]
        if here:
            asked[host] = here
    return asked


def answered(record: Record, said: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give a row for each machine: when it had answered everyone, and who has heard nothing of it.

    `said` is what the module arp_wait answered on each host. A MAC address belongs to one machine of the testbed.
    """
    rows = []
    for name, machine in record.get("machines", {}).items():
        if leaving(record) or leaving(machine):
            continue
        macs = {each["mac"] for each in machine["networks"]}
        after = [each["after"] for host in said.values() for each in host["answers"] if each["mac"] in macs]
        deaf = [host for host, one in said.items() if any(each["mac"] in macs for each in one["missing"])]
        rows.append(
            {
                "machine": name,
                "site": machine["site"],
                "host": machine["host"],
                "addresses": [each["address"].split("/")[0] for each in machine["networks"]],
                "after": max(after) if after and not deaf else None,
                "not_heard_by": deaf,
            }
        )
    return rows


def machine_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Give the rows of `answered` as a table."""
    shown = [("machine", "site", "host", "address", "answers after")]
    for row in rows:
        deaf = f"not heard by {', '.join(row['not_heard_by'])}" if row["not_heard_by"] else "not asked"
        time = deaf if row["after"] is None else f"{row['after']:.1f} s"
        shown.append((row["machine"], row["site"], row["host"], " ".join(row["addresses"]), time))
    return "\n".join(_columns(shown)) if rows else "The project has no machines."


def record_table(record: Record) -> str:
    """Give what one project holds, or would hold."""
    networks = [("network", "VLAN", "prefix", "sites")]
    networks += [
        (f"{name}{_mark(each)}", str(each["vlan"]), each["prefix"], ", ".join(each["sites"]))
        for name, each in record["networks"].items()
    ]
    machines = [("machine", "host", "vCPUs", "memory", "address")]
    machines += [
        (
            f"{name}{_mark(each)}",
            each["host"],
            str(each["vcpus"]),
            f"{each['memory_mib']} MiB",
            " ".join(nic["address"] for nic in each["networks"]),
        )
        for name, each in record["machines"].items()
    ]
    contact = f", {record['contact']}" if record["contact"] else ""
    head = f"{record['name']}{_mark(record)}{contact}, since {record['created']}"
    return "\n".join([head, *(f"  {line}" for part in (networks, machines) if part[1:] for line in _columns(part))])


def overview(records: Iterable[Record], capacities: Mapping[str, Mapping[str, int]]) -> str:
    """Give all that is held, project by project, and what is free on each KVM host."""
    records = list(records)
    taken = held(records)
    hosts = [("host", "free vCPUs", "free memory", "free guests")]
    for host, capacity in capacities.items():
        left = free(capacity, taken.get(host, {}))
        cells = [f"{left[key]} of {capacity[key]}" if key in left else "-" for key in ("vcpus", "memory_mib", "guests")]
        hosts.append((host, cells[0], f"{cells[1]} MiB" if cells[1] != "-" else "-", cells[2]))
    parts = [record_table(record) for record in records] or ["No project holds anything."]
    return "\n\n".join([*parts, "\n".join(_columns(hosts))])


def _mark(thing: Mapping[str, Any]) -> str:
    return " (leaving)" if leaving(thing) else ""


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
