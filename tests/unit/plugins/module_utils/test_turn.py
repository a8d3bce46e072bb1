# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is, when two come with different knowledge."""

from __future__ import annotations

import itertools
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils import turn
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.turn import Turn
from ansible_collections.okiagari.testbed.plugins.modules import config_files
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "turn"


def acts(number: int, file: Path, finish: bool = True, only_look: bool = False) -> bool:
    with Turn(number, only_look, file).hold(finish) as mine:
        return mine


def test_who_knows_less_does_not_act(file: Path) -> None:
    assert [acts(number, file) for number in (3, 3, 5, 4, 5, 9, 3)] == [True, True, True, False, True, True, False]
    assert acts(0, file), "without a number everyone acts"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_module_that_comes_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(turn, "FILE", tmp_path / "turn")

    def write(number: int, **options: Any) -> tuple[bool, bool]:
        files = [{"path": f"{tmp_path}/{number}.network", "content": ""}]
        prune = [f"{tmp_path}/*.network"]
        said = run_module(config_files.main, capsys, files=files, prune=prune, turn=number, **options)
        return said["changed"], said["late"]

    assert write(4) == (True, False)
    assert write(6, check=True) == (True, False)
    assert write(5) == (True, False)
    assert write(4) == (False, True)
    assert [path.name for path in tmp_path.glob("*.network")] == ["5.network"]


def test_looking_writes_nothing(file: Path) -> None:
    assert acts(7, file, only_look=True)
    assert not file.exists()
    acts(3, file)
    assert acts(7, file, only_look=True)
    assert acts(5, file), "7 has only looked"
    assert not acts(4, file, only_look=True)
    Turn(4, True, file).await_other(0)


def test_waiting_for_the_one_who_knows_more(file: Path) -> None:
    acts(5, file, finish=False)
    assert not acts(4, file)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            acts(5, file)

    Turn(4, file=file).await_other(60, sleep=sleep)
    assert len(naps) == 3
    acts(6, file, finish=False)
    clock = itertools.count()
    with pytest.raises(OkiagariError, match=r"change 6\) has begun here 5 s ago or more.*has change 4"):
        Turn(4, file=file).await_other(5, clock=lambda: next(clock), sleep=lambda _seconds: None)


def test_what_failed_is_not_done(file: Path) -> None:
    with pytest.raises(ZeroDivisionError), Turn(5, file=file).hold(finish=True):
        raise ZeroDivisionError
    with pytest.raises(OkiagariError, match="isn't done"):
        Turn(4, file=file).await_other(0)
    assert acts(5, file), "the same again may"
    Turn(4, file=file).await_other(0)


def test_one_after_the_other(file: Path) -> None:
    inside, go = Event(), Event()
    order = []

    def first() -> None:
        with Turn(1, file=file).hold(finish=True):
            inside.set()
            go.wait(5)
            order.append(1)

    def second() -> None:
        with Turn(2, file=file).hold(finish=True):
            order.append(2)

    threads = [Thread(target=first), Thread(target=second)]
    threads[0].start()
    assert inside.wait(5)
    threads[1].start()
    threads[1].join(0.2)
    go.set()
    for thread in threads:
        thread.join(5)
    assert order == [1, 2]


def test_a_damaged_file_stops_nobody(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("\x00" * 20)
    assert acts(1, file)
