# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import math

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.turns import Turns, finished
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError


def test_one_after_the_other() -> None:
    async def run() -> None:
        turns, done = Turns(), list[str]()

        async def work(name: str) -> None:
            done.append(f"{name} begins")
            await asyncio.sleep(0)
            done.append(f"{name} ends")

        await asyncio.gather(turns.do(1, work("a")), turns.do(1, work("b")))
        assert done == ["a begins", "a ends", "b begins", "b ends"]

    asyncio.run(run())


def test_what_it_raises_is_raised() -> None:
    async def run() -> None:
        async def work() -> None:
            raise OkiagariError("the disk is full")

        turns = Turns()
        with pytest.raises(OkiagariError, match="the disk is full"):
            await turns.do(1, work())
        assert not turns.lock.locked()

    asyncio.run(run())


def test_what_older_holders_want_is_given_up_also_before_its_turn_has_come() -> None:
    async def run() -> None:
        turns, never = Turns(), asyncio.Event()

        async def work() -> None:
            await never.wait()

        asked = [asyncio.ensure_future(turns.do(term, work())) for term in (2, 1, 3)]
        await asyncio.sleep(0.01)
        await turns.give_up(before=3)
        said = await asyncio.gather(*asked[:2], return_exceptions=True)
        assert [str(each).partition(" wanted")[0] for each in said] == [
            "what the holder of term 2",
            "what the holder of term 1",
        ]
        assert not asked[2].done()
        await turns.give_up(before=math.inf)
        assert not turns.lock.locked()
        with pytest.raises(OkiagariError, match="somebody else takes over"):
            await asked[2]

    asyncio.run(run())


def test_what_must_not_be_broken_off_is_finished_first() -> None:
    async def run() -> None:
        turns, done = Turns(), list[str]()

        async def apply() -> str:
            await asyncio.sleep(0.05)
            done.append("applied")
            return "head"

        async def work() -> None:
            done.append(await finished(apply()))

        asked = asyncio.ensure_future(turns.do(1, work()))
        await asyncio.sleep(0.01)
        await turns.give_up(before=2)
        assert done == ["applied"]
        with pytest.raises(OkiagariError):
            await asked

    asyncio.run(run())


def test_who_asks_may_go() -> None:
    async def run() -> None:
        turns = Turns()

        async def work() -> None:
            await asyncio.Event().wait()

        asked = asyncio.ensure_future(turns.do(1, work()))
        await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.wait([asked])
        await asyncio.sleep(0.01)
        assert not turns.lock.locked()

    asyncio.run(run())
