# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project holds, as plain JSON. What is on its way out has `"releasing": true`, and is held until it is gone.

A record is a value: every function here gives a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import BadInput, OkiagariError, Problem
from .capacity import held, shortages

SCHEMA = 1

Record = Mapping[str, Any]

_PARTS = ("networks", "machines")
_KEYS = {"schema": int, "name": str, "contact": str, "created": str, "networks": dict, "machines": dict}


def checked(data: Any) -> dict[str, Any]:
    """Give `data` if it is a record that can be read here; raise `OkiagariError` for anything else."""
    if not isinstance(data, dict) or not all(isinstance(data.get(key), kind) for key, kind in _KEYS.items()):
        raise OkiagariError("is not the record of a project")
    if data["schema"] != SCHEMA:
        raise OkiagariError(f"is a record of schema {data['schema']}, and only schema {SCHEMA} can be read here")
    return data


def leaving(thing: Mapping[str, Any]) -> bool:
    """Say whether a record, or a network or machine of one, is on its way out."""
    return bool(thing.get("releasing"))


def leaving_in(record: Record) -> bool:
    """Say whether the record or anything in it is on its way out."""
    return bool(record) and (leaving(record) or any(leaving(each) for part in _PARTS for each in record[part].values()))


def marked(record: Record) -> dict[str, Any]:
    """Give the record of a project that is about to be removed."""
    return {**record, "releasing": True}


def released(record: Record) -> dict[str, Any]:
    """Give the record without what was on its way out and is gone now; empty if the whole project was."""
    if leaving(record):
        return {}
    return {**record, **{part: _staying(record[part]) for part in _PARTS}}


def active(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give what shall stand: the records without all that is on its way out."""
    return [standing for standing in map(released, records) if standing]


def machines(record: Record) -> list[dict[str, Any]]:
    """Give the machines as a list, each with its `name`, its `project`, and `state`: `present`, or `absent` to go."""
    return [
        {
            **{key: value for key, value in machine.items() if key != "releasing"},
            "name": name,
            "project": record["name"],
            "state": "absent" if leaving(record) or leaving(machine) else "present",
        }
        for name, machine in record.get("machines", {}).items()
    ]


def moved(
    records: Iterable[Record], machine: str, host: str, testbed: Mapping[str, Any], capacities: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the record of the project whose `machine` is to be on `host`; raise `BadInput` if it can't be there.

    `capacities` may leave `host` out: then its room isn't checked.
    """
    records = list(records)
    record = next((each for each in records if machine in each["machines"]), None)
    if record is None:
        raise BadInput([Problem("", None, "machine", f"no project holds a machine {machine}")])
    node = testbed["nodes"].get(host, {})
    if node.get("kind") != "kvm_host":
        raise BadInput([Problem("", None, "host", f"the testbed has no KVM host {host}")])
    entry = record["machines"][machine]
    problems = [
        f"the network {each['name']} of {record['name']} doesn't span {node['site']}"
        for each in entry["networks"]
        if node["site"] not in record["networks"][each["name"]]["sites"]
    ]
    if host in capacities and host != entry["host"]:
        problems += shortages(host, capacities[host], held(records).get(host, {}), entry)
    if problems:
        raise BadInput([Problem("", None, machine, message) for message in problems])
    return {**record, "machines": {**record["machines"], machine: {**entry, "site": node["site"], "host": host}}}


def _staying(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: thing for name, thing in part.items() if not leaving(thing)}
