# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member's own part of the cluster, from the files that its manager keeps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target.storage import COMMAND, take

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PEERS = """<?xml version="1.0"?><cliOutput><opRet>0</opRet><peerStatus>
<peer><uuid>b</uuid><hostname>10.3.1.11</hostname><hostnames><hostname>10.3.1.11</hostname></hostnames>
<connected>1</connected><state>3</state></peer>
<peer><uuid>a</uuid><hostname>10.2.1.11</hostname><hostnames><hostname>10.2.1.11</hostname></hostnames>
<connected>0</connected><state>3</state></peer></peerStatus></cliOutput>"""


class Cli:
    def __init__(self, answer: Completed) -> None:
        self.answer = answer

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        assert tuple(argv) == COMMAND
        return self.answer


@pytest.fixture
def member(tmp_path: Path) -> Path:
    """A member with one brick of its own, which runs, and knows of another one."""
    state = tmp_path / "var/lib/glusterd"
    bricks = state / "vols/shared/bricks"
    bricks.mkdir(parents=True)
    (state / "glusterd.info").write_text("UUID=one\noperating-version=110000\n")
    (bricks / "10.1.1.11:-srv-b-shared").write_text("uuid=one\nhostname=10.1.1.11\npath=/srv/b/shared\nlisten-port=1\n")
    (bricks / "10.2.1.11:-srv-b-shared").write_text("uuid=two\nhostname=10.2.1.11\npath=/srv/b/shared\n")
    pids = tmp_path / "var/run/gluster/vols/shared"
    pids.mkdir(parents=True)
    (pids / "10.1.1.11-srv-b-shared.pid").write_text(f"{os.getpid()}\n")
    waiting = tmp_path / "srv/b/shared/.glusterfs/indices/xattrop"
    waiting.mkdir(parents=True)
    (waiting / "xattrop-0000").touch()
    return tmp_path


def test_a_member(member: Path) -> None:
    assert take(Cli(Completed(0, PEERS, "")), member) == {
        "peers": {"10.2.1.11": "gone", "10.3.1.11": "connected"},
        "bricks": {"/srv/b/shared": {"online": True, "pending": 0}},
    }


def test_a_brick_that_was_stopped_and_one_that_knows_more(member: Path) -> None:
    (member / "var/run/gluster/vols/shared/10.1.1.11-srv-b-shared.pid").write_text("4194999\n")
    (member / "srv/b/shared/.glusterfs/indices/xattrop/0a").touch()
    found = take(Cli(Completed(0, PEERS, "")), member)
    assert found is not None
    assert found["bricks"] == {"/srv/b/shared": {"online": False, "pending": 1}}


def test_a_manager_that_does_not_answer(member: Path) -> None:
    found = take(Cli(Completed(124, "", "no answer")), member)
    assert found is not None
    assert set(found) == {"bricks"}


def test_a_target_that_is_no_member(tmp_path: Path) -> None:
    assert take(Cli(Completed(0, PEERS, "")), tmp_path) is None
