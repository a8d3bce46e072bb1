# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules over a cluster in memory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.modules import (
    storage_info,
    storage_member,
    storage_mount,
    storage_volume,
)
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.storage.cluster import Cluster
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.storage.test_volume import (
    BRICKS,
    MEMBERS,
    PLACES,
)
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

WISH: dict[str, Any] = {"name": "shared", "member": "hiroshima-kvm1", "members": MEMBERS, "bricks": BRICKS}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.run_command",
        lambda module, argv, **options: tuple(cluster.run(argv)),
    )
    return cluster


def test_a_volumes_life(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    would = run_module(storage_volume.main, capsys, check=True, **WISH)
    assert (would["changed"], cluster.changes) == (True, [])
    done = run_module(storage_volume.main, capsys, **WISH)
    assert (done["changed"], done["diff"]) == (True, would["diff"])
    assert done["volume"]["bricks"] == PLACES
    assert not run_module(storage_volume.main, capsys, **WISH)["changed"]
    told = run_module(storage_info.main, capsys, name="shared", address="10.1.1.11", timeout=5)
    assert (told["changed"], told["state"]["healthy"], told["waited"]) == (False, True, 0.0)
    gone = run_module(storage_volume.main, capsys, **{**WISH, "bricks": [], "state": "absent"})
    assert (gone["changed"], gone["volume"], cluster.volumes) == (True, {}, {})


def test_bad_input_is_told_whole(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    refused = run_module(storage_volume.main, capsys, **{**WISH, "replica": 2, "member": "x", "bricks": BRICKS[:1]})
    assert refused["failed"]
    assert "replica: 2 copies" in refused["msg"]
    assert "bricks: 2 copies need 2 sites" in refused["msg"]
    assert "there is no member x" in run_module(storage_volume.main, capsys, **{**WISH, "member": "x"})["msg"]
    assert cluster.changes == []


def test_a_warning_for_a_lopsided_cluster(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ansible tells the same warning only once in a process, whoever said it first.
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    crowd = [{"name": f"k{number}", "address": f"10.2.1.{number}", "site": "kanazawa"} for number in range(20, 30)]
    run_module(storage_volume.main, capsys, check=True, **{**WISH, "members": [*MEMBERS, *crowd]})
    assert "kanazawa has 13 of 17 members" in warnings[0]


def test_an_unhealthy_cluster_is_told_and_is_a_failure_when_waited_for(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_module(storage_volume.main, capsys, **WISH)
    cluster.offline = {PLACES[0]}
    told = run_module(storage_info.main, capsys, name="shared", address="10.1.1.11")
    assert (told["state"]["healthy"], told["state"]["bricks"][PLACES[0]]) == (False, False)
    failed = run_module(storage_info.main, capsys, name="shared", address="10.1.1.11", timeout=1)
    assert (failed["failed"], failed["msg"]) == (True, "shared is not healthy after 1 s")
    assert "there is no volume x" in run_module(storage_info.main, capsys, name="x", address="10.1.1.11")["msg"]


def test_a_brick_outside_its_disk(capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {"address": "10.1.1.11", "device": "/dev/x", "mount": "/srv/a", "path": "/srv/b"}
    assert "is not below /srv/a" in run_module(storage_member.main, capsys, **options)["msg"]
    assert "missing" in run_module(storage_member.main, capsys, address="10.1.1.11", device="/dev/x")["msg"]


def test_a_mount_on_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert "/ is not a folder's" in run_module(storage_mount.main, capsys, where="/", what="a:/b", check=True)["msg"]
