# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server writes for others, step by step."""

from __future__ import annotations

from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Server
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import actions as act
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.ledger import Ledger
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.merging import Merging
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.messages import Merged, Offer
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.sharing import Sharing

TERM = 4
LEDGER = Ledger(TERM, 2, owed=True)
B, C = Server("b", 5, 0), Server("c", 6, 0)
ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64
WRITE = act.Export(TERM, running=True)


def offer(digest: str) -> Offer:
    return Offer("a", TERM, digest, 9, running=True)


def shared(digest: str) -> Ledger:
    return Ledger(TERM, 2, owed=True, shared=digest)


class Rig:
    """The server of host a, which others run beside; a second passes at each step."""

    def __init__(self) -> None:
        self.merging = Merging("a", LEDGER, 2.0, discard=False)
        self.sharing = Sharing("a", self.merging, 2.0)
        self.now = 100.0

    def tick(self, *others: Server, seconds: float = 1.0) -> list[act.Action]:
        self.now += seconds
        return self.sharing.tick(self.now, TERM, others)

    def written(self, digest: str) -> list[act.Action]:
        return self.sharing.written(self.now, TERM, digest, 9, running=True)

    def accepted(self, digest: str, *by: Server) -> None:
        for each in by:
            self.sharing.accepted(Merged(each.host, TERM, digest), (B, C))

    def settled(self) -> Rig:
        """Have the first thing that was written everywhere."""
        assert self.tick(B, C) == [WRITE]
        self.written(ONE)
        self.accepted(ONE, B, C)
        assert self.tick(B, C) == [act.Drop(ONE), act.Keep(LEDGER)]
        return self


def test_nothing_is_written_for_nobody() -> None:
    rig = Rig()
    rig.sharing.changed()
    assert rig.tick() == []
    assert rig.merging.busy == ""


def test_what_is_written_is_noted_and_offered_until_all_have_it_and_then_dropped() -> None:
    rig = Rig()
    assert rig.tick(B, C) == [WRITE]
    assert (rig.merging.busy, rig.tick(B, C)) == ("snapshot", [])
    assert rig.written(ONE) == [act.Keep(shared(ONE))]
    assert rig.tick(B, C, seconds=0.0) == [act.Send("b", offer(ONE)), act.Send("c", offer(ONE))]
    assert rig.tick(B, C) == []
    for wrong in (Merged("b", TERM - 1, ONE), Merged("b", TERM, TWO), Merged("x", TERM, ONE)):
        rig.sharing.accepted(wrong, (B, C))
    rig.accepted(ONE, B)
    assert rig.tick(B, C) == [act.Send("c", offer(ONE))]
    rig.accepted(ONE, C)
    assert rig.tick(B, C) == [act.Drop(ONE), act.Keep(LEDGER)]
    assert rig.tick(B, C) == []


def test_a_change_is_written_when_all_have_what_was_before() -> None:
    rig = Rig()
    rig.tick(B, C)
    rig.sharing.changed()
    rig.written(ONE)
    rig.accepted(ONE, B)
    # What was said while it was written may not be in it. What c is about to fetch stays.
    assert rig.tick(B, C) == [act.Send("c", offer(ONE))]
    rig.accepted(ONE, C)
    assert rig.tick(B, C) == [WRITE]
    assert rig.written(TWO) == [act.Drop(ONE), act.Keep(shared(TWO))]


def test_who_can_not_merge_keeps_others_waiting_for_a_while_only_and_longer_each_time() -> None:
    rig, gaps, written = Rig(), [], 100.0
    rig.tick(B, C)
    rig.written(ONE)
    for _second in range(250):
        rig.accepted(ONE, B)
        rig.sharing.changed()
        if WRITE in rig.tick(B, C):
            rig.written(ONE)
            gaps.append(round(rig.now - written))
            written = rig.now
    assert gaps == [31, 60, 120]
    # Nothing newer is there: what was written last goes on being offered.
    assert rig.tick(C, seconds=9000.0) == [WRITE]
    rig.written(TWO)
    assert rig.tick(C, seconds=9000.0) == [act.Send("c", offer(TWO))]


def test_changes_that_follow_each_other_are_written_together() -> None:
    rig = Rig().settled()
    rig.sharing.changed()
    rig.sharing.changed()
    assert rig.tick(B, C) == [WRITE]
    rig.written(TWO)
    rig.accepted(TWO, B, C)
    rig.sharing.changed()
    assert rig.tick(B, C) == []
    assert rig.tick(B, C) == [WRITE]


def test_who_comes_or_begins_anew_is_given_what_there_is_and_nobody_else() -> None:
    rig = Rig().settled()
    again = Server("b", 9, 0)
    rig.tick(B, C)
    assert rig.tick(again, C) == [WRITE]
    rig.written(ONE)
    assert rig.tick(again, C) == [act.Send("b", offer(ONE))]


def test_what_was_merged_goes_to_all_but_the_one_that_did_it() -> None:
    rig = Rig().settled()
    rig.tick(B, C)
    rig.sharing.merged("b")
    assert rig.tick(B) == []
    assert rig.tick(B, C) == [WRITE]
    rig.written(TWO)
    assert rig.tick(B, C) == [act.Send("c", offer(TWO))]
    # What has changed since is another thing.
    rig.sharing.changed()
    rig.sharing.merged("b")
    rig.accepted(TWO, C)
    rig.tick(B, C)
    rig.written(THREE)
    assert rig.tick(B, C, seconds=2.0) == [act.Send("b", offer(THREE)), act.Send("c", offer(THREE))]


def test_what_fails_is_tried_again_later_and_what_was_cancelled_is_not_told() -> None:
    rig = Rig()
    rig.tick(B)
    assert rig.sharing.failed(rig.now, "no table") == [act.Tell("snapshot_failed", "no table")]
    assert rig.tick(B, seconds=3.9) == []
    assert rig.tick(B, seconds=0.2) == [WRITE]
    assert rig.sharing.failed(rig.now, "") == []
    assert rig.tick(B) == [WRITE]


def test_what_was_written_goes_with_its_server() -> None:
    rig = Rig()
    rig.tick(B)
    assert rig.sharing.written(rig.now, TERM, ONE, 9, running=False) == [act.Drop(ONE)]
    rig.tick(B, seconds=2.0)
    rig.written(TWO)
    assert rig.sharing.end() == [act.Drop(TWO), act.Keep(LEDGER)]
    assert rig.sharing.end() == []


def test_a_server_that_starts_has_told_nobody_anything() -> None:
    rig = Rig().settled()
    rig.tick(B, C)
    assert rig.sharing.begin() == []
    assert rig.tick(B, C) == [WRITE]
