# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest with its disk goes on elsewhere, epoch after epoch, holder after holder."""

from __future__ import annotations

import ctypes
import io
import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import BACKGROUND
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capturer import Capturer, Whose
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.machine import Disk, Machine, machine
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Monitor
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.outlet import keep, outlet
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Pack
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.routed import PROTOCOL
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.running import Running
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.waiting import Waiting
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.machine import Network
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from ansible_collections.okiagari.testbed.tests.contract.captured_machine import (
    CARD,
    KEY,
    MIB,
    Host,
    on_disk,
    shipped,
)
from ansible_collections.okiagari.testbed.tests.contract.counting_guest import boot_disk
from ansible_collections.okiagari.testbed.tests.contract.real_agents import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("engine")
MEGABYTE = 1024 * 1024
PORTS = ("to-a", "to-b")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return boot_disk(tmp_path / "disk")


def test_a_guest_goes_on_with_its_disk(tmp_path: Path, disk: Path, way: str, epochs: int) -> None:
    before = disk.read_bytes()
    first, replica = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk).replica()
    with first.running() as capturer:
        assert capturer.way == way
        for epoch in range(epochs):
            label, size = shipped(capturer, replica)
            assert label.epoch == epoch + 1
            assert epoch == 0 or size < MIB * 1024 * 1024 / 1000
            number = on_disk(replica)
            second = Host(tmp_path / f"b{epoch}", disk)
            with second.running(replica):
                said = second.said.numbers()
                # Written, bumped, said: what comes next is the number after the disk's, or after the one that it said.
                assert said[0] in (number + 1, number + 2)
                assert said[:3] == list(range(said[0], said[0] + 3))
            first.said.wait_for(2)
    here = first.said.numbers()
    assert here == list(range(1, len(here) + 1))
    assert disk.read_bytes() == before
    replica.close()


def test_a_disk_may_be_copied_long_after_the_guest_has_gone_on(
    tmp_path: Path, disk: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU ends no migration in which it gives up a disk that a job still writes to."""

    def slowly(monitor: Monitor, command: str, **arguments: Any) -> Any:
        for action in arguments.get("actions", ()):
            if action["type"] == "blockdev-backup":
                action["data"]["speed"] = 8 * MEGABYTE
        if command == "cont":
            jobs.append([job["status"] for job in execute(monitor, "query-jobs")])
        return execute(monitor, command, **arguments)

    jobs: list[list[str]] = []
    execute = Monitor.execute
    with disk.open("ab") as file:
        file.write(os.urandom(7 * MEGABYTE))
    first, replica = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk).replica()
    with first.running() as capturer:
        monkeypatch.setattr(Monitor, "execute", slowly)
        for _epoch in range(2):
            shipped(capturer, replica)
            first.said.wait_for(2)
        assert way == BACKGROUND or ["running"] in jobs
        assert capturer.way == way
    assert replica.image("disk-root").read_bytes()[MEGABYTE:] == disk.read_bytes()[MEGABYTE:]
    with Host(tmp_path / "c", disk).running(replica):
        pass
    replica.close()


def test_room_for_all_of_memory_is_taken_when_it_is_first_captured(tmp_path: Path, disk: Path) -> None:
    """Whoever waits for a guest that goes on doesn't wait for that, too."""
    host, replica = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk).replica()
    with host.running() as capturer:
        if capturer.way != BACKGROUND:
            pytest.skip("this kernel doesn't tell where a guest writes to its memory")
        memory = capturer._guest.memory
        assert os.fstat(memory.file).st_blocks * 512 < memory.size
        shipped(capturer, replica)
        assert os.fstat(memory.file).st_blocks * 512 == memory.size
    replica.close()


