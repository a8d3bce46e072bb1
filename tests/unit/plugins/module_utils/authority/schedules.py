# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random schedules of faults, each from its own seed, and what must hold in every one of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Timing
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.actions import StartService

from .simulated_agents import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from .simulated_agents import Host

TROUBLE_S = 60.0
BOUND_S = 40.0
"""By when after a majority is connected again a server runs that stays."""
STEADY_S = 10.0


@dataclass(frozen=True)
class Outcome:
    """What a schedule came to: seconds from the connected majority to a server, and how much happened."""

    recovered_s: float
    runs: int
    terms: int
    messages: int
    fenced: int
    events: int


def run(seed: object, timing: Timing | None = None) -> Outcome:
    """Run a schedule. Raises `AssertionError` (`TwoServers` among them) if anything doesn't hold."""
    timing = timing or Timing()
    world = prepared(seed, timing)
    chance = world.chance
    for _fault in range(chance.randint(4, 14)):
        FAULTS[chance.choice(list(FAULTS))](world, chance, chance.uniform(0.0, TROUBLE_S))
    world.events.run(TROUBLE_S)
    connected = calm(world)
    world.events.run(TROUBLE_S + BOUND_S + STEADY_S)
    assert world.holder in connected, "a majority is connected, and there is no server"
    started = world.starts[-1]
    assert started <= TROUBLE_S + BOUND_S, f"a server {started - TROUBLE_S:.1f} s after a majority was connected"
    check(world)
    return Outcome(
        max(started - TROUBLE_S, 0.0), len(world.starts),
        len(world.store.holders), world.messages, world.refused, world.events.done,
    )  # fmt: skip


def prepared(seed: object, timing: Timing) -> World:
    """Make a world of 3 to 12 agents, of which 3 or 5 vote."""
    chance = random.Random(f"{seed} size")
    agents = chance.randint(3, 12)
    return World(seed, agents, 3 if agents < 5 else chance.choice((3, 5)), timing)


def check(world: World) -> None:
    """Check what the store noted: tokens rise, and so do terms, so that no term has two holders."""
    terms = [term for term, _token, _host in world.store.holders]
    tokens = [token for _term, token, _host in world.store.holders]
    assert tokens == sorted(set(tokens)), f"tokens don't rise: {tokens}"
    assert terms == sorted(set(terms)), f"two holders in one term, or an older one: {terms}"


def calm(world: World) -> list[Host]:
    """End all faults; or cut off as many hosts as a majority of voters can do without. Give the ones connected."""
    chance = world.chance
    gone: set[int] = set()
    if chance.random() < 0.5 and not any(host.forgetful for host in world.hosts):
        spare = (len(world.members) - 1) // 2
        gone = set(chance.sample(world.members, chance.randint(0, spare)))
        gone |= {each.number for each in world.hosts if each.number not in world.members and chance.random() < 0.3}
    world.network.heal()
    ends = [host for host in world.hosts if host.number not in gone]
    world.network.cut([link for host in ends for each in gone for link in ((host.number, each), (each, host.number))])
    for host in world.hosts:
        if not host.on:
            host.power_on()
        host.start_agent()
        host.continue_agent()
    return ends


# faults: each is begun at an instant, and ends by itself before or with the trouble


def split(world: World, chance: random.Random, at: float) -> None:
    numbers = range(len(world.hosts))
    part = chance.sample(numbers, chance.randint(1, len(world.hosts) - 1))
    links = [(one, other) for one in part for other in numbers if other not in part]
    _cut_for(world, chance, at, links + [(other, one) for one, other in links])


def one_way(world: World, chance: random.Random, at: float) -> None:
    """What some hosts send is lost, or what is sent to them."""
    numbers = range(len(world.hosts))
    part = chance.sample(numbers, chance.randint(1, len(world.hosts) - 1))
    links = [(one, other) for one in part for other in numbers if other not in part and chance.random() < 0.8]
    _cut_for(world, chance, at, links if chance.random() < 0.5 else [(other, one) for one, other in links])


