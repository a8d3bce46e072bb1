# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""iozone's patterns on a folder, by iozone itself or by fio: what to run, and what it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadInput, OkiagariError, Problem
from ..runner import output, reason
from ..suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..runner import Runner


class Pattern(NamedTuple):
    """One of iozone's tests: how fio does the same, and which option of iozone it belongs to."""

    fio: tuple[str, ...]
    iozone: int
    column: str


# Each pattern finds the file as the one before it has left it; so they run in this order.
PATTERNS = {
    "write": Pattern(("--rw=write",), 0, "write"),
    "rewrite": Pattern(("--rw=write", "--overwrite=1"), 0, "rewrite"),
    "read": Pattern(("--rw=read",), 1, "read"),
    "reread": Pattern(("--rw=read", "--invalidate=0"), 1, "reread"),
    "random_read": Pattern(("--rw=randread", "--norandommap=0"), 2, "random read"),
    "random_write": Pattern(("--rw=randwrite", "--overwrite=1"), 2, "random write"),
    "stride_read": Pattern(("--rw=read:{block}",), 5, "stride read"),
}
ENGINES = ("auto", "fio", "iozone")
_PATIENCE_S = 3600.0
_KIB = 1024


class Bench:
    """One run over `patterns` with a file of `size_kib` in blocks of `block_kib`, in `folder`."""

    def __init__(
        self, runner: Runner, folder: str, size_kib: int, block_kib: int, patterns: Sequence[str], engine: str = "auto"
    ) -> None:
        problems = [
            Problem("", None, "patterns", f"there is no pattern {name}", nearest(name, PATTERNS))
            for name in patterns
            if name not in PATTERNS
        ]
        if not folder.startswith("/"):
            problems.append(Problem("", None, "folder", f"{folder} is not an absolute path"))
        if block_kib < 1 or size_kib < block_kib or size_kib % block_kib:
            problems.append(Problem("", None, "size", f"{size_kib} KiB are not whole blocks of {block_kib} KiB"))
        if problems:
            raise BadInput(problems)
        self._runner, self._size, self._block = runner, size_kib, block_kib
        self._file = f"{folder.rstrip('/')}/okiagari-bench.tmp"
        self._patterns = [name for name in PATTERNS if name in patterns]
        self._engine = engine

    def run(self) -> dict[str, Any]:
        """Run all and give `{"engine", "rows": [{"pattern", "block_kib", "size_kib", "kib_per_s", "seconds"}]}`."""
        engine = self._choose()
        try:
            rows = self._iozone() if engine == "iozone" else [self._fio(name) for name in self._patterns]
        finally:
            self._runner.run(["rm", "-f", self._file])
        return {"engine": engine, "rows": rows}

    def _choose(self) -> str:
        if self._engine != "auto":
            return self._engine
        return "iozone" if self._runner.run(["iozone", "-v"]).rc == 0 else "fio"

    def _fio(self, name: str) -> dict[str, Any]:
        done = self._runner.run(fio_command(name, self._file, self._size, self._block), timeout=_PATIENCE_S)
        if done.rc:
            raise OkiagariError(f"fio, {name}: {reason(done)}")
        return {**self._about(name), **fio_result(done.out)}

    def _iozone(self) -> list[dict[str, Any]]:
        tests = sorted({0, *(PATTERNS[name].iozone for name in self._patterns)})
        argv = ["iozone", "-e", "-c", "-r", f"{self._block}k", "-s", f"{self._size}k", "-f", self._file]
        said = output(self._runner, [*argv, *(word for test in tests for word in ("-i", str(test)))], _PATIENCE_S)
        found = iozone_result(said, tests)
        return [
            {**self._about(name), "kib_per_s": found[name], "seconds": round(self._size / found[name], 3)}
            for name in self._patterns
            if found.get(name)
        ]

    def _about(self, name: str) -> dict[str, Any]:
        return {"pattern": name, "block_kib": self._block, "size_kib": self._size}


def fio_command(name: str, file: str, size_kib: int, block_kib: int) -> list[str]:
    """Give fio's command line for a pattern. Writing counts the time until all is on the disks."""
    words = [word.format(block=f"{block_kib}k") for word in PATTERNS[name].fio]
    # A stride leaves out every second block: half of the file is read.
    size = size_kib // 2 if name == "stride_read" and size_kib >= 2 * block_kib else size_kib
    end = ["--end_fsync=1"] if "write" in name else []
    return [
        "fio", f"--name={name}", f"--filename={file}", f"--size={size_kib}k", f"--io_size={size}k",
        f"--bs={block_kib}k", "--ioengine=psync", "--output-format=json", "--randseed=1", *end, *words,
    ]  # fmt: skip


def fio_result(text: str) -> dict[str, Any]:
    """Read fio's JSON. Lines before it, which fio writes about itself, don't count."""
    start = text.find("{")
    try:
        job = json.loads(text[start:])["jobs"][0]
        side = job["read"] if job["read"]["io_bytes"] else job["write"]
        seconds = job["job_runtime"] / 1000
        moved = side["io_bytes"] / _KIB
    except (ValueError, KeyError, IndexError) as error:
        raise OkiagariError(f"fio: its output can't be read: {error}") from error
    if job.get("error"):
        raise OkiagariError(f"fio: it failed with error {job['error']}")
    return {"kib_per_s": round(moved / seconds) if seconds else 0, "seconds": round(seconds, 3)}


def iozone_result(text: str, tests: Sequence[int]) -> dict[str, int]:
    """Read iozone's table: its columns stand in the order of the tests that were asked for."""
    columns = [name for test in tests for name, pattern in PATTERNS.items() if pattern.iozone == test]
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 + len(columns) and all(word.isdigit() for word in words):
            return dict(zip(columns, map(int, words[2:]), strict=False))
    raise OkiagariError("iozone: there is no result in its output")
