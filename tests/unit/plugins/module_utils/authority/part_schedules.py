# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random schedules of faults over a service with the consistency `available`, and what must hold in each of them.

The service allows one to three servers beside each other: further ones are asked for, and merged, at any instant.
"""

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
SHARE_S = 120.0
"""By when what one of the servers was told that run beside each other on purpose is at all of them."""
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


def replicate(world: Parts, chance: random.Random, at: float) -> None:
    """Further servers are asked for, one or more at one time, also more than there may be."""
    hosts = chance.sample(world.hosts, chance.randint(1, len(world.hosts)))
    for host in hosts:
        world.events.at(at, host.replicate)


def merge_back(world: Parts, chance: random.Random, at: float) -> None:
    """Further servers are to be merged, wherever there are any."""
    for host in chance.sample(world.hosts, chance.randint(1, len(world.hosts))):
        world.events.at(at, host.merge_back)


FAULTS = (
    split, one_way, flapping, slow_links, loss, repeats, stopped_agents, restarted_agents, rebooted_hosts, hand_over,
    suspicion, crash, damaged_ledger, replicate, replicate, merge_back,
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
    """Seconds from the heal to the last start or end of an elected server."""
    replicas: int
    beside: int
    """How many further servers ran when they were merged in the end."""
    messages: int


def run(seed: object, agents: int = 0) -> Outcome:
    """Run a schedule: trouble, then a split that stays for a while, then a whole network. Raises `AssertionError`."""
    world = Parts(seed, agents)
    chance = world.chance
    for _fault in range(chance.randint(2, 10)):
        chance.choice(FAULTS)(world, chance, chance.uniform(0.0, TROUBLE_S))
    world.events.run(TROUBLE_S)
    parts = divide(world)
    demand(world, PART_S)
    world.events.run(TROUBLE_S + PART_S)
    servers = world.elected
    for part in parts:
        here = [number for number in part if number in servers]
        assert len(here) == 1, f"{len(here)} elected servers in the part {part}: {here}"
    world.events.run(TROUBLE_S + PART_S + STEADY_S)
    assert world.elected == servers, f"servers of parts don't stay: {servers}, then {world.elected}"
    world.network.heal()
    demand(world, PART_S / 2)
    healed = world.events.now
    changed = healed
    while world.events.now < healed + MERGE_S:
        before = world.elected
        world.events.run(world.events.now + 0.5)
        changed = changed if world.elected == before else world.events.now
        if world.events.now == healed + MERGE_S - SHARE_S:
            written = set(world.written)
    beside = together(world, written)
    while world.events.now < healed + 2 * MERGE_S:
        for host in world.hosts:
            host.merge_back()
        world.events.run(world.events.now + 5.0)
    check(world)
    assert changed <= healed + PART_S, f"servers still change {changed - healed:.1f} s after the heal"
    return Outcome(
        len(parts), len(servers), len(world.starts), sum(world.merges.values()), len(world.written),
        changed - healed, world.replicas, beside, world.messages,
    )  # fmt: skip


def demand(world: Parts, seconds: float) -> None:
    """Have further servers asked for, and merged, in the next so many seconds."""
    for _request in range(world.chance.randint(0, 4)):
        at = world.events.now + world.chance.uniform(0.0, seconds)
        world.chance.choice((replicate, replicate, merge_back))(world, world.chance, at)


def together(world: Parts, written: set[str]) -> int:
    """Check the servers that run beside each other: how many, and that each has all of this; give how many further."""
    assert len(world.elected) == 1, f"elected servers after the heal: {world.elected}"
    assert len(world.running) <= world.most, f"{len(world.running)} servers, and {world.most} are allowed"
    for number in world.running:
        lacks = written - world.hosts[number].state
        assert not lacks, f"{world.names[number]} lacks {len(lacks)} of {len(written)} writes: {sorted(lacks)[:5]}"
    return len(world.running) - 1


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
    left = {host.name: blobs for host in world.hosts if (blobs := host.blobs.keys() - host.unknown)}
    assert not left, f"exports are left: {left}"
