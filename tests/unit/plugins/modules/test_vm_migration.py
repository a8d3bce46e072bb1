# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration between two hosts in memory, whose files are in two real folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.guest import facts, machines, migration
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.migration import is_shared
from ansible_collections.okiagari.testbed.plugins.modules import virtual_machine, vm_migration
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.guest.simulated_host import (
    SimulatedHost,
    qcow2,
)
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

ADDRESS = "172.30.4.202"
CARD = {"name": "lan", "bridge": "br100", "mac": "02:03:00:00:00:01", "address": "10.240.0.11/24"}
WEB = {"name": "web-1", "networks": [CARD]}
CAPACITY = {"vcpus": 2, "memory_mib": 256, "guests": 2, "cpus": [4, 5]}
STATISTICS = "time_elapsed: 4120\ndowntime: 61\nmemory_processed: 54525952\ndisk_processed: 3145728\nsuccess: 1\n"


class Source(SimulatedHost):
    """A host that moves guests to another one, which it also asks about them."""

    def __init__(self, other: SimulatedHost, pool: Path) -> None:
        super().__init__()
        self.other, self.pool = other, pool
        self.problem: tuple[int, str] | None = None
        self.after_problem = 1
        self.commands: list[list[str]] = []
        self.documents: list[str] = []

    def __call__(self, argv: list[str], data: str | None = None, **options: object) -> tuple[int, str, str]:
        if argv[0] == "timeout":
            return self._migrate(argv)
        if argv[2:4] == ["--connect", f"qemu+tls://{ADDRESS}/system"]:
            if argv[4] == "domjobinfo":
                assert argv[5:] == ["web-1", "--completed", "--rawstats"]
                return 0, STATISTICS, ""
            return self.other(["virsh", "--quiet", *argv[4:]], data)
        return super().__call__(argv, data, **options)

    def _migrate(self, argv: list[str]) -> tuple[int, str, str]:
        self.commands.append(argv)
        name = argv[argv.index("migrate") + 1]
        self.documents = [Path(argv[argv.index(option) + 1]).read_text() for option in ("--xml", "--persistent-xml")]
        if self.problem:
            self.states[name] = self.after_problem
            return self.problem[0], "", self.problem[1]
        self.other.definitions[name], self.other.states[name] = self.documents[1], 1
        del self.definitions[name], self.states[name]
        return 0, "", ""

    def _dumpxml(self, arguments: list[str], data: str) -> str:
        return super()._dumpxml([arguments[0], "--inactive"], data)


