# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seven members at three sites vote on one volume (P5.10): four of them go on, three don't."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab, changed, without_a_trace
from ansible_collections.okiagari.testbed.tests.lab.volume import complete
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

SHARED = "/var/lib/okiagari/shared"
WITHOUT_A_COPY = ("a-kvm2", "a-kvm3", "b-kvm2", "c-kvm2")


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLab]:
    with without_a_trace(SmallLab(tmp_path_factory.mktemp("state"), testbed="members")) as lab:
        lab.play("lab_up", timeout=600)
        lab.play("site", timeout=1200)
        lab.play("storage", timeout=1200)
        yield lab


def writes(lab: SmallLab, node: str, what: str) -> bool:
    """Say whether a node can write `what` and have it acknowledged."""
    path = f"{SHARED}/{what}"
    return lab.ssh(node, f"timeout 20 sh -c 'echo {what} > {path} && sync {path}'", timeout=40).returncode == 0


def mounted(lab: SmallLab, node: str) -> bool:
    """Say whether a node has the volume mounted."""
    return lab.ssh(node, f"findmnt {SHARED}").returncode == 0


def test_seven_members_hold_one_volume(members: SmallLab) -> None:
    assert members.say("c-kvm2", "gluster pool list").count("Connected") == 7
    assert complete(members)
    assert changed(members.play("storage", timeout=1200)) == set()


def test_four_of_seven_go_on_three_do_not_and_all_come_back_complete(members: SmallLab) -> None:
    for node in ("b-kvm1", "b-kvm2", "a-kvm3"):
        members.lab.space.kill_node(node)
    wait_for("the four that are left write", partial(writes, members, "a-kvm2", "by-four"), 120)

    members.lab.space.kill_node("c-kvm2")
    wait_for("the three that are left are fenced", lambda: not writes(members, "a-kvm2", "by-three"), 120)
    assert members.ssh("a-kvm1", "pgrep -x glusterfsd").returncode != 0

    members.play("lab_up", timeout=600)
    wait_for("every copy is complete", partial(complete, members), 300)
    for node in ("b-kvm1", *WITHOUT_A_COPY):
        # A host that booted before it reached anybody mounts the volume later.
        try:
            wait_for(f"{node} has the volume", partial(mounted, members, node), 300)
        except AssertionError as error:
            units = "var-lib-okiagari-shared.mount var-lib-okiagari-shared-again.service glusterd.service"
            raise AssertionError(members.say(node, f"systemctl status --no-pager -n 30 {units} || true")) from error
        assert members.say(node, f"cat {SHARED}/by-four") == "by-four\n"
    wait_for("all write again", partial(writes, members, "b-kvm2", "by-all"), 120)
