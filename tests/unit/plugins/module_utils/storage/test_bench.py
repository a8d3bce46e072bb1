# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks: what is run, what is read of it, and what is drawn."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.filter.bench_table import FilterModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.bench import PATTERNS, Bench, fio_command

if TYPE_CHECKING:
    from collections.abc import Sequence

IOZONE = """
    Run began: Sat Nov 21 09:00:00 2026
    Command line used: iozone -e -c -r 4096k -s 65536k -i 0 -i 1 -i 2 -f /shared/x
                                                              random    random
              kB  reclen    write  rewrite    read    reread    read     write
           65536    4096    18000    19000    50000    60000    40000    17000

iozone test complete.
"""


def fio(side: str, kib: int, runtime_ms: int, error: int = 0) -> str:
    job: dict[str, Any] = {"error": error, "job_runtime": runtime_ms, "read": {"io_bytes": 0}, "write": {"io_bytes": 0}}
    job[side]["io_bytes"] = kib * 1024
    return "fio: a remark of its own\n" + json.dumps({"jobs": [job]})


class Host:
    """A host with fio, or with iozone. `calls` are its commands."""

    def __init__(self, iozone: bool = False) -> None:
        self.iozone = iozone
        self.calls: list[list[str]] = []
        self.answer: Completed | None = None

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        self.calls.append(list(argv))
        if argv[0] == "rm":
            return Completed(0, "", "")
        if argv[0] == "iozone":
            return Completed(0, IOZONE, "") if self.iozone else Completed(127, "", "")
        side = "write" if "write" in argv[1] else "read"
        return self.answer or Completed(0, fio(side, 65536, 4000), "")


def test_fio_does_all_patterns_in_their_order_and_removes_its_file() -> None:
    host = Host()
    found = Bench(host, "/shared/", 65536, 4096, list(reversed(PATTERNS))).run()
    assert found["engine"] == "fio"
    assert [row["pattern"] for row in found["rows"]] == list(PATTERNS)
    assert {row["kib_per_s"] for row in found["rows"]} == {16384}
    assert found["rows"][0] == {
        "pattern": "write", "block_kib": 4096, "size_kib": 65536, "kib_per_s": 16384, "seconds": 4.0
    }  # fmt: skip
    assert host.calls[-1] == ["rm", "-f", "/shared/okiagari-bench.tmp"]


def test_writing_counts_until_all_is_on_the_disks() -> None:
    assert {name for name in PATTERNS if "--end_fsync=1" in fio_command(name, "/f", 8192, 4096)} == {
        "write", "rewrite", "random_write"
    }  # fmt: skip
    assert "--rw=read:4096k" in fio_command("stride_read", "/f", 8192, 4096)


def test_iozone_where_it_is_installed() -> None:
    host = Host(iozone=True)
    found = Bench(host, "/shared", 65536, 4096, ["random_write", "read", "write"]).run()
    assert found["engine"] == "iozone"
    assert [(row["pattern"], row["kib_per_s"]) for row in found["rows"]] == [
        ("write", 18000), ("read", 50000), ("random_write", 17000)
    ]  # fmt: skip
    assert found["rows"][0]["seconds"] == pytest.approx(3.641)
    assert Bench(host, "/shared", 65536, 4096, ["write"], "fio").run()["engine"] == "fio"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Completed(1, "", "fio: No space left on device"), "fio, write: fio: No space left on device"),
        (Completed(0, "nothing", ""), "its output can't be read"),
        (Completed(0, fio("write", 1, 1, error=5), ""), "it failed with error 5"),
    ],
)
def test_a_failure_is_told_and_leaves_no_file(answer: Completed, message: str) -> None:
    host = Host()
    host.answer = answer
    with pytest.raises(OkiagariError, match=message):
        Bench(host, "/shared", 65536, 4096, ["write"]).run()
    assert host.calls[-1][0] == "rm"


def test_all_that_is_wrong_is_told() -> None:
    with pytest.raises(BadInput) as refused:
        Bench(Host(), "shared", 5, 4, ["writ"])
    assert [str(problem) for problem in refused.value.problems] == [
        "patterns: there is no pattern writ; did you mean write?",
        "folder: shared is not an absolute path",
        "size: 5 KiB are not whole blocks of 4 KiB",
    ]


RUNS = {
    "normal": [
        {"pattern": "write", "block_kib": 4096, "size_kib": 65536, "kib_per_s": 20480, "seconds": 3.2},
        {"pattern": "read", "block_kib": 4096, "size_kib": 65536, "kib_per_s": 51200, "seconds": 1.28},
    ],
    "a <cut>": [{"pattern": "write", "block_kib": 4096, "size_kib": 65536, "kib_per_s": 10240, "seconds": 6.4}],
}


def test_the_files() -> None:
    filters = FilterModule().filters()
    assert filters["bench_table"](RUNS).splitlines() == [
        "run,pattern,block_kib,size_kib,kib_per_s,seconds",
        "normal,write,4096,65536,20480,3.2",
        "normal,read,4096,65536,51200,1.28",
        "a <cut>,write,4096,65536,10240,6.4",
    ]
    svg = ET.fromstring(filters["bench_picture"](RUNS, "kanazawa & co"))
    name = "{http://www.w3.org/2000/svg}"
    words = [text.text for text in svg.iter(f"{name}text")]
    assert {"kanazawa & co", "a <cut>", "20.0 MiB/s", "50.0 MiB/s", "10.0 MiB/s"} <= set(words)
    bars = [group for group in svg.iter(f"{name}g") if group.get("class") == "bar"]
    lengths = [float(each[0].get("width", "0")) for each in bars]
    assert lengths == [pytest.approx(max(lengths) * share, rel=0.01) for share in (1.0, 0.5, 1.0)]
    assert ET.fromstring(filters["bench_picture"]({}, "nothing")) is not None
