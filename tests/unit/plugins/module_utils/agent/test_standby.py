# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a program is there before it is wanted, with instances in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.standby import Standby

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.agent.instance import Instance


class Program:
    """A program that is in a folder of its version; `begun` are its instances."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.begun, self.missing = folder, list[Pretended](), False
        self.update("1")
        self.standby = Standby(str(folder / "current" / "program"), self.begin)

    def begin(self) -> Instance:
        if self.missing:
            raise FileNotFoundError("it isn't there")
        self.begun.append(Pretended())
        return cast("Instance", self.begun[-1])

    def update(self, version: str) -> None:
        (self.folder / version).mkdir()
        (self.folder / "current").unlink(missing_ok=True)
        (self.folder / "current").symlink_to(version)


class Pretended:
    """An instance, which is dead a look after it was killed."""

    def __init__(self) -> None:
        self.killed = self.ended = False

    def kill(self) -> None:
        self.killed = True

    def dead(self) -> bool:
        if self.killed and not self.ended:
            self.ended = True
            return False
        return self.ended


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_one_stands_by_and_is_given_once(program: Program) -> None:
    for now in (0.0, 0.1, 100.0):
        program.standby.look(now)
    assert len(program.begun) == 1
    assert program.standby.take() is program.begun[0]
    assert program.standby.take() is program.begun[1]


def test_one_that_ends_is_begun_anew_but_not_at_once(program: Program) -> None:
    program.standby.look(0.0)
    program.begun[0].ended = True
    program.standby.look(1.0)
    assert len(program.begun) == 1
    program.standby.look(11.0)
    assert len(program.begun) == 2
    program.begun[1].ended = True
    assert program.standby.take() is program.begun[2]


def test_one_of_an_older_version_gives_way_when_nothing_is_left_of_it(program: Program) -> None:
    program.standby.look(0.0)
    program.update("2")
    program.standby.look(20.0)
    assert (len(program.begun), program.begun[0].killed) == (1, True)
    for now in (20.1, 20.2, 20.3):
        program.standby.look(now)
    assert len(program.begun) == 2
    assert program.standby.take() is program.begun[1]


def test_one_that_can_not_be_begun_is_tried_again_and_missed_when_it_is_wanted(program: Program) -> None:
    program.missing = True
    for now, tried in ((0.0, True), (5.0, False), (11.0, True)):
        if tried:
            with pytest.raises(FileNotFoundError):
                program.standby.look(now)
        else:
            program.standby.look(now)
    with pytest.raises(FileNotFoundError):
        program.standby.take()
    program.missing = False
    assert program.standby.take() is program.begun[0]


def test_at_the_end_it_is_killed(program: Program) -> None:
    assert program.standby.end()
    program.standby.look(0.0)
    assert not program.standby.end()
    assert program.begun[0].killed
    assert not program.standby.end()
    assert program.standby.end()
