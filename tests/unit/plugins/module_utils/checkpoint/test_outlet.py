# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices a guest's outlets are made of, told to a simulated `ip`; the contract tests have the real one."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.outlet import have, keep, outlet, plug_in
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.machine import Network
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed

if TYPE_CHECKING:
    from collections.abc import Sequence

STATE = Path("/var/lib/agent/machines")
RUN = STATE / "db" / "run"
LAN = Network("lan", "br12", "02:00:00:00:00:01", mtu=1400)


class SimulatedIp:
    """A host whose links are these; it does what `ip -batch` is told, as far as the tests look."""

    def __init__(self, *links: dict[str, Any]) -> None:
        self.links = {link["ifname"]: link for link in links}
        self.said: list[str] = []

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        if argv[:3] == ("ip", "-j", "link"):
            return Completed(0, json.dumps(list(self.links.values())), "")
        for line in (input or " ".join(argv[1:])).splitlines():
            self.said.append(line)
            if not self._do(line.split()):
                return Completed(1, "", "Cannot find device")
        return Completed(0, "", "")

    def _do(self, words: list[str]) -> bool:
        verb, name = words[1], words[3] if words[2] == "dev" else words[2]
        given = dict(pairwise(words))
        if verb == "add":
            names = [name, given["name"]] if "name" in given else [name]
            self.links |= {each: {"ifname": each} for each in names}
        elif verb == "del":
            del self.links[name]
        elif given.get("master", name) not in self.links:
            return False
        else:
            keys = {"master": "master", "alias": "ifalias", "mtu": "mtu"}
            self.links[name] |= {keys[key]: given[key] for key in keys if key in given}
        return True


def test_an_outlet_is_made_once() -> None:
    ip, own = SimulatedIp({"ifname": "br12"}), outlet(RUN, "lan")
    have(ip, RUN, {"lan": LAN})
    assert {name: link.get("master") for name, link in ip.links.items()} == {
        "br12": None, own.bridge: None, own.outer: "br12", own.inner: own.bridge,
    }  # fmt: skip
    assert {link["mtu"] for name, link in ip.links.items() if name != "br12"} == {"1400"}
    ip.said.clear()
    have(ip, RUN, {"lan": LAN})
    assert ip.said == []


def test_one_that_lost_its_place_gets_it_back_and_another_bridge_is_taken() -> None:
    ip, own = SimulatedIp({"ifname": "br12"}, {"ifname": "br13"}), outlet(RUN, "lan")
    have(ip, RUN, {"lan": LAN})
    del ip.links[own.inner]["master"]
    have(ip, RUN, {"lan": Network("lan", "br13", LAN.mac)})
    assert (ip.links[own.inner]["master"], ip.links[own.outer]["master"]) == (own.bridge, "br13")


def test_a_bridge_that_is_missing_is_told() -> None:
    with pytest.raises(OkiagariError, match=r"master br12 .*: Cannot find device"):
        have(SimulatedIp(), RUN, {"lan": LAN})


def test_outlets_of_guests_that_are_no_more_are_removed_and_nothing_else() -> None:
    ip = SimulatedIp({"ifname": "br12"}, {"ifname": "eth0", "ifalias": "uplink"})
    mine = {RUN: {"lan": LAN}, STATE / "old" / "run": {"lan": LAN, "wan": LAN}}
    elsewhere = Path("/srv/agent/machines/old/run")
    keep(ip, STATE, mine)
    keep(ip, elsewhere.parents[1], {elsewhere: {"lan": LAN}})
    before = set(ip.links)
    keep(ip, STATE, {RUN: {"lan": LAN}})
    old = [outlet(STATE / "old" / "run", name) for name in ("lan", "wan")]
    # The other end of a pair goes with it.
    assert before - set(ip.links) == {name for own in old for name in (own.bridge, own.outer)}


def test_a_guest_is_plugged_in_behind_the_segments_bridge() -> None:
    own = outlet(RUN, "lan")
    ip = SimulatedIp({"ifname": "br12"}, {"ifname": own.tap})
    have(ip, RUN, {"lan": LAN})
    plug_in(ip, RUN, {"lan": LAN})
    assert ip.links[own.tap]["master"] == own.bridge


def test_names_fit_and_no_two_cards_share_them() -> None:
    found = [outlet(RUN, "lan"), outlet(RUN, "wan"), outlet(STATE / "web" / "run", "lan")]
    names = [name for own in found for name in (own.tap, own.bridge, own.inner, own.outer)]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 15
