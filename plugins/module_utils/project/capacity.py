# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a KVM host can carry, what is held there, and what is short. Nothing is given twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..guest.capacity import RESOURCES, lacking

Amounts = Mapping[str, int]


def published(text: str) -> dict[str, int]:
    """Give the capacity that a KVM host publishes as a local fact, or nothing if `text` says none."""
    try:
        said = json.loads(text)["capacity"]
        named = {**said, "memory_mib": said.get("memory_mib", said.get("memory_mb"))}
        return {key: int(named[key]) for key in RESOURCES if named.get(key) is not None}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def amounts(machine: Mapping[str, Any]) -> dict[str, int]:
    """Give what one machine takes of each resource."""
    return {**{key: int(machine[key]) for key in ("vcpus", "memory_mib", "disk_mib")}, "guests": 1}


def held(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Give what all machines of `records` take, host by host; also those on their way out."""
    total: dict[str, dict[str, int]] = {}
    for record in records:
        for machine in record["machines"].values():
            take(total, machine["host"], machine)
    return total


def take(total: dict[str, dict[str, int]], host: str, machine: Mapping[str, Any]) -> None:
    """Add a machine to what is held on `host`."""
    here = total.setdefault(host, dict.fromkeys(RESOURCES, 0))
    for key, amount in amounts(machine).items():
        here[key] += amount


def fits(capacity: Amounts, held_there: Amounts, machine: Mapping[str, Any]) -> bool:
    """Say whether the host has room for one more machine."""
    return not lacking(capacity, held_there, amounts(machine))


def shortages(host: str, capacity: Amounts, held_there: Amounts, machine: Mapping[str, Any]) -> list[str]:
    """Say for each resource that is short on `host` how much of it there is; nothing if the machine fits."""
    return [f"{host}: {words}" for words in lacking(capacity, held_there, amounts(machine))]
