# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real trees of processes, captured by the CRIU of Debian's and restored.

Where the kernel can't, the module must say so. On Linux 6.16 and later the CRIU of trixie captures no sockets; there
the next release's is taken for what needs them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.epochs import Epochs
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.probe import end
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.tree import Processes
from ansible_collections.okiagari.testbed.plugins.modules import process_checkpoint
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

sys.path.insert(0, str(Path(__file__).parent))

from real_criu import real_criu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUITES = ("trixie", "forky")
PATIENCE_S = 15.0

# The parent writes its number to a file, then adds one to it in memory; the child does the same with its own file.
COUNTER = """
import os, sys, time
name = "parent" if os.fork() else "child"
number = 0
while True:
    with open(sys.argv[1] + "/" + name, "a") as file:
        file.write(str(number) + "\\n")
    number += 1
    print(name, number, flush=True)
    time.sleep(0.002)
"""

# One connection; each byte that comes is answered by how many have come. When it is closed, that is noted.
SERVER = """
import socket, sys, time
server = socket.socket()
server.bind(("10.99.0.1", 7000))
server.listen()
open(sys.argv[1] + "/listens", "w").close()
peer, number = server.accept()[0], 0
try:
    while peer.recv(1):
        number += 1
        peer.send(b"%d\\n" % number)
except OSError:
    pass
open(sys.argv[1] + "/closed", "w").close()
while True:
    time.sleep(1)
"""

Say = "Callable[..., dict[str, Any]]"


