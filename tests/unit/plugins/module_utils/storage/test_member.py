# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's part: its disk, its mounts, its manager, its certificate."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import Outcome, reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.storage import mount as mounts
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.member import (
    BrickDesire,
    Identity,
    MemberDesire,
    settings_text,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.mount import (
    Mount,
    MountDesire,
    differing,
    folder,
    unit_name,
    write_all,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

IDENTITY = Identity("CA\n", "CERTIFICATE\n", "KEY\n")


class Host:
    """systemd and disks of a host, as far as storage needs them. `changes` are the commands that change something."""

    def __init__(self) -> None:
        self.mounted: set[str] = set()
        self.sources: dict[str, str] = {}
        self.content: dict[str, str] = {}
        self.children: dict[str, list[Any]] = {}
        self.running: set[str] = set()
        self.enabled: set[str] = set()
        self.changes: list[str] = []
        self.busy = False
        self.refuses = ""

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        name, *words = argv
        return getattr(self, f"_{name.partition('.')[0]}")(*words)  # type: ignore[no-any-return]

    def _findmnt(self, *words: str) -> Completed:
        return Completed(int(words[-1] not in self.mounted), f"{self.sources.get(words[-1], '')}\n", "")

    def _lsblk(self, *words: str) -> Completed:
        device = words[-1]
        if device not in self.content:
            return Completed(32, "", f"lsblk: {device}: not a block device")
        return Completed(0, json.dumps({"blockdevices": [{"children": self.children.get(device, [])}]}), "")

    def _wipefs(self, *words: str) -> Completed:
        kind = self.content[words[-1]]
        return Completed(0, json.dumps({"signatures": [{"type": kind}]}) if kind else "", "")

    def _mkfs(self, device: str) -> Completed:
        self.changes.append(f"mkfs {device}")
        self.content[device] = "xfs"
        return Completed(0, "", "")

    def _journalctl(self, *_words: str) -> Completed:
        return Completed(0, "mount: special device is dead\n", "")

    def _systemctl(self, verb: str, *words: str) -> Completed:
        unit = words[-1] if words else ""
        if verb in ("is-active", "is-enabled"):
            return Completed(int(unit not in (self.running if verb == "is-active" else self.enabled)), "", "")
        self.changes.append(" ".join([verb, *(word for word in words if word != "--quiet")]))
        if verb in ("start", "restart"):
            if self.refuses:
                return Completed(1, "", self.refuses)
            self.running.add(unit)
            self.mounted.add("/" + unit.removesuffix(".mount").replace("-", "/"))
        elif verb == "enable":
            self.enabled.add(unit)
        elif verb == "disable" and not self.busy:
            self.enabled.discard(unit)
            self.mounted.discard("/" + unit.removesuffix(".mount").replace("-", "/"))
        return Completed(0, "", "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    return tmp_path


def bring(desire: Any, state: str = "present", check: bool = False) -> Outcome:
    return reconcile(
        state, check, read=desire.read, want=desire.want, create=desire.create, remove=getattr(desire, "remove", dict)
    )


def disk(tmp_path: Path, content: bytes = b"\0" * 4096) -> str:
    device = tmp_path / "disk"
    device.write_bytes(content)
    return str(device)


def test_an_empty_disk_is_formatted_and_mounted(root: Path, tmp_path: Path) -> None:
    host, device = Host(), disk(tmp_path)
    host.content[device] = ""
    desire = MountDesire(host, Mount(device, "/srv/brick", "xfs"), filesystem=True, root=root)
    would = bring(desire, check=True)
    assert (would.changed, host.changes) == (True, [])
    done = bring(desire)
    assert (done.changed, done.after) == (True, would.after)
    assert host.changes == [f"mkfs {device}", "daemon-reload", "enable srv-brick.mount", "start srv-brick.mount"]
    assert "Where=/srv/brick\nType=xfs\n" in (root / "etc/systemd/system/srv-brick.mount").read_text()
    assert not bring(desire).changed
    host.mounted.clear()
    host.changes.clear()
    assert bring(desire).changed
    assert host.changes == ["enable srv-brick.mount", "start srv-brick.mount"]


@pytest.mark.parametrize(
    ("content", "children", "data", "named"),
    [
        ("ext4", [], b"", "ext4"),
        ("", [{}], b"", "partitions"),
        ("", [], b"\0" * 100 + b"precious", "data of an unknown kind"),
    ],
)
def test_a_disk_that_holds_anything_is_left_alone(
    root: Path, tmp_path: Path, content: str, children: list[Any], data: bytes, named: str
) -> None:
    host, device = Host(), disk(tmp_path, data)
    host.content[device], host.children[device] = content, children
    desire = MountDesire(host, Mount(device, "/srv/brick", "xfs"), filesystem=True, root=root)
    for check in (True, False):
        with pytest.raises(OkiagariError, match=f"holds {named} and is left alone"):
            bring(desire, check=check)
    assert host.changes == []


def test_a_disk_that_is_not_there(root: Path) -> None:
    desire = MountDesire(Host(), Mount("/dev/none", "/srv/brick", "xfs"), filesystem=True, root=root)
    with pytest.raises(OkiagariError, match="/dev/none: not a block device"):
        bring(desire)


def test_a_mount_that_fails_says_why(root: Path) -> None:
    host = Host()
    host.refuses = "Job failed"
    desire = MountDesire(host, Mount("10.1.1.11:/shared", "/mnt", "glusterfs", network=True), root=root)
    with pytest.raises(OkiagariError, match="/mnt: mount: special device is dead"):
        bring(desire)


def test_a_unit_is_on_the_disk_before_systemd_hears_of_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut left units without content, which systemd takes for masked: the host never mounted again."""
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").readlink()))
    bring(MountDesire(Host(), Mount("a:/x", "/mnt", "glusterfs", network=True), root=root))
    units = root / "etc/systemd/system"
    names = {path.name.partition(".mount")[0].partition(".service")[0] for path in synced}
    assert {".mnt", ".mnt-again", "system"} <= names
    assert sorted(path.name for path in units.iterdir()) == ["mnt-again.service", "mnt.mount"]


def test_a_mount_of_the_network_is_tried_again(root: Path) -> None:
    host = Host()
    mount = MountDesire(host, Mount("a:/x", "/mnt/x-y", "glusterfs", network=True), root=root)
    bring(mount)
    folder = root / "etc/systemd/system"
    unit = (folder / "mnt-x\\x2dy.mount").read_text()
    for end in ("OnFailure", "OnSuccess"):
        assert f"{end}=mnt-x\\x2dy-again.service\n" in unit
    again = folder / "mnt-x\\x2dy-again.service"
    assert "ExecStart=/bin/systemctl start --no-block /mnt/x-y\n" in again.read_text()
    again.unlink()
    assert bring(mount).changed
    assert again.exists()
    host.changes.clear()
    bring(mount, state="absent")
    assert host.changes[-2:] == ["stop mnt-x\\x2dy-again.service", "daemon-reload"]
    assert list(folder.iterdir()) == []


def test_a_mount_changes_and_goes(root: Path) -> None:
    host = Host()
    bring(MountDesire(host, Mount("a:/x", "/mnt/x", "glusterfs", network=True), root=root))
    host.sources["/mnt/x"] = "a:/x"
    host.changes.clear()
    # New options don't disturb whoever uses it.
    assert bring(MountDesire(host, Mount("a:/x", "/mnt/x", "glusterfs", "ro", network=True), root=root)).changed
    assert host.changes == ["daemon-reload", "enable mnt-x.mount", "start mnt-x.mount"]
    host.changes.clear()
    other = MountDesire(host, Mount("b:/x", "/mnt/x", "glusterfs", network=True), root=root)
    assert bring(other).changed
    assert host.changes == ["daemon-reload", "enable mnt-x.mount", "restart mnt-x.mount"]
    host.busy = True
    with pytest.raises(OkiagariError, match="/mnt/x is in use, and stays mounted"):
        bring(other, state="absent")
    host.busy = False
    assert bring(other, state="absent").changed
    assert not bring(other, state="absent").changed
    assert not (root / "etc/systemd/system/mnt-x.mount").exists()


@pytest.mark.parametrize(
    ("where", "unit"),
    [
        ("/srv/okiagari/brick", "srv-okiagari-brick.mount"),
        ("/srv/a-b/", "srv-a\\x2db.mount"),
        ("/.hidden/x", "\\x2ehidden-x.mount"),
    ],
)
def test_unit_names(where: str, unit: str) -> None:
    assert unit_name(where) == unit


@pytest.mark.parametrize("where", ["/", "srv", "/a/../b"])
def test_no_unit_for_what_is_no_folder(where: str) -> None:
    with pytest.raises(OkiagariError, match="is not a folder's absolute path"):
        unit_name(where)


def test_a_brick_is_below_its_own_disk(root: Path, tmp_path: Path) -> None:
    with pytest.raises(OkiagariError, match="is not below /srv/brick, where its disk is mounted"):
        BrickDesire(Host(), Mount("/dev/x", "/srv/brick", "xfs"), tmp_path / "b")


def test_a_brick_without_a_disk(tmp_path: Path) -> None:
    desire = BrickDesire(Host(), None, tmp_path / "a/b")
    assert bring(desire, check=True).changed
    assert not (tmp_path / "a").exists()
    assert bring(desire).changed
    assert not bring(desire).changed


def test_a_folder_tells_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder(tmp_path / "not" / "yet", root=tmp_path)
    assert found.size_mib > 0
    assert (found.root, found.volume_id) == (True, "")
    monkeypatch.setattr(f"{mounts.__name__}.os.getxattr", lambda path, name: bytes(range(16)))
    assert folder(tmp_path).volume_id == "00010203-0405-0607-0809-0a0b0c0d0e0f"


def test_a_folder_that_was_claimed_but_never_ran_holds_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def getxattr(path: Path, name: str) -> bytes:
        if name == "trusted.gfid":
            raise OSError(61, "No data available")
        return bytes(range(16))

    monkeypatch.setattr(f"{mounts.__name__}.os.getxattr", getxattr)
    assert folder(tmp_path).volume_id == ""


def test_a_member(root: Path) -> None:
    host = Host()
    desire = MemberDesire(host, "10.1.1.11", 5, IDENTITY, root)
    would = bring(desire, check=True)
    assert (would.changed, host.changes) == (True, [])
    done = bring(desire)
    assert (done.changed, done.after) == (True, would.after)
    assert host.changes == ["daemon-reload", "enable glusterd.service", "restart glusterd.service"]
    key = root / "etc/ssl/glusterfs.key"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("KEY\n", 0o600)
    assert "KEY" not in str(done)
    assert not bring(desire).changed
    host.changes.clear()
    host.running.clear()
    assert bring(desire).changed
    assert host.changes == ["enable glusterd.service", "start glusterd.service"]
    host.changes.clear()
    assert bring(MemberDesire(host, "10.1.1.11", 5, IDENTITY._replace(key="OTHER\n"), root)).changed
    assert host.changes[-1] == "restart glusterd.service"
    assert bring(MemberDesire(host, "10.1.1.11", 5, None, root)).changed
    assert not (root / "var/lib/glusterd/secure-access").exists()
    assert not bring(MemberDesire(host, "10.1.1.11", 5, None, root)).changed


def test_a_member_listens_at_its_address_only_and_notices_silence_in_time() -> None:
    text = settings_text("10.1.1.11", 8)
    assert "option transport.socket.bind-address 10.1.1.11\n" in text
    assert "option transport.tcp-user-timeout 8\n" in text
    assert "option transport.socket.keepalive-interval 2\n" in text
    assert "inet6" not in text
    assert "option transport.address-family inet6\n" in settings_text("fd00::1", 8)


def test_files_are_written_only_where_they_differ(tmp_path: Path) -> None:
    files = {tmp_path / "a": ("1", 0o600), tmp_path / "b" / "c": ("2", 0o644)}
    assert list(differing(files)) == list(files)
    assert write_all(files)
    assert not write_all(files)
    (tmp_path / "a").chmod(0o644)
    assert list(differing(files)) == [tmp_path / "a"]
    assert write_all(files)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