def holder_deaf_or_dumb(world: World, chance: random.Random, at: float) -> None:
    """What the holder sends arrives, and no answer; or the other way round."""

    def begin() -> None:
        if host := world.holder:
            links = [(host.number, other) for other in range(len(world.hosts)) if other != host.number]
            _cut_for(world, chance, world.events.now, links if chance.random() < 0.5 else [(b, a) for a, b in links])

    world.events.at(at, begin)


def flapping(world: World, chance: random.Random, at: float) -> None:
    numbers = range(len(world.hosts))
    part = chance.sample(numbers, chance.randint(1, len(world.hosts) - 1))
    links = [(one, other) for one in part for other in numbers if other not in part]
    links += [(other, one) for one, other in links]
    end = at + chance.uniform(5.0, 30.0)
    while at < min(end, TROUBLE_S):
        down = chance.uniform(0.2, 3.0)
        world.events.at(at, world.network.cut, links)
        world.events.at(min(at + down, TROUBLE_S), world.network.cut, links, -1)
        at += down + chance.uniform(0.2, 3.0)


def slow_links(world: World, chance: random.Random, at: float) -> None:
    """Links of some hosts, mostly in one direction, take seconds."""
    numbers = range(len(world.hosts))
    part = set(chance.sample(numbers, chance.randint(1, len(world.hosts))))
    ways = chance.choice(("to", "from", "both"))
    delay = chance.choice((0.3, 2.0, 9.0))
    slow = {
        (a, b): delay for a in numbers for b in numbers
        if (a in part and ways != "to") or (b in part and ways != "from")
    }  # fmt: skip
    world.events.at(at, world.network.slow.update, slow)
    world.events.at(min(at + chance.uniform(3.0, 30.0), TROUBLE_S), world.network.slow.clear)


def loss(world: World, chance: random.Random, at: float) -> None:
    def lose(share: float) -> None:
        world.network.loss = share

    world.events.at(at, lose, chance.uniform(0.05, 0.5))
    world.events.at(min(at + chance.uniform(3.0, 20.0), TROUBLE_S), lose, 0.0)


def repeats(world: World, chance: random.Random, at: float) -> None:
    def repeat(share: float) -> None:
        world.network.repeats = share

    world.events.at(at, repeat, 0.5)
    world.events.at(at + 10.0, repeat, 0.03)


def stopped_agents(world: World, chance: random.Random, at: float) -> None:
    """SIGSTOP, of the holder's agent or of any, for less or more than the lease; also between decision and deed."""

    def begin() -> None:
        many = chance.choice((1, 1, len(world.hosts)))
        hosts = [world.holder] if world.holder and chance.random() < 0.6 else chance.sample(world.hosts, many)
        for host in hosts:
            if chance.random() < 0.5:
                host.stop_agent()
            else:
                host.stalls = (object,)
            world.events.after(chance.uniform(0.5, 25.0), host.continue_agent)

    world.events.at(at, begin)


def stopped_before_the_start(world: World, chance: random.Random, at: float) -> None:
    """Whoever is about to start the service stops right before it, for longer than its lease lasts."""

    def begin() -> None:
        for host in world.hosts:
            host.stalls = (StartService,)
            world.events.after(chance.uniform(8.0, 35.0), host.continue_agent)

    world.events.at(at, begin)


def congestion(world: World, chance: random.Random, at: float) -> None:
    """What is sent to the holder queues up and comes later and later, and still comes when it has been cut off."""

    def begin() -> None:
        host = world.holder
        if host and host.number != world.store.leader:
            lasts = chance.uniform(9.0, 12.0)
            world.network.queues[host.number] = (world.events.now, chance.uniform(1.8, 2.8))
            world.events.after(lasts, world.network.queues.pop, host.number, None)
            links = [(host.number, other) for other in range(len(world.hosts)) if other != host.number]
            world.events.after(lasts, world.network.cut, links + [(other, one) for one, other in links])

    world.events.at(16.0 + at / 4, begin)


def restarted_agents(world: World, chance: random.Random, at: float) -> None:
    def begin() -> None:
        many = chance.choice((1, 1, len(world.hosts)))
        hosts = [world.holder] if world.holder and chance.random() < 0.5 else chance.sample(world.hosts, many)
        for host in hosts:
            host.kill_agent()
            world.events.after(chance.uniform(0.1, 12.0), host.start_agent)

    world.events.at(at, begin)


