# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.launch import (
    apart,
    first_process,
    launch,
    opened,
)

OWN = ["unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]


def test_apart_from_whoever_asked(tmp_path: Path) -> None:
    assert apart(None, "x", tmp_path / "none") == OWN
    assert apart(Path("/run/netns/blue"), "x", tmp_path / "none") == ["nsenter", "--net=/run/netns/blue", "--", *OWN]
    scope = ["systemd-run", "--scope", "--quiet", "--collect", "--unit=x", "--"]
    assert apart(None, "x", tmp_path) == [*scope, *OWN]


def test_it_is_told_when_the_first_process_is_there(tmp_path: Path) -> None:
    pids: list[int] = []
    with opened(tmp_path / "output", [True, False]) as descriptors:
        assert launch(first_process(), descriptors, pids.append)
        # The first process has no children here, and so nothing to wait for.
        assert os.waitpid(pids[0], 0) == (pids[0], 0)
        os.write(descriptors[0], b"said")
        assert os.read(descriptors[1], 10) == b""
    assert (tmp_path / "output").read_bytes() == b"said"


@pytest.mark.parametrize("source", ["print('else')", "import sys; sys.exit(1)", "import time; time.sleep(60)"])
def test_it_is_told_when_it_is_not(source: str) -> None:
    pids: list[int] = []
    assert not launch([sys.executable, "-I", "-S", "-c", source], [], pids.append, timeout=0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_an_output_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(OkiagariError, match=r"output: .*: Is a directory"), opened(tmp_path, [True]):
        pass
