# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""virsh as a real process that says what a test wants it to, with a prompt, and with what it reads in between."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.virsh import Gone, Virsh

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRAM = """\
#!{python} -ISB
import json, os, shlex, sys, time
FAILS = "error: failed to get domain 'nobody'"
def answer(words):
    if words[1] == "nobody":
        print(FAILS, flush=True)
    elif "hang" in words[-1]:
        time.sleep(3600)
    elif "end" in words[-1]:
        sys.exit(1)
    else:
        said = {{"said": len(words[-1]), "home": os.environ["XDG_CACHE_HOME"]}}
        print(json.dumps({{"return": said, "id": "libvirt-1"}}))
arguments = sys.argv[1:]
if "qemu-monitor-command" in arguments:
    words = arguments[arguments.index("qemu-monitor-command"):]
    os.write(int(words[words.index("--pass-fds") + 1]), b"written")
    answer(words)
    sys.exit()
for line in sys.stdin:
    # readline breaks what it reads where its screen ends.
    said = "virsh # " + line
    for start in range(0, len(said), 80):
        print(said[start : start + 80])
    words = shlex.split(line)
    if words[0] == "echo":
        print(words[1], end="", flush=True)
    else:
        answer(words)
"""


@pytest.fixture
def virsh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Virsh]:
    program = tmp_path / "virsh"
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Virsh


def test_the_answer_is_the_one_to_the_command(virsh: Callable[[str], Virsh]) -> None:
    with virsh("tally") as found:
        for length in (1, 40, 79, 200, 5000):
            # What is read may look like an answer where it is broken.
            command = '{"return": {}}'.rjust(length, "x")
            assert found.monitor(command, 10.0)["return"]["said"] == len(command)


def test_what_libvirt_says_is_told(virsh: Callable[[str], Virsh]) -> None:
    with virsh("nobody") as found, pytest.raises(Gone, match="error: failed to get domain 'nobody'"):
        found.monitor("{}", 10.0)


@pytest.mark.parametrize("command", ["hang", "end"])
def test_one_that_hangs_or_ends_is_followed_by_another(virsh: Callable[[str], Virsh], command: str) -> None:
    with virsh("tally") as found:
        began = time.monotonic()
        with pytest.raises(Gone):
            found.monitor(command, 0.2 if command == "hang" else 60.0)
        assert time.monotonic() - began < 60
        assert found.monitor("{}", 10.0)["return"]["said"] == 2


def test_a_file_goes_along(virsh: Callable[[str], Virsh]) -> None:
    source, sink = os.pipe()
    try:
        with virsh("tally") as found:
            assert found.monitor("{}", 10.0, fd=sink)["return"]["said"] == 2
        assert os.read(source, 100) == b"written"
    finally:
        os.close(source)
        os.close(sink)


def test_the_history_of_whoever_calls_it_is_left_alone(virsh: Callable[[str], Virsh]) -> None:
    with virsh("tally") as found:
        assert not Path(found.monitor("{}", 10.0)["return"]["home"]).is_dir()


def test_where_there_is_no_virsh_that_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Virsh("tally") as found, pytest.raises(Gone, match="No such file"):
        found.monitor("{}", 1.0)
