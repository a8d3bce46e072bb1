# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One volume over three real sites: it forms, a site alone is fenced, and copies are made again elsewhere."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab, changed, without_a_trace
from ansible_collections.okiagari.testbed.tests.lab.volume import complete
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

HERE = Path(__file__).parent
PLAYBOOK = str(HERE / "playbooks" / "storage.yml")
DRILL = str(HERE / "drills" / "isolated.yml")
SHARED = "/var/lib/okiagari/shared"
BRICK = "/srv/okiagari/brick/shared"
WRITE = """python3 -c 'import os, sys; file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.pwrite(file, sys.argv[2].encode() * 8192, 0); os.fsync(file)' """


class Storage(SmallLab):
    """The lab with its volume."""

    def bring(self, *options: str, **variables: Any) -> set[str]:
        """Run the role with these variables, and say which hosts that changed."""
        return changed(self.play(PLAYBOOK, "-e", json.dumps(variables), *options, timeout=600))

    def copies(self, name: str, *hosts: str) -> set[str]:
        """Give the checksums of a file's copies in the hosts' own bricks, and of what is mounted at site b."""
        paths = [(host, f"{BRICK}/{name}") for host in hosts]
        return {self.say(host, f"sha256sum < {path}") for host, path in [*paths, ("b-kvm1", f"{SHARED}/{name}")]}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Give a lab of three sites with a volume over them."""
    with without_a_trace(Storage(tmp_path_factory.mktemp("state"), testbed="storage")) as lab:
        lab.play("lab_up")
        lab.play("site", timeout=600)
        lab.play("storage", timeout=600)
        yield lab


def test_the_volume_is_there_and_a_second_run_changes_nothing(storage: Storage) -> None:
    assert complete(storage)
    storage.say("a-kvm1", f"echo hello > {SHARED}/hello; sync {SHARED}/hello")
    assert storage.say("c-kvm1", f"cat {SHARED}/hello") == "hello\n"
    assert len(storage.copies("hello", "a-kvm1", "b-kvm1", "c-kvm1")) == 1
    assert storage.bring("--check") == set()
    assert storage.bring() == set()


def test_what_a_site_writes_over_is_what_the_others_read(storage: Storage) -> None:
    path = f"{SHARED}/overwritten"
    for letter in "abcd":
        storage.say("a-kvm1", f"{WRITE} {path} {letter}")
        for reader in ("b-kvm1", "c-kvm1"):
            assert storage.say(reader, f"head -c 3 {path}") == 3 * letter, reader


def test_nobody_without_a_certificate_is_let_in(storage: Storage) -> None:
    storage.say(
        "a-kvm2",
        "mkdir -p /run/stranger /mnt/stranger; cd /run/stranger; openssl req -x509 -newkey ec -nodes -days 1 "
        "-pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=a-kvm1 -keyout key -out pem 2> /dev/null",
    )
    as_stranger = "for f in key pem; do mount --bind /run/stranger/$f /etc/ssl/glusterfs.$f; done"
    read = "timeout 30 mount -t glusterfs 10.1.1.11:/shared /mnt/stranger; cat /mnt/stranger/hello"
    known = storage.ssh("a-kvm2", f"unshare --mount sh -c '{read}'", timeout=60)
    assert (known.returncode, known.stdout) == (0, "hello\n"), known.stderr
    stranger = storage.ssh("a-kvm2", f"unshare --mount sh -c '{as_stranger}; {read}'", timeout=60)
    assert stranger.returncode != 0
    assert stranger.stdout == ""


def test_a_site_alone_is_fenced_and_comes_back_complete(storage: Storage, tmp_path: Path) -> None:
    storage.play(DRILL, "-e", f"drill_reports={tmp_path}")
    report = json.loads((tmp_path / "latest" / "report.json").read_text())
    assert (report["verdict"], report["restored"], report["differences"]) == ("held", True, [])
    stopped = {
        item["target"] for item in report["during"] if item["path"].endswith(".online") and item["after"] is False
    }
    assert stopped == {"b-kvm1"}
    written = {writer["name"]: writer["records_per_s"]["faults"] for writer in report["writers"]}
    assert written["b"] < 0.2 < min(written["a"], written["c"])
    assert complete(storage)


def test_a_host_that_boots_before_it_reaches_the_volume_mounts_it_later(storage: Storage) -> None:
    for node in ("c-kvm1", "c-r1"):
        assert storage.lab.space.kill_node(node)
    storage.play("lab_up", "--limit", "localhost,c-kvm1")
    # A mount that is killed for taking too long has succeeded, as systemd sees it; either way it is tried again.
    tried = 'test -n "$(journalctl -q -b -o cat -u var-lib-okiagari-shared-again.service)"'
    wait_for("the mount is tried again", lambda: storage.ssh("c-kvm1", tried).returncode == 0, 240)
    assert storage.ssh("c-kvm1", f"findmnt {SHARED}").returncode != 0
    storage.play("lab_up")
    wait_for("the volume is mounted", lambda: storage.ssh("c-kvm1", f"findmnt {SHARED}").returncode == 0, 180)
    wait_for("every copy is complete", partial(complete, storage), 300)


def test_a_brick_moves_to_another_host_while_in_use(storage: Storage) -> None:
    storage.say("c-kvm1", f"dd if=/dev/urandom of={SHARED}/large bs=1M count=40 conv=fsync 2> /dev/null", 120)
    moved = {"distributed_storage_brick_hosts": ["a-kvm2", "b-kvm1", "c-kvm1"]}
    assert "a-kvm1" in storage.bring(**moved)
    wait_for("every copy is complete", partial(complete, storage), 300)
    assert len(storage.copies("large", "a-kvm2", "b-kvm1", "c-kvm1")) == 1
    assert storage.bring(**moved) == set()


def test_the_copies_of_a_dead_disk_are_made_again(storage: Storage) -> None:
    hosts = {"distributed_storage_brick_hosts": ["a-kvm2", "b-kvm1", "c-kvm1"]}
    storage.bring(**hosts)
    wait_for("every copy is complete", partial(complete, storage), 300)
    storage.say("c-kvm1", f"dd if=/dev/urandom of={SHARED}/precious bs=1M count=20 conv=fsync 2> /dev/null", 120)
    new_disk = "dd if=/dev/zero of=/dev/disk/by-id/virtio-disk1 bs=1M count=64 conv=fsync 2> /dev/null"
    storage.say("c-kvm1", f"pkill -x glusterfsd; sleep 1; umount /srv/okiagari/brick && {new_disk}", 60)
    assert {"a-kvm1", "c-kvm1"} <= storage.bring(**hosts)
    wait_for("every copy is complete", partial(complete, storage), 300)
    assert len(storage.copies("precious", "a-kvm2", "b-kvm1", "c-kvm1")) == 1
