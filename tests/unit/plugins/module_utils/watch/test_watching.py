# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded runs of hosts that watch a service: no false alarm, no late one, and what is wrong on purpose is caught."""

from __future__ import annotations

import random
from functools import cache
from statistics import mean
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import OwnHealth, Suspicion, Watch
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import suspicion as suspicion_module

from .simulated_watch import HOLDER, SITES, World

if TYPE_CHECKING:
    from collections.abc import Collection

    from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Observation

LONG = 10_000
OBSERVERS = {host: SITES[host] for host in "abc"}


def test_lost_requests_are_no_suspicion() -> None:
    world = World("loss", OBSERVERS, loss=0.1)
    world.run(LONG)
    assert world.said == []


@pytest.mark.parametrize("agents", range(3, 13))
def test_the_server_is_asked_as_often_whatever_the_number_of_agents(agents) -> None:
    world = World("requests", {host: host for host in "abcdefghijkl"[:agents]})
    world.run(20.0)
    assert world.requests == 2 * 20  # its own host's requests aren't counted: they load no network


@pytest.mark.parametrize("what", ["host", "service", "site"])
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_a_dead_server_is_suspected_in_time(what, loss) -> None:
    for seed in range(10):
        world = World(f"{what} {loss} {seed}")
        end = world.chance.uniform(5.0, 7.0)
        world.run(end)
        world.loss = loss
        if what == "host":
            world.dead = {HOLDER}
        elif what == "site":
            world.isolate({HOLDER})
        world.ill = what == "service"
        slack = 0.0 if loss == 0.0 else 4 * world.watch.period_s
        world.run(end + world.watch.suspected_s + slack)
        suspecting = world.suspecting()
        assert suspecting.keys() >= SITES.keys() - {HOLDER}
        assert (HOLDER in suspecting) == (what == "service")
        assert min(suspecting.values()) > end + 2 * world.watch.period_s


@pytest.mark.parametrize("clients_s", [0.01, 0.1, 0.2])
def test_a_server_whose_clients_are_answered_is_not_asked(clients_s) -> None:
    world = World("clients", clients_s=clients_s)
    world.run(1.0 + world.watch.period_s)  # until then nobody knows how much was answered before
    before = world.requests
    world.run(1000.0)
    assert world.requests == before
    assert world.said == []


@cache
def delays(what: str, clients_s: float | None) -> list[float]:
    """How long it took, in several worlds, until everybody suspected a server that had ended."""
    found = []
    for seed in range(40):
        world = World(f"{what} {seed}", clients_s=clients_s)
        end = random.Random(seed).uniform(5.0, 7.0)
        world.run(end)
        if what == "host":
            world.dead = {HOLDER}
        elif what == "site":
            world.isolate({HOLDER})
        world.ill = what == "service"
        world.run(end + world.watch.suspected_s)
        suspecting = world.suspecting()
        assert suspecting.keys() >= SITES.keys() - {HOLDER}
        found.append(max(suspecting[host] for host in "bcd") - end)
    return found


@pytest.mark.parametrize("what", ["host", "service", "site"])
@pytest.mark.parametrize("clients_s", [0.01, 0.1, 0.5, 1.0, 3.0])
def test_whoever_goes_by_clients_is_no_later(what, clients_s) -> None:
    """In time in each world, and as soon as without clients on the average, but for chance."""
    assert mean(delays(what, clients_s)) < mean(delays(what, None)) + 0.1 * Watch().period_s


def test_a_server_that_is_well_again_is_trusted_again() -> None:
    world = World("again")
    world.run(10.0)
    world.ill = True
    world.run(20.0)
    world.ill = False
    world.run(23.0)
    assert [suspected for _when, host, suspected in world.said if host == "d"] == [True, False]


def one_busy() -> bool:
    world = World("busy")
    world.busy = {"b"}
    world.run(1000)
    return bool(world.said)


def two_busy() -> bool:
    world = World("two busy")
    world.busy = {"b", "c"}
    world.run(1000)
    return bool(world.said)


def site_without_a_path() -> bool:
    """The hosts of a site, most of the observers, can't reach the server; all hear each other through relays."""
    world = World("site", {"a": "A", "b": "B", "b2": "B", "b3": "B"}, watch=Watch(observers=4))
    world.run(5.0)
    world.cut = {frozenset((HOLDER, host)) for host in ("b", "b2", "b3")}
    world.run(60.0)
    return bool(world.said)


def dead_and_not_noticed() -> bool:
    """Of two hosts, the server's own dies."""
    world = World(
        "two",
        {
            "a": "A",
            "b": "B",
        },
    )
    world.run(5.0)
    world.dead = {HOLDER}
    world.run(30.0)
    return "b" not in world.suspecting()


def test_an_isolated_observer_makes_nobody_else_suspect() -> None:
    world = World("isolated")
    world.run(5.0)
    world.isolate({"b"})
    world.run(1000)
    assert world.suspecting().keys() == {"b"}  # which can't know, and needs a majority for whatever follows
    assert world.suspecting()["b"] > 5.0 + world.watch.suspected_s  # it doubted itself first


@pytest.mark.parametrize("wrong", [one_busy, two_busy, site_without_a_path, dead_and_not_noticed])
def test_what_must_not_happen_does_not(wrong) -> None:
    assert not wrong()


def each_for_itself(observations: Collection[Observation]) -> dict[str, float]:
    return {each.observer: each.level for each in observations}


@pytest.mark.parametrize(
    ("owner", "name", "variant", "wrong"),
    [
        (OwnHealth, "multiplier", 1.0, two_busy),
        (suspicion_module, "by_domain", each_for_itself, site_without_a_path),
        (Suspicion, "_good_for", lambda _suspicion, _observation: float("inf"), dead_and_not_noticed),
    ],
)
def test_what_is_wrong_on_purpose_is_caught(monkeypatch, owner, name, variant, wrong) -> None:
    monkeypatch.setattr(owner, name, variant)
    assert wrong()
