# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.criu import Criu, why
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.subject import Subject
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.tree import Outlet, Process
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.processes.simulated_criu import SimulatedCriu

ROOT = Process(100, 5, 1, 100, 100, "ledger", "S")
PLACES = ["--images-dir", "/i", "--work-dir", "{}", "--log-file", "log", "--verbosity=2"]
KINDS = ["--file-locks", "--ghost-limit=268435456", "--ext-unix-sk", "--manage-cgroups=ignore"]


def test_a_dump(tmp_path: Path) -> None:
    runner, images, work = SimulatedCriu(), tmp_path / "images", tmp_path / "work"
    images.mkdir()
    work.mkdir()
    criu = Criu(runner, "criu")
    outlets = (Outlet("socket:[2]", True), Outlet("pipe:[3]", True))
    restored = Subject((ROOT,), 7, ("mnt", "net", "pid"), True, outlets)
    places = ["--images-dir", str(images), "--work-dir", str(work), "--log-file", "log", "--verbosity=2"]
    criu.dump(restored, images, work, tmp_path / "before", stopped=True, tcp=True, script="")
    assert runner.commands == [[
        "nsenter", "--target", "100", "--mount", "--net", "--pid", "--", "setsid", "--wait", "criu", "dump", *places,
        *KINDS, "--shell-job",
        "--tree", "7", "--leave-stopped", "--external", "unix[2]", "--track-mem", "--prev-images-dir", "../before",
        "--tcp-established", "--network-lock", "nftables",
    ]]  # fmt: skip
    criu.dump(Subject((ROOT,), 100, (), False, ()), images, work, None, stopped=False, tcp=False, script="")
    assert runner.commands[1] == [
        "setsid",
        "--wait",
        "criu",
        "dump",
        *places,
        *KINDS,
        "--tree",
        "100",
        "--leave-running",
    ]
    criu.pre_dump(Subject((ROOT,), 100, (), False, ()), images, work)
    assert runner.commands[2] == ["setsid", "--wait", "criu", "pre-dump", *places, "--tree", "100", "--track-mem"]


def test_a_restore() -> None:
    criu = Criu(SimulatedCriu(), "/opt/criu")
    places = [word.format("/w") for word in PLACES]
    inherited = [(9, Outlet("socket:[2]", True)), (10, Outlet("pipe:[3]", False))]
    assert criu.restore(Path("/i"), Path("/w"), False, False, inherited, ["first"]) == [
        "/opt/criu", "restore", *places, *KINDS, "--tcp-close", "--inherit-fd", "fd[9]:socket:[2]", "--inherit-fd",
        "fd[10]:pipe:[3]", "--exec-cmd", "--", "first",
    ]  # fmt: skip
    assert "--tcp-established" in criu.restore(Path("/i"), Path("/w"), True, True, [], [])


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("Warn  (criu/a.c:1): Dirty tracking is OFF.\nLooks good.\n", ""),
        ("(00.1) Error (criu/util.c:1533): rlimit: Can't setup\n 123: Error (criu/x.c:9): first\n", "first"),
        ("Error (criu/util.c:642): exited, status=1\nError (criu/vdso.c:381): vdso: Bad\n", "vdso: Bad"),
        ("(1.0) Error (criu/a.c:1): b\n(1.1) Error (criu/f.c:2): File x has bad size 3 (expect 2)", "capture it too"),
        ("Error (criu/sk-inet.c:1): Connected TCP socket, consider using --tcp-established option.", "established_tcp"),
        ("Error (criu/sockets.c:628): sockets: Can't get 1:16 opt: Operation not supported", "only CRIU 4.2"),
        ("Error (criu/crtools.c:260): Could not initialize kernel features detection.", "too old for this kernel"),
    ],
)
def test_why_it_fails(log: str, words: str) -> None:
    assert words in why(log)
    assert bool(words) == bool(why(log))


def test_what_it_says_of_itself() -> None:
    runner = SimulatedCriu()
    criu = Criu(runner, "criu")
    assert (criu.version(), criu.check(), criu.tracks_memory()) == ("4.1.1", "", False)
    runner.version, runner.tracks, runner.checks = "3.17", True, "Error (criu/vdso.c:381): vdso: Bad\n"
    assert (criu.version(), criu.check(), criu.tracks_memory()) == ("3.17", "vdso: Bad", True)
    runner.version = ""
    assert (criu.version(), criu.check()) == ("", "criu: No such file or directory")
