# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that may happen to packs and to whoever applies them, in any order: a replica never has a state that never was.

Packs come once, twice, late, out of order, torn, with flipped bits, forged, of holders that have lost the service, or
not at all. Power is cut between any two steps, also while what a power cut has left is mended, and the disk is full at
any write.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import replica as replicas
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import Replica
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import (
    KEY,
    Holder,
    noise,
    opened,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

PAGES = {"ram": 6, "disk0": 3}
CHANGES = st.sets(st.integers(0, 8))
"""Which pages change, of all images."""
UNTIL_THE_END = 10**6


class PowerCut(BaseException):
    """Nothing of the process goes on after it."""


def forge(said: bytes) -> bytes:
    """Sign as somebody who isn't the holder."""
    return hashlib.sha256(b"intruder" + said).digest()


class Shipping(RuleBasedStateMachine):
    """One replica, its holders one after the other, and each pack that any of them ever made."""

    def __init__(self) -> None:
        super().__init__()
        self._home = TemporaryDirectory()
        self._left = UNTIL_THE_END
        self._real: dict[str, dict[str, Any]] = {}
        self._packs: list[bytes] = []
        self._holders = [Holder()]
        self._seed = 0
        self._replica = self._open()
        self._head, self._back = self._replica.head, list(self._replica.back)

    def teardown(self) -> None:
        self._replica.close()
        self._home.cleanup()

    @rule(pages=CHANGES, late=st.booleans(), comes=st.booleans())
    def capture(self, pages: set[int], late: bool, comes: bool) -> None:
        """Have the holder, or one that was it before and doesn't know, make the next pack."""
        pack = self._captured(self._holders[0 if late else -1], pages)
        if comes:
            self._deliver(pack)

    @precondition(lambda self: self._replica.head)
    @rule()
    def succeed(self) -> None:
        """Have another holder go on from what the replica has."""
        head = self._replica.head
        assert head
        last = self._holders[-1]
        last.images, last.parent, last.epoch = dict(self._real[head.root]), head.root, max(last.epoch, head.epoch)
        self._holders.append(last.successor())
        self._replica.raise_fence(self._holders[-1].term)

    @precondition(lambda self: self._packs)
    @rule(data=st.data())
    def come_again(self, data: st.DataObject) -> None:
        """Have any pack come, whether it came before or not."""
        self._deliver(data.draw(st.sampled_from(self._packs)))

    @rule(pages=CHANGES, place=st.floats(0, 1, exclude_max=True), torn=st.booleans(), flip=st.integers(1, 255))
    def come_damaged(self, pages: set[int], place: float, torn: bool, flip: int) -> None:
        """Have the next pack come with its end torn off, or a byte of it changed."""
        pack = bytearray(self._captured(self._holders[-1], pages))
        at = int(place * len(pack))
        if torn:
            del pack[at:]
        else:
            pack[at] ^= flip
        self._refuse(bytes(pack))

    @rule(pages=CHANGES)
    def come_forged(self, pages: set[int]) -> None:
        """Have a pack come that is right in all but who has signed it."""
        intruder = self._holders[-1].successor(forge)
        self._refuse(intruder.pack(self._changed(intruder.images, pages)))

    @rule(pages=CHANGES, steps=st.integers(0, 12), again=st.integers(0, 6))
    def lose_power(self, pages: set[int], steps: int, again: int) -> None:
        """Cut the power while the next pack is applied, and once more while that is mended."""
        pack, self._left = self._captured(self._holders[-1], pages), steps
        try:
            self._deliver(pack)
        except PowerCut:
            self._replica.close()
            self._left = again
            try:
                self._replica = self._open()
            except PowerCut:
                self._left = UNTIL_THE_END
                self._replica = self._open()
        self._left = UNTIL_THE_END

    @rule(pages=CHANGES, writes=st.integers(0, 4))
    def have_no_room(self, pages: set[int], writes: int) -> None:
        """Have the disk full after so many writes to images, and room again when the next pack comes."""
        room, really = iter(range(writes)), os.pwrite

        def full(*arguments: Any) -> int:
            if next(room, None) is None:
                raise OSError(28, "No space left on device")
            return really(*arguments)

        pack = self._captured(self._holders[-1], pages)
        with patch.object(replicas.os, "pwrite", full):
            self._deliver(pack)

    @invariant()
    def have_what_was(self) -> None:
        """The state is one that a holder captured, whole, and that no holder before the newest has changed since."""
        head = self._replica.head
        if head != self._head:
            newest = self._holders[-1].term
            assert head
            assert self._head is None or head.term == newest or head.root in {each.root for each in self._back}
        self._head, self._back = head, list(self._replica.back)
        if head:
            for name in PAGES:
                there = np.fromfile(self._replica.image(name), np.uint64).reshape(-1, 512)
                assert (there == self._real[head.root][name]).all(), name

    def _open(self) -> Replica:
        return Replica(Path(self._home.name), "tally", KEY, self._step)

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise PowerCut

    def _captured(self, holder: Holder, pages: set[int]) -> bytes:
        """Have the holder change these pages, and give the pack of that."""
        state = self._changed(holder.images, pages)
        self._packs.append(holder.pack(state))
        self._real[holder.parent] = state
        return self._packs[-1]

    def _changed(self, images: dict[str, Any], pages: set[int]) -> dict[str, Any]:
        state = {
            name: images[name].copy() if images else np.zeros((count, 512), np.uint64) for name, count in PAGES.items()
        }
        for page in pages | {0}:
            self._seed += 1
            name, place = ("ram", page) if page < PAGES["ram"] else ("disk0", page - PAGES["ram"])
            state[name][place] = noise(self._seed)[0]
        return state

    def _deliver(self, pack: bytes) -> None:
        """Have it come; it is taken, or refused for a reason, or there is no room."""
        with suppress(BadValue, OSError):
            self._replica.take(opened(pack))

    def _refuse(self, pack: bytes) -> None:
        before = self._replica.head
        with pytest.raises(BadValue, match=r"[a-z]"):
            self._replica.take(opened(pack))
        assert self._replica.head == before


TestShipping = Shipping.TestCase
TestShipping.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
