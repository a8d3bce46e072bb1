# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers on a real file, with a disk that fails now and then, and their reader."""

from __future__ import annotations

import errno
import os
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.target import program, writers
from ansible_collections.okiagari.testbed.plugins.module_utils.target.probes import ask
from ansible_collections.okiagari.testbed.plugins.module_utils.target.writers import (
    Writers,
    is_good,
    key_of,
    log_of,
    read_back,
    record,
    refusal,
    results,
)
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Runner

KEY = key_of("drill-1", "w")


def spec(path: Path, **changes: Any) -> dict[str, Any]:
    return {"id": "w", "path": str(path), "rate": 200, "size": 100, "from": 0.0, "until": 0.3, **changes}


def write(folder: Path, path: Path, **changes: Any) -> dict[str, Any]:
    """Let a writer work to its end, and give its result."""
    one = spec(path, **changes)
    crew = Writers([one], "drill-1", time.monotonic(), folder)
    crew.start()
    for thread in crew._threads:
        thread.join(5)
    crew.stop()
    [result] = results([one], "t", folder)
    return result


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**40), st.integers(64, 5000), st.data())
def test_a_record_is_known_from_every_other_and_from_every_damaged_one(
    key: int, sequence: int, size: int, data: st.DataObject
) -> None:
    made = record(key, sequence, 1.5, size)
    assert len(made) == size
    assert is_good(made, key, sequence, size)
    assert not is_good(made, key ^ 1, sequence, size)
    assert not is_good(made, key, sequence + 1, size)
    at = data.draw(st.integers(0, size - 1))
    assert not is_good(made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :], key, sequence, size)
    assert not is_good(made[:-1], key, sequence, size)


def test_what_is_acknowledged_is_there(tmp_path: Path) -> None:
    result = write(tmp_path, tmp_path / "f")
    count = len(result["acks"])
    assert 0 < count <= 60
    assert all(begun <= acked for begun, acked in result["acks"])
    assert result["errors"] == []
    assert read_back(str(tmp_path / "f"), KEY, 100) == (count, 100 * count)
    assert read_back(str(tmp_path / "f"), key_of("drill-2", "w"), 100)[0] == 0


def test_damage_is_found_at_its_record(tmp_path: Path) -> None:
    # A machine that stands still for a moment doesn't begin to write any later.
    write(tmp_path, tmp_path / "f", until=2.0)
    with (tmp_path / "f").open("r+b") as file:
        file.seek(750)
        file.write(b"x")
    assert read_back(str(tmp_path / "f"), KEY, 100)[0] == 7


def test_a_failing_disk_loses_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fsync, [0]

    def fsync(file: int) -> None:
        calls[0] += 1
        if calls[0] in (3, 4):
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    result = write(tmp_path, tmp_path / "f", until=1.0, rate=20)
    assert [(name, count) for _first, _last, name, count in result["errors"]] == [("ENOTCONN", 2)]
    assert read_back(str(tmp_path / "f"), KEY, 100)[0] == len(result["acks"])
    # The pause isn't made up for: the next record follows at once, and then the rate is the old one.
    pause = max(after[1] - before[1] for before, after in pairwise(result["acks"]))
    assert len(result["acks"]) <= 20 * (1.0 - pause) + 3


def test_a_disk_that_never_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "pwrite", refuse)
    result = write(tmp_path, tmp_path / "f")
    assert result["acks"] == []
    assert result["errors"][0][2] == "EROFS"


def test_a_writer_that_hangs_holds_up_nobody_and_its_log_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.fsync, [0]

    def fsync(file: int) -> None:
        calls[0] += 1
        if calls[0] == 3:
            time.sleep(2)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(writers, "_LINGER_S", 0.1)
    one = spec(tmp_path / "f", until=5.0)
    crew = Writers([one], "drill-1", time.monotonic(), tmp_path)
    crew.start()
    time.sleep(0.2)
    start = time.monotonic()
    crew.stop()
    assert time.monotonic() - start < 1
    assert len(results([one], "t", tmp_path)[0]["acks"]) == 2
    for thread in crew._threads:
        thread.join(5)


def test_a_writer_writes_over_its_own_kind_only(tmp_path: Path) -> None:
    file = tmp_path / "f"
    assert refusal(spec(file)) is None
    write(tmp_path, file, until=0.2)
    assert refusal(spec(file)) is None
    log_of(tmp_path, "w").unlink()
    shorter = write(tmp_path, file, until=0.05)
    assert file.stat().st_size == 100 * len(shorter["acks"])
    file.write_bytes(b"somebody's thesis")
    assert refusal(spec(file)) == f"{file} was not made by a writer, and is not written over"
    assert refusal(spec(tmp_path)) == f"{tmp_path} is a folder"
    assert refusal(spec(tmp_path / "no" / "f")) == f"{tmp_path / 'no'} is not a folder"


def test_the_readback_probe(tmp_path: Path) -> None:
    count = len(write(tmp_path, tmp_path / "f")["acks"])
    runner: Runner = None  # type: ignore[assignment]
    probe = {"id": "p", "type": "readback", "path": str(tmp_path / "f"), "key": KEY, "size": 100}
    found = ask(runner, probe)
    assert (found["ok"], found["value"]) == (True, {"records": count, "bytes": 100 * count})
    absent = ask(runner, {**probe, "path": str(tmp_path / "none")})
    assert (absent["ok"], "No such file" in absent["detail"]) == (False, True)


def test_a_program_with_bad_writers() -> None:
    bad = [
        {"id": "a", "path": "f", "rate": 1, "size": 100, "from": 0, "until": 1},
        {"id": "b", "path": "/f", "rate": 2000, "size": 100, "from": 0, "until": 1},
        {"id": "c", "path": "/f", "rate": 1, "size": 10, "from": 0, "until": 1},
        {"id": "d", "path": "/f", "rate": 1, "size": 100, "from": 1, "until": 1, "fast": True},
        {"id": "e", "rate": 1, "size": 100, "from": 0, "until": 1},
        {"id": "../f", "path": "/f", "rate": 1, "size": 100, "from": 0, "until": 1},
    ]
    with pytest.raises(BadInput) as refused:
        program.parse({"drill": "d", "t0": 1, "ends": 2, "writers": bad})
    text = str(refused.value)
    for part in (
        "writer a: path: f is not the absolute path",
        "writer b: rate: 2000 is not",
        "writer c: size: 10 is not a whole number from 64",
        "writer d: ends before it begins",
        "writer e: path is missing",
        "writer ../f:",
    ):
        assert part in text
