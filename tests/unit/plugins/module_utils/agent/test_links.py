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


def test_agents_measure_each_other_and_answer_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PERIOD_S", 0.05)

    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chosen:
            chosen.bind(("127.0.8.1", 0))
            port = chosen.getsockname()[1]
        one, other = Links("127.0.8.1", port, {"b": "127.0.8.2"}), Links("127.0.8.2", port, {"a": "127.0.8.1"})
        tasks = [asyncio.create_task(each.run()) for each in (one, other)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.8.3", 0))
            stranger.setblocking(False)
            try:
                await until(
                    lambda: (one.all["b"].rtt_ms and other.all["a"].rtt_ms) or any(task.done() for task in tasks)
                )
                stranger.sendto(b"okiagari?12345678", ("127.0.8.1", port))
                before = one.all["b"]._sent_at
                await until(lambda: one.all["b"]._sent_at > before + 0.2)
                with pytest.raises(BlockingIOError):
                    stranger.recv(100)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        assert one.to_dict()["b"]["hops"] == 0
        assert 0 < one.distance_ms < 1000

    asyncio.run(run())