class Trees:
    """The trees that a test has started, all of which it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counted = folder / "counted"
        self.counted.mkdir()
        self.epochs = folder / "epochs"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, program: str, *before: str, python: str = sys.executable, **streams: Any) -> int:
        """Start a tree, and give the PID of its first process."""
        silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        argv = [*before, python, "-I", "-S", "-B", "-c", program, str(self.counted)]
        self._started.append(subprocess.Popen(argv, start_new_session=True, **{**silent, **streams}))
        return self._started[-1].pid

    def kill(self) -> None:
        """Kill what was started. Their PIDs stay taken, since nobody has asked yet how they ended."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        until(lambda: not any(self.runs(process.pid) for process in self._started))

    def kill_restored(self) -> None:
        if (noted := self.epochs / "running").exists():
            word = json.loads(noted.read_text())
            there = Processes().process(word["pid"])
            if there and there.started == word["started"]:
                end(Processes(), word["pid"])

    def reap(self) -> None:
        for process in self._started:
            process.wait()

    def runs(self, pid: int) -> bool:
        there = Processes().process(pid)
        return there is not None and there.alive

    def counts(self, folder: Path | None = None) -> list[list[int]]:
        """Give what parent and child have written, whole lines only."""
        texts = [(folder or self.counted) / name for name in ("parent", "child")]
        return [[int(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else [] for path in texts]

    def go_on(self, than: list[list[int]] | None = None, by: int = 5) -> bool:
        """Say whether both count further than that, or than they did when this was asked."""
        before = than or self.counts()
        return until(lambda: all(len(a) >= len(b) + by for a, b in zip(self.counts(), before, strict=True)))


@pytest.fixture
def trees(tmp_path: Path) -> Iterator[Trees]:
    made = Trees(tmp_path)
    try:
        yield made
    finally:
        made.kill_restored()
        made.kill()
        made.reap()
    assert not [line for line in command_lines() if str(tmp_path).encode() in line], "processes are left"
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text(), "mounts are left"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("run"))


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, places: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Give what the module answers."""
    monkeypatch.setenv("OKIAGARI_RUN", places)

    def ask(state: str, criu: Path, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(process_checkpoint.main, capsys, check=check, state=state, criu=str(criu), **options)

    return ask


@pytest.fixture
def criu(say: Callable[..., Any], trees: Trees) -> Path | None:
    """Give the CRIU of trixie; nothing where the module says clearly that it can't be used."""
    program = real_criu("trixie")
    here = say("probed", program)
    if here["possible"]:
        assert (here["changed"], here["why"]) == (False, "")
        assert here["criu"].startswith("4.1")
        return program
    assert here["why"].startswith("not here, because ")
    refused = say("captured", program, pid=os.getpid(), directory=str(trees.epochs))
    assert refused["msg"] == here["why"]
    return None


def command_lines() -> Iterator[bytes]:
    for process in Processes().all():
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{process.pid}/cmdline").read_bytes()


def until(look: Callable[[], object]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not (there := look()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(there)


def test_every_captured_epoch_goes_on_exactly_where_it_was(
    criu: Path | None, say: Callable[..., Any], trees: Trees
) -> None:
    if criu is None:
        return
    options: dict[str, Any] = {"directory": str(trees.epochs), "files": [str(trees.counted)], "keep": 3}
    pid = trees.start(COUNTER)
    assert trees.go_on()
    would = say("captured", criu, check=True, pid=pid, **options)
    assert (would["changed"], would["diff"]["after"], trees.epochs.exists()) == (True, {"epochs": [1]}, False)
    for number in range(1, 7):
        said = say("captured", criu, pid=pid, **options)
        assert (said["changed"], said["checkpoint"]["epoch"], said["checkpoint"]["processes"]) == (True, number, 2)
        assert 0 < said["checkpoint"]["pause_ms"] < said["checkpoint"]["took_ms"]
        assert trees.go_on(), "a captured tree doesn't go on"
    assert said["epochs"] == [4, 5, 6]
    assert {path.name for path in trees.epochs.iterdir()} == {"4", "5", "6", ".lock"}
    modes = {path.stat().st_mode & 0o777 for path in (trees.epochs, *trees.epochs.rglob("*"))}
    assert modes == {0o700, 0o600}
    assert "there must never be two of it" in say("restored", criu, directory=str(trees.epochs))["msg"]
    trees.kill()
    for epoch in (6, 4, 5):
        captured = trees.counts(trees.epochs / str(epoch) / "files/0")
        refused = say("restored", criu, directory=str(trees.epochs), epoch=epoch)
        assert "allow that by overwrite" in refused["msg"]
        said = say("restored", criu, directory=str(trees.epochs), epoch=epoch, overwrite=True)
        assert (said["changed"], said["restored"]["epoch"]) == (True, epoch), said
        assert trees.go_on(captured)
        assert all(count == list(range(len(count))) for count in trees.counts())
        assert "goes on here already" in say("restored", criu, directory=str(trees.epochs))["msg"]
        if epoch != 5:
            trees.kill_restored()
    # What was restored has PIDs of its own, and is captured as any other tree.
    again = say("captured", criu, pid=said["restored"]["pid"], leave="ended", **options)
    assert again["checkpoint"]["epoch"] == 7, again
    stood = trees.counts()
    assert all(count == list(range(len(count))) for count in stood)
    time.sleep(0.05)
    assert trees.counts() == stood, "an ended tree goes on"
    said = say("restored", criu, directory=str(trees.epochs))
    assert said["changed"], said
    assert said["diff"] == {"before": {}, "after": {"epoch": 7, "pid": said["diff"]["after"]["pid"]}}
    assert trees.go_on(stood)
    assert all(count == list(range(len(count))) for count in trees.counts())


def test_what_is_damaged_or_something_else_is_refused(criu: Path | None, say: Callable[..., Any], trees: Trees) -> None:
    if criu is None:
        return
    python = trees.folder / "python"
    shutil.copy(Path(sys.executable).resolve(), python)
    pid = trees.start(COUNTER, python=str(python))
    assert trees.go_on()
    where = str(trees.epochs)
    assert say("captured", criu, pid=pid, directory=where, files=[str(trees.counted)], leave="ended")["changed"]
    epoch = trees.epochs / "1"
    parts = ["manifest", "images/inventory.img", "images/pages-1.img", "files/0/child"]
    for part in parts:
        was = (epoch / part).read_bytes()
        (epoch / part).write_bytes(bytes([was[0] ^ 1]) + was[1:])
        assert "epoch 1 of" in say("restored", criu, directory=where)["msg"]
        assert "is damaged" in say("restored", criu, directory=where)["msg"]
        (epoch / part).write_bytes(was)
    (epoch / "images/more").touch()
    assert "images/more doesn't belong to it" in say("restored", criu, directory=where)["msg"]
    (epoch / "images/more").unlink()
    with python.open("ab") as file:
        file.write(b"\\0")
    assert f"{python}: not the program" in say("restored", criu, directory=where)["msg"]
    os.truncate(python, python.stat().st_size - 2)
    assert "has no epoch 4; there are 1" in say("restored", criu, directory=where, epoch=4)["msg"]
    assert not trees.runs(pid)


def test_a_failed_capture_leaves_everything_as_it_was(
    criu: Path | None, say: Callable[..., Any], trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    if criu is None:
        return
    pid = trees.start(COUNTER)
    assert trees.go_on()
    assert say("captured", criu, pid=pid, directory=str(trees.epochs))["changed"]
    before = sorted(trees.epochs.rglob("*"))
    for leave in ("running", "stopped", "ended"):
        # All is dumped already when this file turns out to be one that can't be read.
        failed = say("captured", criu, pid=pid, directory=str(trees.epochs), files=["/proc/self/mem"], leave=leave)
        assert "can't be captured, and runs on: files:" in failed["msg"]
        assert trees.go_on()
        assert sorted(trees.epochs.rglob("*")) == before
    with monkeypatch.context() as patch:
        patch.setattr(Epochs, "finish", no_room)
        for leave in ("running", "stopped", "ended"):
            failed = say("captured", criu, pid=pid, directory=str(trees.epochs), leave=leave)
            assert "runs on: somewhere: No space left on device" in failed["msg"]
            assert trees.go_on()
            assert sorted(trees.epochs.rglob("*")) == before
    stopped = say("captured", criu, pid=pid, directory=str(trees.epochs), leave="stopped")
    assert stopped["epochs"] == [1, 2]
    stood = trees.counts()
    time.sleep(0.05)
    assert trees.counts() == stood
    os.killpg(pid, signal.SIGCONT)
    assert trees.go_on()


def no_room(*_arguments: object) -> int:
    raise OSError(28, "No space left on device", "somewhere")


def test_whoever_captures_may_be_killed(criu: Path | None, say: Callable[..., Any], trees: Trees) -> None:
    if criu is None:
        return
    pid = trees.start(COUNTER)
    assert trees.go_on()
    ready = {"state": "captured", "pid": pid, "directory": str(trees.epochs), "files": [str(trees.counted)]}
    source = (
        "import sys, json\n"
        "from ansible.module_utils.testing import patch_module_args\n"
        "from ansible_collections.okiagari.testbed.plugins.modules import process_checkpoint\n"
        "print('ready', flush=True)\n"
        "with patch_module_args(json.loads(sys.argv[1])):\n"
        "    process_checkpoint.main()\n"
    )
    argv = [sys.executable, "-c", source, json.dumps({**ready, "criu": str(criu)})]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for killed_after_s in (0.06, 0.1, 0.14, 0.18, 0.22, 0.26):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as module:
            assert module.stdout
            assert module.stdout.readline() == b"ready\n"
            time.sleep(killed_after_s)
            module.kill()
        assert trees.go_on(), f"a tree stands still when its capture is killed after {killed_after_s} s"
    assert until(lambda: not any(str(trees.epochs).encode() in line for line in command_lines()))
    said = say("captured", criu, pid=pid, directory=str(trees.epochs), files=[str(trees.counted)], leave="ended")
    assert said["changed"], said
    assert not [path for path in trees.epochs.iterdir() if path.name.startswith(".new")]
    for epoch in said["epochs"]:
        assert say("restored", criu, directory=str(trees.epochs), epoch=epoch, overwrite=True)["changed"]
        assert trees.go_on()
        assert all(count == list(range(len(count))) for count in trees.counts())
        trees.kill_restored()


def test_what_led_out_of_the_tree_leads_to_a_file(criu: Path | None, say: Callable[..., Any], trees: Trees) -> None:
    """As the output of a systemd unit does, which is a connection to the journal."""
    if criu is None:
        return
    journal, unit = socket.socketpair()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(trees.folder / "journal"))
    listener.listen()
    unit.close()
    unit = socket.socket(socket.AF_UNIX)
    unit.connect(str(trees.folder / "journal"))
    journal.close()
    journal = listener.accept()[0]
    reading, writing = os.pipe()
    with journal, listener:
        pid = trees.start(COUNTER, stdout=unit, stderr=writing)
        unit.close()
        os.close(writing)
        assert until(lambda: b"child 3" in journal.recv(1000))
        said = say("captured", criu, pid=pid, directory=str(trees.epochs), files=[str(trees.counted)], leave="ended")
        assert said["changed"], said
    os.close(reading)
    output = trees.folder / "output"
    assert say("restored", criu, directory=str(trees.epochs), output=str(output))["changed"]
    assert trees.go_on()
    assert "child" in output.read_text()


def test_an_established_connection_goes_on(criu: Path | None, say: Callable[..., Any], trees: Trees) -> None:
    if criu is None:
        return
    found = {suite: say("probed", real_criu(suite)) for suite in SUITES}
    able = [suite for suite in SUITES if found[suite]["established_tcp"]["possible"]]
    for suite in SUITES:
        if suite not in able:
            assert found[suite]["established_tcp"]["why"].startswith("not here, because ")
    if not able:
        return
    program, network = real_criu(able[0]), f"okiagari-{uuid.uuid4().hex[:6]}"
    subprocess.run(["ip", "netns", "add", network], check=True)
    try:
        for words in ("link set lo up", "addr add 10.99.0.1/24 dev lo"):
            subprocess.run(["ip", "-n", network, *words.split()], check=True)
        pid = trees.start(SERVER, "nsenter", f"--net=/run/netns/{network}")
        assert until((trees.counted / "listens").exists)
        with connected(network) as peer:
            assert [asked(peer), asked(peer)] == [1, 2]
            where = str(trees.epochs)
            refused = say("captured", program, pid=pid, directory=where)
            assert "allow it by established_tcp" in refused["msg"]
            assert asked(peer) == 3
            assert say("captured", program, pid=pid, directory=where, established_tcp=True)["changed"]
            assert asked(peer) == 4
            assert say("captured", program, pid=pid, directory=where, established_tcp=True, leave="ended")["changed"]
            peer.send(b".")
            refused = say("restored", program, directory=where, established_tcp=True)
            assert "by network" in refused["msg"]
            said = say("restored", program, directory=where, established_tcp=True, network=network)
            assert said["changed"], said
            assert answer(peer) == 5
            assert asked(peer) == 6
            assert not (trees.counted / "closed").exists()
            trees.kill_restored()
            # What a tree has told its peers since its capture can't be taken back: it finds the connection closed.
            assert say("restored", program, directory=where, epoch=1, network=network)["changed"]
            assert until((trees.counted / "closed").exists)
    finally:
        trees.kill_restored()
        trees.kill()
        subprocess.run(["ip", "netns", "del", network], check=True)


@contextlib.contextmanager
def connected(network: str) -> Iterator[socket.socket]:
    """Have a connection whose socket is in a network namespace, though this process isn't."""
    mine, theirs = socket.socketpair()
    source = (
        "import array, socket, sys\n"
        "peer = socket.create_connection(('10.99.0.1', 7000))\n"
        "socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b'.'], [peer.fileno()])\n"
    )
    with mine, theirs:
        argv = ["nsenter", f"--net=/run/netns/{network}", sys.executable, "-I", "-S", "-c", source]
        subprocess.run([*argv, str(theirs.fileno())], pass_fds=[theirs.fileno()], check=True, timeout=PATIENCE_S)
        [descriptor] = socket.recv_fds(mine, 1, 1)[1]
    with socket.socket(fileno=descriptor) as peer:
        peer.settimeout(PATIENCE_S)
        yield peer


def asked(peer: socket.socket) -> int:
    peer.send(b".")
    return answer(peer)


def answer(peer: socket.socket) -> int:
    return int(peer.recv(100))
