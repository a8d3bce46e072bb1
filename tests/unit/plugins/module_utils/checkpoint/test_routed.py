# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told to `ip` and `sysctl` of a routed guest; contract tests have the real ones, and a lab has the routers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import routed
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.machine import flaws, machine
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.outlet import have, keep, outlet, plug_in
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.machine import Network
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = Path("/var/lib/agent/machines/db/run")
FRONT = Network("front", "", "02:00:00:00:00:17", "10.253.0.10/24", "10.253.0.1", 1400, routed=True)
TAP = outlet(RUN, "front").tap


class FakeRunner:
    """Notes what it is told, and answers all of it alike."""

    def __init__(self, answer: Completed = Completed(0, "[]", "")) -> None:  # noqa: B008
        self.said: list[str] = []
        self._answer = answer

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        self.said += input.splitlines() if input else [" ".join(argv)]
        return self._answer


def test_the_host_is_the_gateway_before_it_has_a_route() -> None:
    runner, card = FakeRunner(), f"net/ipv4/conf/{TAP}"
    settings = [f"{card}/forwarding=1", f"{card}/proxy_arp=1", f"net/ipv4/neigh/{TAP}/proxy_delay=0"]
    routed.connect(runner, RUN, {"front": FRONT, "lan": Network("lan", "br12", "02:00:00:00:00:18")})
    assert runner.said == [
        f"link set dev {TAP} address 02:00:00:00:00:01 mtu 1400 addrgenmode none",
        f"link set dev {TAP} up",
        f"address add 10.253.0.1/32 dev {TAP}",
        f"sysctl --quiet --write {' '.join(settings)}",
    ]
    runner.said.clear()
    routed.route(runner, RUN, {"front": FRONT})
    assert runner.said == [f"route add 10.253.0.10/32 dev {TAP} proto 79"]


def test_a_route_that_is_there_is_not_taken_away() -> None:
    with pytest.raises(OkiagariError, match=r"route add 10\.253\.0\.10/32 .*File exists"):
        routed.route(FakeRunner(Completed(1, "", "RTNETLINK answers: File exists")), RUN, {"front": FRONT})


def test_who_has_no_routed_card_is_told_nothing() -> None:
    runner, bridged = FakeRunner(), {"lan": Network("lan", "br12", "02:00:00:00:00:18")}
    routed.connect(runner, RUN, bridged)
    routed.route(runner, RUN, bridged)
    assert runner.said == []


def test_a_routed_card_is_in_no_bridge() -> None:
    runner = FakeRunner()
    have(runner, RUN, {"front": FRONT})
    plug_in(runner, RUN, {"front": FRONT})
    assert runner.said == []
    keep(runner, RUN.parents[1], {RUN: {"front": FRONT}})
    assert runner.said == ["ip -j link show"]


def test_as_it_is_described() -> None:
    said = {
        "memory": 64, "template": "tiny",
        "networks": {"front": {"routed": True, "address": "10.253.0.10/24", "gateway": "10.253.0.1"}},
    }  # fmt: skip
    assert list(flaws(said)) == []
    front = machine("db", said).networks["front"]
    assert (front.routed, front.bridge, front.gateway) == (True, "", "10.253.0.1")


@pytest.mark.parametrize(
    ("network", "messages"),
    [
        ({"routed": True, "bridge": "br12", "address": "10.253.0.10/24", "gateway": "10.253.0.1"}, ["leave br12 out"]),
        ({"routed": True}, ["IPv4 address, such as", "IPv4 gateway, such as"]),
        ({"routed": True, "address": "fd00::2/64", "gateway": "fd00::1"}, ["IPv4 address", "IPv4 gateway"]),
        ({}, ["nothing is not the name of a bridge"]),
    ],
)
def test_as_it_is_described_badly(network: dict[str, object], messages: list[str]) -> None:
    found = list(flaws({"memory": 64, "template": "tiny", "networks": {"front": network}}))
    assert len(found) == len(messages)
    assert all(key == "networks.front" and part in text for (key, text), part in zip(found, messages, strict=True))
