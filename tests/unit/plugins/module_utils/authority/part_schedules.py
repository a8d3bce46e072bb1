# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random schedules of faults over a service with the consistency `available`, and what must hold in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .schedules import (
    TROUBLE_S,
    crash,
    flapping,
    hand_over,
    loss,
    one_way,
    rebooted_hosts,
    repeats,
    restarted_agents,
    slow_links,
    split,
    stopped_agents,
    suspicion,
)
from .simulated_parts import Parts

if TYPE_CHECKING:
    import random

    from .simulated_parts import Place

PART_S = 60.0
"""By when after the network is as it is to stay, each part has one server, which stays."""
MERGE_S = 150.0
"""By when after the last split has healed, and all hosts are there, everything is merged."""
STEADY_S = 20.0


def damaged_ledger(world: Parts, chance: random.Random, at: float) -> None:
    """A host loses its power, and its ledger has a flipped bit when it is back."""

    def begin() -> None:
        host = chance.choice(world.hosts)
        if host.on:
            host.power_off()
            host.ledger = host.ledger[:-1] + b"?"
            host.forget()
            world.events.after(chance.uniform(0.5, 20.0), lambda: host.on or host.power_on())

    world.events.at(at, begin)


FAULTS = (
    split, one_way, flapping, slow_links, loss, repeats, stopped_agents, restarted_agents, rebooted_hosts, hand_over,
    suspicion, crash, damaged_ledger,
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a schedule came to, and how much happened."""

    parts: int
    servers: int
    starts: int
    merges: int
    writes: int
    alone_s: float
    """Seconds from the heal to the last start or end of a server."""
    messages: int


def run(seed: object, agents: int = 0) -> Outcome:
    """Run a schedule: trouble, then a split that stays for a while, then a whole network. Raises `AssertionError`."""
    world = Parts(seed, agents)
    chance = world.chance
    for _fault in range(chance.randint(2, 10)):
        chance.choice(FAULTS)(world, chance, chance.uniform(0.0, TROUBLE_S))
    world.events.run(TROUBLE_S)
    parts = divide(world)
    world.events.run(TROUBLE_S + PART_S)
    servers = dict(world.running)
    for part in parts:
        here = [number for number in part if number in servers]
        assert len(here) == 1, f"{len(here)} servers in the part {part}: {here}"
    world.events.run(TROUBLE_S + PART_S + STEADY_S)
    assert world.running == servers, f"servers of parts don't stay: {servers}, then {world.running}"
    world.network.heal()
    healed = world.events.now
    changed = healed
    while world.events.now < healed + MERGE_S:
        before = dict(world.running)
        world.events.run(world.events.now + 0.5)
        changed = changed if world.running == before else world.events.now
    check(world)
    assert changed <= healed + PART_S, f"servers still change {changed - healed:.1f} s after the heal"
    return Outcome(
        len(parts), len(servers), len(world.starts), sum(world.merges.values()), len(world.written),
        changed - healed, world.messages,
    )  # fmt: skip


def divide(world: Parts) -> list[list[int]]:
    """End all faults, and split the network into one to three parts; everybody is there."""
    chance = world.chance
    world.network.heal()
    numbers = list(range(len(world.hosts)))
    chance.shuffle(numbers)
    cuts = sorted(chance.sample(range(1, len(numbers)), chance.randint(0, 2)))
    parts = [numbers[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(numbers)], strict=True)]
    where = {number: index for index, part in enumerate(parts) for number in part}
    world.network.cut([(one, other) for one in numbers for other in numbers if where[one] != where[other]])
    for host in world.hosts:
        if not host.on:
            host.power_on()
        host.start_agent()
        host.continue_agent()
        host.tell(lambda each, _now: each.trust() or [])
    return parts


def check(world: Parts) -> None:
    """Check that one server is left, that it has all that was ever written anywhere, and how often each was merged."""
    assert len(world.running) == 1, f"servers after the heal: {sorted(world.running)}"
    survivor: Place = world.hosts[next(iter(world.running))]
    lost = world.written - survivor.state
    assert not lost, f"{len(lost)} of {len(world.written)} writes are lost: {sorted(lost)[:5]}"
    owing = [host.name for host in world.hosts if host is not survivor and host.written().owed]
    assert not owing, f"{owing} still owe what they did"
    for each, count in world.merges.items():
        assert count <= 1 + world.doubts[each], f"{each[0]} merged {each[2][:8]} of {each[1]} {count} times"
    left = {host.name: len(host.blobs) for host in world.hosts if host.blobs}
    assert not left, f"exports are left: {left}"
