# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.request import ARGUMENTS, Request, request

DEFAULTS: dict[str, Any] = {name: argument.get("default") for name, argument in ARGUMENTS.items()}


def ask(state: str, **options: Any) -> Request:
    return request({**DEFAULTS, "state": state, **options})


def test_what_is_asked_for() -> None:
    assert ask("probed", criu="/opt/criu").criu == "/opt/criu"
    asked = ask("captured", directory="/d", pid=7, files=["/a", "/b", "/a"], keep=3, leave="ended")
    assert (asked.directory, asked.pid, asked.files, asked.keep) == (Path("/d"), 7, (Path("/a"), Path("/b")), 3)
    assert ask("restored", directory="/d", network="blue").network == Path("/run/netns/blue")
    assert ask("restored", directory="/d", network="/proc/7/ns/net").network == Path("/proc/7/ns/net")


@pytest.mark.parametrize(
    ("state", "options", "problems"),
    [
        ("probed", {"pid": 7, "keep": 3}, ["pid: is for state captured, not for probed", "keep: is for state"]),
        ("probed", {"criu": "./criu"}, ["criu: ./criu is neither a program's name nor its absolute path"]),
        ("captured", {}, ["directory: is missing", "pid: name what to capture by either pid or unit"]),
        ("captured", {"directory": "d", "pid": 1, "unit": "u"}, ["directory: d is not", "by either", "pid: 1 is not"]),
        ("captured", {"directory": "/d", "unit": "-x", "keep": 0}, ["unit: -x is not", "keep: 0 is not a whole"]),
        (
            "captured",
            {"directory": "/d", "pid": 7, "leave": "stopped", "established_tcp": True},
            ["leave: a stopped tree can't take up its TCP connections again"],
        ),
        (
            "captured",
            {"directory": "/a/d", "pid": 7, "files": ["/a", "/a/b", "c", "/"]},
            ["files: /a/b is inside of /a", "files: /a/d is inside of /a", "files: c is not", "files: / is not"],
        ),
        ("captured", {"directory": "/d", "pid": 7, "overwrite": True}, ["overwrite: is for state restored"]),
        ("restored", {"directory": "/d", "epoch": 0, "unit": "u"}, ["unit: is for", "epoch: 0 is not the number"]),
        (
            "restored",
            {"directory": "/d", "output": "x", "network": ""},
            ["output: x is not", "network: nothing"],
        ),
    ],
)
def test_all_that_is_wrong_is_told_at_once(state: str, options: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        ask(state, **options)
    for problem in problems:
        assert problem in str(refused.value)
