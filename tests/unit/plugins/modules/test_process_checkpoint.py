# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over a CRIU that only writes files; what it captures is a process of this test's own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.processes import launch, probe
from ansible_collections.okiagari.testbed.plugins.modules import process_checkpoint
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.processes.simulated_criu import SimulatedCriu
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def criu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimulatedCriu:
    criu = SimulatedCriu()
    monkeypatch.setenv("OKIAGARI_RUN", str(tmp_path / "run"))
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.run_command", lambda module, argv, **options: tuple(criu.run(argv))
    )
    monkeypatch.setattr(probe.Probe, "_obstacle", lambda *_arguments: "")
    monkeypatch.setattr(probe, "try_out", lambda _runner, _program, tcp: "it has a socket" if tcp else "")
    return criu


@pytest.fixture
def ledger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        yield process
        process.send_signal(signal.SIGKILL)


def test_a_host_is_probed(criu: SimulatedCriu, capsys: pytest.CaptureFixture[str]) -> None:
    said = run_module(process_checkpoint.main, capsys, state="probed")
    assert (said["changed"], said["possible"], said["why"], said["criu"]) == (False, True, "", "4.1.1")
    assert "it has a socket" in said["established_tcp"]["why"]


def test_a_tree_is_captured_again_and_again(
    criu: SimulatedCriu, ledger: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = tmp_path / "entries"
    entries.write_text("one\n")
    options: dict[str, Any] = {"state": "captured", "directory": str(tmp_path / "e"), "files": [str(entries)]}
    would = run_module(process_checkpoint.main, capsys, check=True, pid=ledger.pid, **options)
    assert (would["changed"], would["epochs"], would["diff"]) == (True, [], {"before": {}, "after": {"epochs": [1]}})
    assert "checkpoint" not in would
    criu.main_pids = {"ledger.service": ledger.pid}
    for number, by in enumerate(({"pid": ledger.pid}, {"unit": "ledger.service"}, {"pid": ledger.pid}), 1):
        said = run_module(process_checkpoint.main, capsys, **by, **options)
        assert (said["changed"], said["checkpoint"]["epoch"], said["checkpoint"]["pause_ms"]) == (True, number, 21.5)
    assert (said["epochs"], said["diff"]["after"]) == ([2, 3], {"epochs": [2, 3]})
    options["files"] = [str(tmp_path / "nothing")]
    assert "nothing isn't there" in run_module(process_checkpoint.main, capsys, pid=ledger.pid, **options)["msg"]
    criu.fails = "Error (criu/x.c:1): Not today\n"
    options["files"] = []
    assert "and runs on: Not today" in run_module(process_checkpoint.main, capsys, pid=ledger.pid, **options)["msg"]


def test_a_unit_that_is_ended_is_stopped_too(
    criu: SimulatedCriu, ledger: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    criu.main_pids = {"ledger.service": ledger.pid}
    options: dict[str, Any] = {"unit": "ledger.service", "directory": str(tmp_path / "e"), "leave": "ended"}
    assert run_module(process_checkpoint.main, capsys, state="captured", **options)["changed"]
    assert ledger.wait() == -signal.SIGKILL
    assert criu.commands[-1] == ["systemctl", "stop", "--", "ledger.service"]


def test_a_tree_is_restored(
    criu: SimulatedCriu, ledger: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    directory = str(tmp_path / "e")
    run_module(process_checkpoint.main, capsys, state="captured", pid=ledger.pid, directory=directory)
    refused = run_module(process_checkpoint.main, capsys, state="restored", directory=directory)
    assert "there must never be two of it" in refused["msg"]
    ledger.kill()
    ledger.wait()
    would = run_module(process_checkpoint.main, capsys, check=True, state="restored", directory=directory)
    assert (would["changed"], would["diff"]) == (True, {"before": {}, "after": {"epoch": 1}})

    def failed(argv: list[str], _descriptors: list[int], _started: object) -> bool:
        Path(argv[argv.index("--work-dir") + 1], "log").write_text("Error (criu/x.c:1): Not today\n")
        return False

    monkeypatch.setattr(launch, "launch", failed)
    said = run_module(process_checkpoint.main, capsys, state="restored", directory=directory)
    assert said["msg"] == "epoch 1 can't be restored: Not today"


def test_all_that_is_wrong_is_told_at_once(criu: SimulatedCriu, capsys: pytest.CaptureFixture[str]) -> None:
    refused = run_module(process_checkpoint.main, capsys, state="captured", directory="/d", keep=0, epoch=3)
    assert refused["msg"].splitlines() == [
        "epoch: is for state restored, not for captured",
        "pid: name what to capture by either pid or unit",
        "keep: 0 is not a whole number from 1 to 1000",
    ]
    refused = run_module(process_checkpoint.main, capsys, state="captured", directory="/d", pid=7, established_tcp=True)
    assert refused["msg"].startswith("not here, because ")
    assert criu.commands