def test_what_a_killed_capture_has_left_is_no_hindrance(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took the disks back was killed in the middle, and QEMU lives on, as one does that libvirt runs."""
    host = Host(tmp_path / "a", disk)
    execute = Monitor.execute

    def until_it_is_killed(monitor: Monitor, command: str, **arguments: Any) -> Any:
        if command in ("blockdev-set-active", "block-export-del", "nbd-server-stop"):
            raise KeyboardInterrupt
        return execute(monitor, command, **arguments)

    with host.running() as capturer:
        disks, monitor = capturer._disks, capturer._monitor
        disks.prepare()
        with monkeypatch.context() as patched:
            patched.setattr(Monitor, "execute", until_it_is_killed)
            with pytest.raises(KeyboardInterrupt):
                disks.take_back()
        assert len(monitor.execute("query-block-exports")) == (monitor.version < (10, 0))
        disks.drop()
        assert monitor.execute("query-block-exports") == []
        disks.prepare()
        disks.take_back()
        disks.drop()


def test_each_holder_goes_on_from_the_one_before(tmp_path: Path, disk: Path) -> None:
    """Three hosts in turn, each with its replica; who comes next changes what the others have already."""
    hosts = [Host(tmp_path / name, disk) for name in "abc"]
    replicas = [host.replica() for host in hosts]
    with hosts[0].running() as capturer:
        way = capturer.way
        shipped(capturer, *replicas[1:])
        label, _size = shipped(capturer, *replicas[1:])
    with hosts[1].running(replicas[1], term=2) as capturer:
        # Who goes on from an image is captured as before.
        assert capturer.way == way
        reached = hosts[1].said.numbers()[-1]
        after, size = shipped(capturer, replicas[2])
        assert (after.parent, after.term, after.epoch) == (label.root, 2, 1)
        assert size < MIB * 1024 * 1024 / 1000
    with hosts[2].running(replicas[2], term=3):
        assert hosts[2].said.numbers()[0] >= reached
    for replica in replicas:
        replica.close()


def test_the_replica_takes_the_packs_of_the_guest_that_runs_from_it(tmp_path: Path, disk: Path, epochs: int) -> None:
    """The guest's own layer has all that its packs change in the images below."""
    first, second = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk)
    replica = second.replica()
    with first.running() as capturer:
        shipped(capturer, replica)
    with second.running(replica, term=2) as capturer:
        for _epoch in range(epochs):
            shipped(capturer, replica)
            number = on_disk(replica)
            second.said.wait_for(3)
        said = second.said.numbers()
        assert said == list(range(said[0], said[-1] + 1))
    third = Host(tmp_path / "c", disk)
    with third.running(replica, term=3):
        assert third.said.numbers()[0] in (number + 1, number + 2)
    replica.close()


def test_a_state_that_does_not_fit_is_refused_in_the_words_of_qemu(tmp_path: Path, disk: Path) -> None:
    replica = Host(tmp_path / "replica", disk).replica()
    with Host(tmp_path / "a", disk, *CARD).running() as capturer:
        shipped(capturer, replica)
    with (
        pytest.raises(
            OkiagariError, match=r"QEMU can't go on from a state .* described as it was .*: Unknown savevm section"
        ),
        Host(tmp_path / "b", disk).running(replica, term=2),
    ):
        pass
    with Host(tmp_path / "c", disk, *CARD).running(replica, term=2):
        pass
    replica.close()


def test_a_guest_is_told_that_it_goes_on_elsewhere(tmp_path: Path, disk: Path) -> None:
    """By another generation, for its random numbers, and by a port at which an agent may have its clock set."""
    replica, generations = Host(tmp_path / "c", disk).replica(), set()
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        guest = Machine(MIB, {"root": Disk(disk)}, accelerator="tcg")
        state = replica if replica.head else None
        with Running(guest, SubprocessRunner(), folder, state) as running:
            running.restore(replica)
            whose = Whose("tally", name, len(generations) + 1, KEY, lambda _said: b"signed")
            capturer = Capturer(running.monitor, SubprocessRunner(), folder, running.guest, whose)
            generations.add(running.monitor.execute("query-vm-generation-id")["guid"])
            running.go_on()
            if state:
                capturer.resumed(state)
            with socket.socket(socket.AF_UNIX) as agent:
                agent.connect(str(folder / "agent"))
            shipped(capturer, replica)
    assert len(generations) == 2
    replica.close()


def test_after_a_capture_that_failed_the_next_pack_is_a_first_one(tmp_path: Path, disk: Path) -> None:
    host, replica = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk).replica()

    class Full(io.BytesIO):
        def write(self, said: Any) -> int:
            if self.tell():
                raise OSError(28, "No space left on device")
            return super().write(said)

    with host.running() as capturer:
        shipped(capturer, replica)
        with pytest.raises(OSError, match="No space left"):
            capturer.capture(Full())
        host.said.wait_for(2)
        label, _size = shipped(capturer, replica)
        assert label.parent == ""
        label, _size = shipped(capturer, replica)
        assert label.parent != ""
        host.said.wait_for(2)
    replica.close()