def rebooted_hosts(world: World, chance: random.Random, at: float) -> None:
    """One, or all; what was on disk stays, but for a copy of the record, of one host both."""

    def begin() -> None:
        many = chance.choice((1, 1, len(world.hosts)))
        hosts = [world.holder] if world.holder and chance.random() < 0.4 else chance.sample(world.hosts, many)
        for host in hosts:
            if host.on:
                host.power_off()
                _damage(world, host, chance)
                world.events.after(chance.uniform(0.5, 20.0), _power_on, host)

    world.events.at(at, begin)


def revoked_early(world: World, chance: random.Random, at: float) -> None:
    """The store, or somebody, ends the holder's lease, or deletes its key, while it serves."""

    def begin() -> None:
        store = world.store
        if store.key and store.leader is not None:
            if chance.random() < 0.5:
                store.revoke(store.key.lease)
            else:
                store.delete()

    world.events.at(at, begin)


def hasty_operator(world: World, chance: random.Random, at: float) -> None:
    """The holder hangs; somebody revokes its lease, and hands the service over while the next one still waits."""

    def begin() -> None:
        if world.holder and world.store.key and world.store.leader is not None:
            world.holder.stop_agent()
            world.events.after(chance.uniform(5.0, 20.0), world.holder.continue_agent)
            world.store.revoke(world.store.key.lease)
            for seconds in range(1, 6):
                hand_over(world, chance, world.events.now + seconds)

    world.events.at(at, begin)


def hand_over(world: World, chance: random.Random, at: float) -> None:
    heir = chance.choice(world.names)
    world.events.at(
        at, lambda: [host.tell(lambda each, _now: each.hand_over(heir)) for host in world.hosts if host.name != heir]
    )


def suspicion(world: World, chance: random.Random, at: float) -> None:
    """Some agents suspect the holder, rightly or not, and trust it again."""
    hosts = chance.sample(world.hosts, chance.randint(1, len(world.hosts)))

    def tell(suspect: bool) -> None:
        for host in hosts:
            host.tell(lambda each, now: (each.suspect(now) if suspect else each.trust()) or [])

    world.events.at(at, tell, True)
    world.events.at(at + chance.uniform(1.0, 20.0), tell, False)


def crash(world: World, chance: random.Random, at: float) -> None:
    world.events.at(at, lambda: world.holder and world.holder.exit(world.holder.instance))


FAULTS: dict[str, Callable[[World, random.Random, float], None]] = {
    "split": split,
    "one way": one_way,
    "holder deaf or dumb": holder_deaf_or_dumb,
    "flapping": flapping,
    "slow links": slow_links,
    "loss": loss,
    "repeats": repeats,
    "stopped agents": stopped_agents,
    "stopped before the start": stopped_before_the_start,
    "congestion": congestion,
    "hasty operator": hasty_operator,
    "restarted agents": restarted_agents,
    "rebooted hosts": rebooted_hosts,
    "revoked early": revoked_early,
    "hand over": hand_over,
    "suspicion": suspicion,
    "crash": crash,
}


def _cut_for(world: World, chance: random.Random, at: float, links: list[tuple[int, int]]) -> None:
    at = min(at, TROUBLE_S)
    end = min(at + chance.choice((3.0, 12.0, 30.0)) * chance.uniform(0.5, 1.5), TROUBLE_S)
    world.events.at(at, world.network.cut, links)
    world.events.at(end, world.network.cut, links, -1)


def _power_on(host: Host) -> None:
    if not host.on:
        host.power_on()


def _damage(world: World, host: Host, chance: random.Random) -> None:
    """Truncate or flip what is on disk."""
    both = chance.random() < 0.3 and not any(each.copies["a"] is None for each in world.hosts)
    for name in ("a", "b") if both else (chance.choice(("a", "b")),):
        if both:
            host.copies[name] = None
        elif copy := host.copies[name]:
            place = chance.randrange(len(copy))
            flipped = copy[:place] + bytes([copy[place] ^ (1 << chance.randrange(8))]) + copy[place + 1 :]
            host.copies[name] = chance.choice((copy[:place], flipped))