class Pair:
    """Both hosts, and the steps on the right one of them. They share a path, so each has the pool when it is asked."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys, self._path = monkeypatch, capsys, path
        self.pool = path / "pool"
        self.destination = SimulatedHost()
        self.source = Source(self.destination, self.pool)
        for host in ("a", "b"):
            (path / host).mkdir()
        self._at = ""
        self.at("a")
        template = path / "tiny"
        template.mkdir()
        (template / "disk.qcow2").write_bytes(qcow2(256))
        (template / "template.json").write_text(json.dumps({"disk": "disk.qcow2", "kernel": "kernel"}))
        (template / "kernel").write_bytes(b"kernel")
        monkeypatch.setattr(facts, "_LOCK", path / "lock")
        monkeypatch.setattr(machines, "console", lambda name: str(path / f"{name}.console"))
        for module in (machines, migration):
            monkeypatch.setattr(module, "_LINKS", path / "links")
        monkeypatch.setattr(migration, "_PAUSE", 0)
        (path / "links" / "br100" / "bridge").mkdir(parents=True)
        options = {"pool": str(self.pool), "templates": {"tiny": str(template)}, "capacity": CAPACITY, "host": "a"}
        made = run_module(virtual_machine.main, capsys, machines=[WEB], **options)
        assert made["changed"], made

    def at(self, host: str) -> None:
        """Be on a host: its runner and its folder."""
        if self._at:
            self.pool.rename(self._path / self._at)
        (self._path / host).rename(self.pool)
        self._at = host
        runner = self.source if host == "a" else self.destination
        self._monkeypatch.setattr(
            "ansible.module_utils.basic.AnsibleModule.run_command",
            lambda module, argv, **options: runner(argv, **options),
        )

    def step(self, host: str, step: str, check: bool = False, **options: Any) -> dict[str, Any]:
        self.at(host)
        return run_module(vm_migration.main, self._capsys, check=check, step=step, host=host, **options)

    def prepared(self) -> dict[str, Any]:
        """Take the first two steps and give what the others need."""
        moving = self.step("a", "look", name="web-1")["moving"]
        ready = self.step("b", "prepare", moving=moving, capacity=CAPACITY)
        return {"moving": moving, "prepared": ready["prepared"], "address": ADDRESS}

    def files(self, host: str) -> list[str]:
        self.at(host)
        return sorted(path.name for path in self.pool.iterdir())


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pair:
    return Pair(tmp_path, monkeypatch, capsys)


def test_a_machine_moves_with_its_disk(pair: Pair, tmp_path: Path) -> None:
    looked = pair.step("a", "look", name="web-1")
    moving = looked["moving"]
    assert (looked["changed"], moving["shared"], moving["disk_mib"]) == (False, False, 256)
    seed = (pair.pool / "web-1.seed").read_bytes()
    would = pair.step("b", "prepare", check=True, moving=moving, capacity=CAPACITY)
    assert (would["prepared"], pair.files("b")) == ({"copy": True, "pins": [4]}, [])
    options = pair.prepared()
    assert pair.files("b") == ["web-1.qcow2", "web-1.seed"]
    assert (pair.pool / "web-1.seed").read_bytes() == seed
    (tmp_path / "web-1.log").touch()
    moved = pair.step("a", "move", **options)
    assert moved["figures"] == {"total_ms": 4120, "downtime_ms": 61, "memory_mib": 52, "disk_mib": 3}
    assert (pair.files("a"), pair.source.definitions) == ([], {})
    assert not (tmp_path / "web-1.log").exists()
    assert pair.destination.states == {"web-1": 1}
    assert pair.step("a", "look", name="web-1")["moving"] == {}
    assert pair.step("b", "look", name="web-1")["moving"]["machine"]["name"] == "web-1"


def test_the_command_that_moves(pair: Pair) -> None:
    pair.step("a", "move", **pair.prepared(), timeout=90)
    (command,) = pair.source.commands
    assert command[:6] == ["timeout", "--signal=INT", "--kill-after=20", "90", "virsh", "--quiet"]
    for words in (
        "migrate web-1 --desturi qemu+tls://172.30.4.202/system", "--tls", "--undefinesource", "--persistent",
        "--migrateuri tcp://172.30.4.202", "--copy-storage-inc --migrate-disks vda --disks-uri tcp://172.30.4.202",
    ):  # fmt: skip
        assert words in " ".join(command)
    for document in pair.source.documents:
        assert re.findall(r'cpuset="(\d+)"', document) == ["4"]


def test_shared_storage_is_not_copied(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "is_shared", lambda folder: True)
    moving = pair.step("a", "look", name="web-1")["moving"]
    missing = pair.step("b", "prepare", moving=moving, capacity=CAPACITY)
    assert "web-1.qcow2 is on shared storage at its source, but not here" in missing["msg"]
    (pair.pool / "web-1.qcow2").write_bytes(qcow2(256))
    ready = pair.step("b", "prepare", moving=moving, capacity=CAPACITY)
    assert (ready["changed"], ready["prepared"]["copy"]) == (False, False)
    pair.step("a", "move", moving=moving, prepared=ready["prepared"], address=ADDRESS)
    assert "--copy-storage-inc" not in pair.source.commands[0]
    assert pair.files("a") == ["web-1.qcow2", "web-1.seed"]
    assert not pair.step("b", "discard", moving=moving)["changed"]
    assert pair.files("b") == ["web-1.qcow2"]


def test_what_can_not_run_there_is_refused_before_anything(pair: Pair, tmp_path: Path) -> None:
    moving = pair.step("a", "look", name="web-1")["moving"]
    full = {"vcpus": 0, "memory_mib": 64, "guests": 0}
    (tmp_path / "links" / "br100" / "bridge").rmdir()
    (tmp_path / "tiny" / "kernel").write_bytes(b"another kernel")
    (tmp_path / "b" / "web-1.qcow2").write_bytes(b"")
    refused = pair.step("b", "prepare", moving=moving, capacity=full)
    kernel = f"{tmp_path}/tiny/kernel"
    assert refused["msg"].splitlines() == [
        f"b: web-1: {pair.pool}/web-1.qcow2 is there already: it may belong to a machine on another host",
        f"b: web-1: the template's file {kernel} is missing or another one: bring the template here first",
        "b: web-1: the bridge br100 isn't there",
        "b: 0 of 0 vCPUs are free, 1 asked",
        "b: 64 of 64 MiB of memory are free, 96 asked",
        "b: 0 of 0 places for guests are free, 1 asked",
    ]
    assert pair.files("b") == ["web-1.qcow2"]
    assert pair.source.commands == []


def test_a_machine_that_is_there_already(pair: Pair) -> None:
    moving = pair.step("a", "look", name="web-1")["moving"]
    pair.destination.definitions["web-1"] = "<domain><name>web-1</name></domain>"
    pair.destination.states["web-1"] = 5
    assert (
        "there is a guest of this name, stopped" in pair.step("b", "prepare", moving=moving, capacity=CAPACITY)["msg"]
    )
    assert not pair.step("b", "discard", moving=moving)["changed"]


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        ((1, "error: operation failed: job 'migration out' failed: Unable to write to socket\n"), "Unable to write"),
        ((124, ""), "it took longer than 60 s"),
    ],
)
def test_a_move_that_fails_leaves_the_machine_at_its_source(pair: Pair, problem: tuple[int, str], why: str) -> None:
    options = pair.prepared()
    pair.source.problem = problem
    failed = pair.step("a", "move", **options, timeout=60)
    assert failed["msg"].startswith("web-1 did not move: ")
    assert why in failed["msg"]
    assert failed["msg"].endswith("It runs at its source.")
    assert pair.files("a") == ["web-1.qcow2", "web-1.seed"]
    assert pair.step("b", "discard", moving=options["moving"])["changed"]
    assert pair.files("b") == []
    assert not pair.step("b", "discard", moving=options["moving"])["changed"]


def test_doubt_is_told_and_nothing_is_resumed(pair: Pair) -> None:
    options = pair.prepared()
    pair.source.problem, pair.source.after_problem = (1, "error: connection lost"), 3
    assert "It is paused at its source and unknown at 172.30.4.202" in pair.step("a", "move", **options)["msg"]
    assert not any(change.startswith("resume") for change in pair.source.changes + pair.destination.changes)


@pytest.mark.parametrize(("state", "message"), [(5, "web-1 is stopped; only a running"), (3, "web-1 is paused")])
def test_what_does_not_run_does_not_move(pair: Pair, state: int, message: str) -> None:
    pair.source.states["web-1"] = state
    assert message in pair.step("a", "look", name="web-1")["msg"]


def test_foreign_guests_do_not_move(pair: Pair) -> None:
    pair.source.definitions["web-1"] = "<domain><name>web-1</name></domain>"
    assert "web-1 was not made here" in pair.step("a", "look", name="web-1")["msg"]


def test_check_mode_moves_nothing(pair: Pair) -> None:
    options = pair.prepared()
    for step in ("move", "discard"):
        assert pair.step("a" if step == "move" else "b", step, check=True, **options)["changed"]
    assert pair.source.commands == []
    assert pair.files("b") == ["web-1.qcow2", "web-1.seed"]


MOUNTS = """/dev/vda / ext4 rw 0 0
127.0.0.1:/shared /var/lib/okiagari/shared fuse.glusterfs rw 0 0
server:/x /srv/nfs nfs4 rw 0 0
/dev/vdb /srv/nfs/local xfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "shared"),
    [
        ("/var/lib/okiagari/guests", False),
        ("/var/lib/okiagari/shared", True),
        ("/var/lib/okiagari/shared/", True),
        ("/var/lib/okiagari/shared2", False),
        ("/srv/nfs/a/b", True),
        ("/srv/nfs/local/b", False),
    ],
)
def test_shared_folders(folder: str, shared: bool) -> None:
    assert is_shared(folder, MOUNTS) is shared
