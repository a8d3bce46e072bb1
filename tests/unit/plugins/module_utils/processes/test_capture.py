# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.processes import launch
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.capture import Capture
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.criu import Criu
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.epochs import Epochs
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.request import Request
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.restore import Restore
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.subject import subject
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.tree import Processes
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.processes.simulated_criu import (
    Host,
    SimulatedCriu,
    stats,
)


class Site:
    """A host with a ledger, process 100, whose program is a file, and whose entries are another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "proc").mkdir(parents=True)
        (folder / "root/usr/bin").mkdir(parents=True)
        (folder / "root/usr/bin/ledger").write_text("program")
        self.entries = folder / "entries"
        self.entries.write_text("one\n")
        self.host, self.criu = Host(folder / "proc"), SimulatedCriu()
        self.host.add(100, maps="00400000-00500000 r-xp 00000000 08:01 11 /usr/bin/ledger\n")
        self.processes, self.epochs = Processes(folder / "proc"), Epochs(folder / "epochs")

    def capture(self, **options: Any) -> dict[str, Any]:
        asked = Request("captured", self.epochs.folder, **{"pid": 100, "files": (self.entries,), **options})
        with self.epochs.alone():
            capture = Capture(
                Criu(self.criu, "criu"), self.processes, self.epochs, asked, "boot", self.folder / "root"
            )  # fmt: skip
            return capture.run(subject(self.criu, self.processes, asked))

    def gone(self) -> None:
        (self.folder / "proc/100/stat").unlink()

    def restore(self, boot: str = "boot", **options: Any) -> Restore:
        asked = Request("restored", self.epochs.folder, **options)
        return Restore(
            self.criu, Criu(self.criu, "criu"), self.processes, self.epochs, asked, boot, self.folder / "root"
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_an_epoch_has_memory_and_files(site: Site) -> None:
    made = site.capture()
    assert (made["epoch"], made["pause_ms"], made["processes"]) == (1, 21.5, 1)
    assert {path.name for path in (site.epochs.folder / "1").iterdir()} == {"manifest", "images", "files"}
    assert (site.epochs.folder / "1/files/0").read_text() == "one\n"
    manifest = site.epochs.whole(1)
    assert manifest["processes"] == [{"pid": 100, "started": 5}]
    assert list(manifest["program"]) == ["/usr/bin/ledger"]
    assert made["bytes"] == sum(len(part) for part in ("registers", "memory", "one\n"))


def test_most_is_written_beforehand_where_the_kernel_can(site: Site) -> None:
    site.criu.tracks = True
    site.capture(files=())
    assert [words[-1] if "--feature" in words else words[3] for words in site.criu.commands] == [
        "mem_dirty_track",
        "pre-dump",
        "dump",
    ]
    assert (site.epochs.folder / "1/before/pages-1.img").read_bytes() == b"before"
    assert site.criu.commands[-1][-3:] == ["--track-mem", "--prev-images-dir", "../before"]


def test_a_tree_that_was_restored_is_known_by_its_pids_outside(tmp_path: Path) -> None:
    site = Site(tmp_path / "a")
    other = {"pid": "pid:[2]", "mnt": "mnt:[2]"}
    site.host.add(300, inner=7, other=other, session=300)
    site.host.add(301, inner=7, session=301)
    site.capture(pid=300, files=())
    assert site.epochs.manifest(1)["processes"] == [{"pid": 300, "started": 5}]


def test_a_failure_changes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr("os.kill", lambda pid, _signal: signals.append(pid))
    site.capture()
    site.criu.fails = "Error (criu/cr-dump.c:1): It isn't to be\n"
    with pytest.raises(OkiagariError, match=r"process 100 \(ledger\) can't be captured, and runs on: It isn't to be"):
        site.capture()
    site.criu.fails = ""
    with pytest.raises(OkiagariError, match="runs on: files: /nowhere: No such file or directory"):
        site.capture(files=(Path("/nowhere"),))
    assert (site.epochs.numbers(), [path.name for path in site.epochs.folder.glob(".new*")]) == ([1], [])
    assert signals == []


def test_a_tree_that_was_stopped_for_nothing_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, signal: signals.append((pid, int(signal))))

    def finish(*_arguments: object) -> int:
        path = site.folder / "proc/100/stat"
        path.write_text(path.read_text().replace(" S ", " T "))
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(site.epochs, "finish", finish)
    with pytest.raises(OkiagariError, match="runs on: x: No space left on device"):
        site.capture(leave="ended")
    assert signals == [(100, 18)]


def test_a_tree_is_ended_when_its_epoch_is_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, signal: int) -> None:
        assert (pid, int(signal), site.epochs.numbers()) == (100, 9, [1])
        site.gone()

    monkeypatch.setattr("os.kill", kill)
    site.capture(leave="ended")
    assert "--leave-stopped" in site.criu.commands[-1]


def test_what_speaks_against_a_restore(site: Site) -> None:
    def refused(said: str, boot: str = "boot", **options: Any) -> None:
        with pytest.raises(OkiagariError) as error:
            site.restore(boot, **options).look()
        assert said in str(error.value)

    refused("has no epoch at all; it has none")
    site.criu.main_pids = {"ledger.service": 100}
    site.capture(unit="ledger.service", pid=None)
    refused("has no epoch 3; there are 1", epoch=3)
    refused("process 100 (ledger) still runs here, which epoch 1 has: there must never be two of it")
    refused("the unit ledger.service is active here", boot="after another one")
    site.criu.main_pids = {}
    assert site.restore("after another one").look() == {"epoch": 1}
    site.gone()
    assert site.restore().look() == {"epoch": 1}
    refused("there is no network namespace /nowhere", network=Path("/nowhere"))
    refused("epoch 1 was captured without established_tcp", established_tcp=True)
    site.entries.write_text("two\n")
    refused(f"{site.entries}: not what was captured in epoch 1; allow that by overwrite")
    assert site.restore(overwrite=True).look() == {"epoch": 1, "files": {str(site.entries): "replaced"}}
    site.entries.unlink()
    assert site.restore().look() == {"epoch": 1, "files": {str(site.entries): "made"}}
    (site.folder / "root/usr/bin/ledger").write_text("upgraded")
    refused("/usr/bin/ledger: not the program that epoch 1 was captured with")


def test_a_tree_of_another_network_needs_one(tmp_path: Path) -> None:
    site = Site(tmp_path / "a")
    site.host.add(300, session=300, other={"net": "net:[2]"})
    site.capture(pid=300, files=())
    (site.folder / "proc/300/stat").unlink()
    with pytest.raises(OkiagariError, match="name one in which it goes on, by network"):
        site.restore().look()
    assert site.restore(network=tmp_path).look() == {"epoch": 1}


def test_a_restore(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    argvs: list[list[str]] = []

    def launched(argv: list[str], descriptors: list[int], started: Any) -> bool:
        argvs.append(argv)
        site.host.add(400)
        site.host.add(401, parent=400, inner=1)
        site.host.add(402, parent=401, inner=100)
        started(400)
        work = Path(argv[argv.index("--work-dir") + 1])
        (work / "stats-restore").write_bytes(stats(2, 0, 0, 2000, 3000))
        return True

    site.capture()
    site.gone()
    site.entries.unlink()
    monkeypatch.setattr(launch, "launch", launched)
    restore = site.restore()
    restore.look()
    assert restore.run() == {"epoch": 1, "pid": 402, "took_ms": 5.0}
    assert site.entries.read_text() == "one\n"
    assert argvs[0][argvs[0].index("--images-dir") + 1] == str(site.epochs.folder / "1/images")
    assert site.restore().running() == {"epoch": 1, "pid": 400}
    assert site.restore("after another one").running() == {}
    with pytest.raises(OkiagariError, match="epoch 1 goes on here already, as process 400: end it first"):
        site.restore().look()


def test_a_restore_that_fails(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(argv: list[str], _descriptors: list[int], started: Any) -> bool:
        started(400)
        log = Path(argv[argv.index("--work-dir") + 1]) / "log"
        log.write_text(" 9: Error (criu/files-reg.c:1): File x has bad size 4 (expect 3)\n")
        return False

    site.capture()
    site.gone()
    monkeypatch.setattr(launch, "launch", failed)
    restore = site.restore()
    restore.look()
    with pytest.raises(OkiagariError, match="epoch 1 can't be restored: a file that it has open isn't as it was"):
        restore.run()
    assert site.epochs.running() == {}
    assert sorted(path.name for path in site.epochs.folder.iterdir()) == [".lock", "1"]