@pytest.fixture
def segment() -> Iterator[tuple[str, str, str]]:
    """Give the namespaces of a switch and of two hosts at it, each with a bridge `lan`."""
    names = tuple(f"okiagari-{os.getpid()}-{role}" for role in ("switch", "a", "b"))
    switch, *hosts = names
    try:
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "add", "lan", "type", "bridge")
            _ip("-n", name, "link", "set", "lan", "up")
        for port, host in zip(PORTS, hosts, strict=True):
            _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "port", "netns", host)
            _ip("-n", switch, "link", "set", port, "master", "lan", "up")
            _ip("-n", host, "link", "set", "port", "master", "lan", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Have what this thread starts begin in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = Path("/proc/thread-self/ns/net")
    with here.open() as before, Path(f"/run/netns/{namespace}").open() as there:
        assert libc.setns(there.fileno(), 0) == 0
        try:
            yield
        finally:
            assert libc.setns(before.fileno(), 0) == 0


def test_the_network_finds_a_guest_where_it_goes_on(tmp_path: Path, disk: Path, segment: tuple[str, str, str]) -> None:
    switch, *hosts = segment
    guest = machine("tally", {
        "memory": MIB, "accelerator": "tcg", "disks": {"root": {"image": str(disk)}},
        "networks": {"lan": {"bridge": "lan"}},
    })  # fmt: skip
    mac, replica = guest.networks["lan"].mac, Host(tmp_path / "c", disk).replica()
    for term, (port, host) in enumerate(zip(PORTS, hosts, strict=True), 1):
        folder = tmp_path / port
        folder.mkdir()
        state = replica if replica.head else None
        with inside(host), Running(guest, SubprocessRunner(), folder, state) as running:
            running.restore(replica)
            whose = Whose("tally", port, term, KEY, lambda _said: b"signed")
            capturer = Capturer(running.monitor, SubprocessRunner(), folder, running.guest, whose)
            running.go_on()
            if state:
                capturer.resumed(state)
            wait_for(lambda port=port: f"{mac} dev {port} " in _ip("netns", "exec", switch, "bridge", "fdb"))
            shipped(capturer, replica)
        assert outlet(folder, "lan").tap not in _ip("-n", host, "-br", "link")
    replica.close()


def test_a_guest_finds_its_port_open_where_there_is_a_spanning_tree(
    tmp_path: Path, disk: Path, segment: tuple[str, str, str]
) -> None:
    def state(port: str) -> str:
        return next(link["state"] for link in json.loads(_ip("netns", "exec", host, *show)) if link["ifname"] == port)

    host, show = segment[1], ("bridge", "-j", "link", "show")
    _ip("-n", host, "link", "set", "lan", "type", "bridge", "stp_state", "1", "forward_delay", "200")
    guest = Machine(
        MIB, {"root": Disk(disk)}, accelerator="tcg", networks={"lan": Network("lan", "lan", "02:00:00:00:00:17")}
    )
    run, gone, own = tmp_path / "guest" / "run", tmp_path / "gone" / "run", outlet(tmp_path / "guest" / "run", "lan")
    run.mkdir(parents=True)
    with inside(host):
        for _time in range(2):
            keep(SubprocessRunner(), tmp_path, {run: guest.networks, gone: guest.networks})
        wait_for(lambda: state(own.outer) == "forwarding")
        with Running(guest, SubprocessRunner(), run):
            assert (state(own.tap), state(own.outer)) == ("forwarding", "forwarding")
            for port in (own.bridge, own.inner, own.outer, own.tap):
                assert "inet" not in _ip("-n", host, "addr", "show", "dev", port)
        keep(SubprocessRunner(), tmp_path, {run: guest.networks})
    there = _ip("-n", host, "-br", "link")
    assert own.bridge in there
    assert outlet(gone, "lan").bridge not in there
    assert outlet(gone, "lan").outer not in there


def test_a_guest_whose_bridge_is_not_there_is_not_run(
    tmp_path: Path, disk: Path, segment: tuple[str, str, str]
) -> None:
    guest = Machine(
        MIB, {"root": Disk(disk)}, accelerator="tcg", networks={"lan": Network("lan", "nowhere", "02:00:00:00:00:17")}
    )
    with inside(segment[1]), pytest.raises(OkiagariError, match="nowhere"):
        Running(guest, SubprocessRunner(), tmp_path)


def test_a_host_has_a_route_to_a_routed_guest_as_long_as_that_runs(
    tmp_path: Path, disk: Path, segment: tuple[str, str, str]
) -> None:
    def routes() -> str:
        return _ip("-n", host, "route", "show", "proto", str(PROTOCOL))

    host, front = segment[1], {"routed": True, "address": "10.253.0.10/24", "gateway": "10.253.0.1"}
    guest = machine("tally", {
        "memory": MIB, "accelerator": "tcg", "disks": {"root": {"image": str(disk)}}, "networks": {"front": front},
    })  # fmt: skip
    tap = outlet(tmp_path, "front").tap
    with inside(host):
        with Running(guest, SubprocessRunner(), tmp_path) as running:
            assert "10.253.0.1/32" in _ip("-n", host, "addr", "show", "dev", tap)
            assert "proxy_arp = 1" in _ip("netns", "exec", host, "sysctl", f"net/ipv4/conf/{tap}/proxy_arp")
            assert routes() == ""
            running.go_on()
            assert routes().startswith(f"10.253.0.10 dev {tap} ")
            running.process.kill()
            wait_for(lambda: routes() == "")
        _ip("-n", host, "route", "add", "blackhole", "10.253.0.10/32")
        with Running(guest, SubprocessRunner(), tmp_path) as running:
            with pytest.raises(OkiagariError, match="File exists"):
                running.go_on()
            assert running.monitor.execute("query-status")["status"] == "prelaunch"
    assert "blackhole 10.253.0.10" in _ip("-n", host, "route")


def test_after_its_last_capture_a_guest_stands_still(tmp_path: Path, disk: Path) -> None:
    first, second = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk)
    replica = second.replica()
    with first.running() as capturer:
        shipped(capturer, replica)
        file = io.BytesIO()
        capturer.capture(file, last=True)
        replica.take(Pack(file, lambda *_said: None))
        said = first.said.numbers()
        time.sleep(0.5)
        assert first.said.numbers() == said
    with second.running(replica):
        assert second.said.numbers()[0] == said[-1] + 1
    replica.close()


