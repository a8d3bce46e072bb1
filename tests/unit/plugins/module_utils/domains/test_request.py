# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.request import ARGUMENTS, Request, request
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput


def params(**given: Any) -> dict[str, Any]:
    return {**{key: each.get("default") for key, each in ARGUMENTS.items()}, **given}


def test_what_is_asked_for_is_read() -> None:
    assert request(params(state="captured", name="tally", folder="/e", keep=5)) == Request(
        "captured", Path("/e"), "tally", keep=5
    )
    found = request(params(state="restored", folder="/e", disks="/d", epoch=2, overwrite=True, paused=True))
    assert (found.disks, found.epoch, found.overwrite, found.paused, found.name) == (Path("/d"), 2, True, True, "")
    assert request(params(state="probed", uri="qemu:///session")).uri == "qemu:///session"
    assert request(params(state="query", folder="/e")).folder == Path("/e")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"state": "captured", "folder": "/e"}, ["name: is missing: name the domain to capture"]),
        ({"state": "captured", "name": "a/b", "folder": "e"}, [
            "folder: e is not an absolute path", "name: a/b is not a domain's name",
        ]),
        ({"state": "captured", "name": "--all", "folder": "/e"}, ["name: --all is not a domain's name"]),
        ({"state": "query"}, ["folder: is missing"]),
        ({"state": "query", "folder": "/e", "uri": "qemu:///system"}, [
            "uri: is for state probed and captured and restored, not for query",
        ]),
        ({"state": "captured", "name": "a", "folder": "/e", "disks": "/d", "keep": 0, "timeout": 0}, [
            "disks: is for state restored, not for captured",
            "keep: 0 is not a whole number from 1 to 1000",
            "timeout: 0 is not a number of seconds from 1 to 86400",
        ]),
        ({"state": "restored", "folder": "/", "disks": "/a/../b", "epoch": 0}, [
            "folder: / is not an absolute path", "disks: /a/../b is not an absolute path",
            "epoch: 0 is not the number of an epoch, which begin with 1",
        ]),
        ({"state": "probed", "uri": "lxc:///"}, [
            "uri: lxc:/// is not the URI of a libvirt that runs QEMU, such as qemu:///system",
        ]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_told_at_once(given: dict[str, Any], why: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        request(params(**given))
    assert str(refused.value).splitlines() == why
