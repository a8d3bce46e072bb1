# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that is a guest, kept going by real agents: it gets up again at another host, with its memory and disk."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from counting_guest import Said, boot_disk
from real_agents import TIMING, WATCH, Farm, Node, wait_for
from real_etcd import RealEtcd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RING = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"]}
COMMITTED = "where values.event = state_committed"


class Guests(Farm):
    """A farm whose service `tally` is a guest that counts; how it is captured, `checkpoint` says."""

    checkpoint: Mapping[str, float]

    def guest(self, node: Node) -> dict[str, Any]:
        """Describe the service, as one host has it."""
        key = self.folder / "service.key"
        key.write_text(bytes(range(32)).hex())
        return {
            "tally": {
                "command": [*node.farm.command, "vm", "tally", "--config", str(node.folder / "agent.json")],
                "voters": {name: f"site-{name}" for name in self.nodes},
                "candidates": list(self.nodes),
                "timing": TIMING, "watch": WATCH,
                "machine": {
                    "memory": 64, "accelerator": "tcg",
                    "disks": {"root": {"image": str(self.folder / "disk")}},
                    "arguments": [
                        "-chardev", f"file,id=said,path={node.folder / 'serial'},append=on", "-serial", "chardev:said"
                    ],
                },
                "checkpoint": {"key": str(key), **self.checkpoint},
            }
        }  # fmt: skip


@contextmanager
def at_work(folder: Path, period_s: float = 0.5, **checkpoint: float) -> Iterator[Guests]:
    boot_disk(folder / "disk")
    etcd = RealEtcd(folder / "etcd", folder / "authority")
    etcd.start()
    farm = Guests(folder, RING, list(etcd.endpoints.values()))
    farm.checkpoint = {"period_s": period_s, **checkpoint}
    try:
        etcd.wait()
        farm.configure(farm.guest)
        farm.start()
        yield farm
    finally:
        farm.end()
        etcd.stop()


def numbers(node: Node) -> list[int]:
    """Give what the guest has said at this host."""
    return Said(node.folder / "serial").numbers()


def committed(node: Node) -> list[dict[str, Any]]:
    return [each["row"]["values"] for each in node.ask("query", text=COMMITTED) if "row" in each]


def holder(farm: Guests, *apart: Node) -> Node:
    def found() -> Node | None:
        name = farm.holder()
        return farm.nodes[name] if name and farm.nodes[name] not in apart else None

    return wait_for(found, 60)


def has_gone_on(node: Node, since: int) -> int:
    """Wait until the guest says something at this host after what it had said there, and give the first number."""
    return wait_for(lambda: numbers(node)[since : since + 1], 60)[0]


def covered(node: Node) -> int:
    """Give a number that the guest has said, once a state is committed that was captured after that."""
    said, before = numbers(node)[-1], len(committed(node))
    # One may have been on its way already.
    wait_for(lambda: len(committed(node)) >= before + 2, 60)
    return said


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Guests]:
    with at_work(tmp_path) as farm:
        yield farm


def test_a_guest_gets_up_again_elsewhere_and_comes_back(farm: Guests) -> None:
    first = holder(farm)
    wait_for(lambda: numbers(first), 60)
    reached = covered(first)
    first.die()
    second = holder(farm, first)
    begun = has_gone_on(second, 0)
    assert reached < begun <= numbers(first)[-1] + 1
    covered(second)
    assert max((state["term"], state["epoch"], state["domains"]) for state in committed(second))[2] == 2
    # The holder has in its own replica what it ships.
    assert second.name in second.ask("states", service="tally")[-1]["have"]
    wait_for(lambda: second.ask("states", service="tally")[-1]["replicas"][second.name]["term"] > 1, 30)

    # Who was lost is a candidate again: it takes what it missed, and then the guest.
    here = len(numbers(first))
    for what in ("supervise tally", "run"):
        first.start(what)
    wait_for(lambda: first.name in second.ask("status")[0]["reachable"], 60)
    covered(second)
    wait_for(lambda: second.ask("hand_over", service="tally", to=first.name), 30)
    assert holder(farm, second) is first
    # Nothing that it did before a planned move is lost, or done again.
    assert has_gone_on(first, here) == numbers(second)[-1] + 1


def test_what_a_guest_did_before_a_checkpoint_that_was_asked_for_is_not_lost(tmp_path: Path) -> None:
    """Asked at a host that hasn't got the guest, which is captured by itself once in an hour."""
    with at_work(tmp_path, 3600) as farm:
        first = holder(farm)
        wait_for(lambda: committed(first), 60)
        since = len(numbers(first))
        wait_for(lambda: numbers(first)[since + 20 :], 60)
        reached = numbers(first)[-1]
        elsewhere, other = (node for node in farm.nodes.values() if node is not first)
        said = elsewhere.ask("checkpoint", service="tally", seconds=60)[-1]
        assert (said["holder"], said["epoch"], len(committed(first))) == (first.name, 2, 2)
        assert first.name in said["hosts"]
        assert len(said["domains"]) >= 2
        assert min(said["bytes"], said["pause_ms"], said["captured"]) > 0

        def states() -> dict[str, Any]:
            there = other.ask("states", service="tally")[0]
            return there if len(there["have"]) == 3 else {}

        there = wait_for(states)
        assert {key: there["committed"][key] for key in ("epoch", "root", "captured")} == {
            key: said[key] for key in ("epoch", "root", "captured")
        }
        first.die()
        second = holder(farm, first)
        assert reached < has_gone_on(second, 0) <= numbers(first)[-1] + 1
        # Nobody is lost any further, and the one that was asked for is the newest until the next one.
        state = second.ask("states", service="tally")[0]["committed"]
        assert (state["term"], state["epoch"]) >= (said["term"], said["epoch"])


def test_states_are_kept_at_as_many_hosts_as_are_asked_for_and_one_of_them_goes_on(tmp_path: Path) -> None:
    with at_work(tmp_path, replicas=1) as farm:
        first = holder(farm)
        wait_for(lambda: numbers(first), 60)
        reached = covered(first)
        said = first.ask("states", service="tally")[-1]
        [keeping] = set(said["have"]) - {first.name}
        [other] = farm.nodes.keys() - {first.name, keeping}
        assert said["replicas"][other] is None
        first.die()
        second = holder(farm, first)
        assert second.name == keeping
        assert reached < has_gone_on(second, 0)
        # Now the first is away, and whoever had nothing takes the whole.
        wait_for(lambda: second.ask("states", service="tally")[-1]["replicas"][other], 60)
