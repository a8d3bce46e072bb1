# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running domain is in QEMU: its memory, and the nodes that its disks are. It only looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..checkpoint.capturer import Guest
from ..checkpoint.guest_memory import NAME, ForeignMemory
from ..checkpoint.pages import PAGE
from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..checkpoint.monitor import AnyMonitor
    from .definition import Disk, Domain


def subject(monitor: AnyMonitor, domain: Domain, told: Mapping[str, Any]) -> Guest:
    """Give what is captured of a domain; raise `OkiagariError` with all that keeps it from being captured."""
    blocks = {word: each for each in monitor.execute("query-block") for word in each.get("qdev", "").split("/")}
    wrong = list(_obstacles(monitor, domain, blocks))
    if wrong:
        raise OkiagariError(f"{domain.name} can't be captured: {'; '.join(wrong)}")
    inserted = {disk.target: blocks[disk.alias]["inserted"] for disk in domain.disks}
    memory = _memory(monitor, domain.name)
    return Guest(
        memory,
        {target: int(each["image"]["virtual-size"]) for target, each in inserted.items()},
        {target: each["node-name"] for target, each in inserted.items()},
        unwatched=True,
        told={**told, "memory": memory.name},
    )


def _memory(monitor: AnyMonitor, name: str) -> ForeignMemory:
    there = monitor.execute("query-memdev")
    if len(there) > 1:
        raise OkiagariError(f"{name} can't be captured: its memory is in {len(there)} parts (NUMA nodes), not in one")
    size = int(monitor.execute("query-memory-size-summary")["base-memory"])
    return ForeignMemory(size, str(there[0].get("id", NAME)) if there else NAME)


def _obstacles(monitor: AnyMonitor, domain: Domain, blocks: Mapping[str, Any]) -> Iterator[str]:
    migration = monitor.execute("query-migrate")
    yield from migration.get("blocked-reasons", ())
    if migration.get("status") not in (None, "none", "completed", "failed", "cancelled"):
        yield "it is being migrated or saved"
    for disk in domain.disks:
        yield from _obstacles_of(disk, blocks.get(disk.alias, {}).get("inserted"))


def _obstacles_of(disk: Disk, inserted: Mapping[str, Any] | None) -> Iterator[str]:
    if inserted is None:
        yield f"QEMU doesn't know its disk {disk.target}"
    elif not inserted.get("node-name"):
        yield f"its disk {disk.target} has no name in QEMU"
    elif (size := int(inserted["image"]["virtual-size"])) % PAGE:
        yield f"its disk {disk.target} has {size} bytes, not a whole number of {PAGE}: virsh blockresize it"
