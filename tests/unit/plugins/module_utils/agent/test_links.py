# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links: what probes and their answers say, and two agents' probes over loopback."""

from __future__ import annotations

import asyncio
import socket

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import links
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.links import REMEMBERED, Link, Links

from .agents import until


def test_the_time_is_smoothed_and_an_answer_counts_once_and_for_its_own_probe() -> None:
    link = Link("b", "192.0.2.2")
    link.probe(10.0, b"1")
    link.heard(10.08, b"2", 60)
    assert link.to_dict() == {"rtt_ms": None, "loss_percent": 0.0, "hops": None}
    link.heard(10.08, b"1", 60)
    link.heard(11.0, b"1", 60)
    assert link.to_dict() == {"rtt_ms": 80.0, "loss_percent": 0.0, "hops": 4}
    link.probe(12.0, b"3")
    link.heard(12.16, b"3", None)
    assert (round(link.rtt_ms or 0, 3), link.hops) == (90.0, None)


def test_loss_is_that_of_the_last_probes() -> None:
    link = Link("b", "192.0.2.2")
    for number in range(10):
        link.probe(number, b"%d" % number)
        if number % 2:
            link.heard(number, b"%d" % number, 64)
    assert link.loss_percent == pytest.approx(100 * 5 / 10)
    for number in range(10, 11 + REMEMBERED):
        link.probe(number, b"%d" % number)
    assert link.loss_percent == 100


def test_the_way_may_be_another_where_hops_are_others_and_after_a_link_was_down() -> None:
    link, told = Link("b", "192.0.2.2"), []
    # A probe with its TTL, or None where it gets lost.
    for number, ttl in enumerate([60, 60, None, None, 60, 61, None, None, None, 61, 61]):
        link.probe(number, b"%d" % number)
        if ttl:
            told.append(link.heard(number, b"%d" % number, ttl))
    assert told == [True, False, False, True, True, False]


def test_agents_measure_each_other_and_answer_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PERIOD_S", 0.05)

    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chosen:
            chosen.bind(("127.0.8.1", 0))
            port = chosen.getsockname()[1]
        known, changed = {"127.0.8.1", "127.0.8.2", "127.0.8.4"}, list[str]()
        one = Links("127.0.8.1", port, {"b": "127.0.8.2"}, known, changed.append)
        other = Links("127.0.8.2", port, {"a": "127.0.8.1"}, known)
        tasks = [asyncio.create_task(each.run()) for each in (one, other)]
        udp = socket.AF_INET, socket.SOCK_DGRAM
        with socket.socket(*udp) as stranger, socket.socket(*udp) as far:
            stranger.bind(("127.0.8.3", 0))
            far.bind(("127.0.8.4", 0))
            for each in (stranger, far):
                each.setblocking(False)
            try:
                await until(
                    lambda: (one.all["b"].rtt_ms and other.all["a"].rtt_ms) or any(task.done() for task in tasks)
                )
                for each in (stranger, far):
                    each.sendto(b"okiagari?12345678", ("127.0.8.1", port))
                before = one.all["b"]._sent_at
                await until(lambda: one.all["b"]._sent_at > before + 0.2)
                with pytest.raises(BlockingIOError):
                    stranger.recv(100)
                # A peer that is no neighbour is answered at the port from which it asks.
                assert far.recv(100) == b"okiagari!12345678"
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        assert one.to_dict()["b"]["hops"] == 0
        assert changed[:1] == ["b"]
        assert 0 < one.distance_ms < 1000

    asyncio.run(run())