def test_a_qemu_that_was_started_before_has_what_the_replica_has_by_then(tmp_path: Path, disk: Path) -> None:
    first, second = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk)
    replica, run = second.replica(), tmp_path / "b" / "run"
    machine = second.machine
    with first.running() as capturer, Waiting(SubprocessRunner(), run, tmp_path / "b" / "replica") as waiting:
        waiting.look(machine)
        assert not run.exists()
        shipped(capturer, replica)
        waiting.look(machine)
        early = waiting._running
        assert early
        waiting.look(machine)
        for _epoch in range(3):
            first.said.wait_for(first.said.numbers()[-1] + 1)
            shipped(capturer, replica)
        with waiting.take(machine, replica) as running:
            assert running is early
            running.go_on()
            second.said.wait_for(3)
            assert second.said.numbers()[0] in (on_disk(replica) + 1, on_disk(replica) + 2)
    replica.close()


@pytest.mark.parametrize("change", ["it has ended", "a first pack has come", "the guest was described anew"])
def test_a_qemu_that_does_not_fit_any_more_is_not_taken(tmp_path: Path, disk: Path, change: str) -> None:
    first, second = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk)
    replica, machine = second.replica(), second.machine
    with (
        first.running() as capturer,
        Waiting(SubprocessRunner(), tmp_path / "b" / "run", tmp_path / "b" / "replica") as waiting,
    ):
        shipped(capturer, replica)
        waiting.look(machine)
        early = waiting._running
        assert early
        if change == "it has ended":
            early.process.kill()
            early.process.wait()
        elif change == "a first pack has come":
            capturer.begin_anew()
            shipped(capturer, replica)
        else:
            machine = replace(machine, arguments=(*machine.arguments, "-name", "another"))
        with waiting.take(machine, replica) as running:
            assert running is not early
            running.go_on()
            second.said.wait_for(3)
    replica.close()


def test_a_qemu_waits_for_the_newest_images(tmp_path: Path, disk: Path) -> None:
    first, second = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk)
    replica = second.replica()
    with (
        first.running() as capturer,
        Waiting(SubprocessRunner(), tmp_path / "b" / "run", tmp_path / "b" / "replica") as waiting,
    ):
        shipped(capturer, replica)
        waiting.look(second.machine)
        early = waiting._running
        assert early
        capturer.begin_anew()
        shipped(capturer, replica)
        waiting.look(second.machine)
        assert waiting._running is not early
        assert early.process.poll() is not None
    replica.close()


def test_a_qemu_that_has_ended_is_not_started_again_and_again(tmp_path: Path, disk: Path) -> None:
    first, second = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk)
    replica = second.replica()
    with first.running() as capturer:
        shipped(capturer, replica)
    machine = replace(second.machine, arguments=("-device", "nothing"))
    with Waiting(SubprocessRunner(), tmp_path / "b" / "run", tmp_path / "b" / "replica") as waiting:
        waiting.look(machine)
        early = waiting._running
        assert early
        assert early.process.wait(30)
        waiting.look(machine)
        assert waiting._running is early
        with pytest.raises(OkiagariError, match=r"QEMU can't be started from a state .*nothing"):
            waiting.take(machine, replica)
    replica.close()


def test_a_guest_that_cannot_be_started_says_why(tmp_path: Path, disk: Path) -> None:
    machine = Machine(MIB, {"root": Disk(disk)}, ("-device", "nothing"), accelerator="tcg")
    with pytest.raises(OkiagariError, match=r"QEMU can't be started: .*nothing"):
        Running(machine, SubprocessRunner(), tmp_path)
    (tmp_path / "odd").write_bytes(bytes(1000))
    with pytest.raises(OkiagariError, match="not a whole number of 4096: qemu-img resize it"):
        Running(Machine(MIB, {"root": Disk(tmp_path / "odd")}), SubprocessRunner(), tmp_path)
