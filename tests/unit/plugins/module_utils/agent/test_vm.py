# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program that runs a guest does with a state, and tells its agent, both of them in memory."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import vm as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.config import Checkpointing
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.rounds import Dropped
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import boottime
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.wish_file import NOBODY, WishFile
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.machine import Machine
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

from .agents import config, service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Rig:
    """A guest's program; `asked` is what its agent is asked, and `refuses` what that answers by, if anything."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.work = folder / "run"
        self.work.mkdir()
        self.asked: list[dict[str, Any]] = []
        self.refuses = self.wrong = ""
        self.says: dict[str, Any] = {}
        self.anew = 0
        self.process = SimpleNamespace(poll=lambda: None)
        monkeypatch.setattr(module, "ask", self.ask)
        config = SimpleNamespace(run=folder)
        self.guest = module._Guest(cast("Any", config), service(), cast("Any", self), cast("Any", self), self.work)

    def ask(self, request: Mapping[str, Any], _run: Path, timeout_s: float) -> Iterator[dict[str, Any]]:
        assert timeout_s
        self.asked.append(dict(request))
        yield self.says
        if self.refuses:
            raise OkiagariError(self.refuses)

    # as what captures
    def begin_anew(self) -> None:
        self.anew += 1

    def capture(self, file: Any, *, last: bool) -> Any:
        file.write(b"pack")
        if self.wrong:
            raise OkiagariError(self.wrong)
        return SimpleNamespace(epoch=int(last)), SimpleNamespace(pause_ms=1.26, total_ms=2.0)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(tmp_path, monkeypatch)


def test_what_a_guest_went_on_from_is_read_once_and_before_it_is_captured(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def resumed(_replica: object) -> None:
        done.append("read")
        if len(done) == 1:
            raise OkiagariError("it is damaged")

    monkeypatch.setattr(rig, "resumed", resumed, raising=False)
    monkeypatch.setattr(rig.guest, "_from_state", SimpleNamespace())
    # What isn't read isn't compared with: the next pack is a first one.
    with pytest.raises(OkiagariError, match="it is damaged"):
        rig.guest.capture(last=False)
    rig.guest.capture(last=False)
    assert done == ["read"]


def test_what_is_captured_is_shipped_and_not_kept(rig: Rig) -> None:
    before = boottime()
    captured = rig.guest.capture(last=False)
    assert before <= captured.at <= boottime()
    assert [path.name for path in rig.work.iterdir()] == ["pack"]
    rig.refuses = "nobody is there"
    with pytest.raises(OkiagariError, match="nobody is there"):
        rig.guest.ship(captured)
    assert (rig.work / "pack").read_bytes() == b"pack"
    rig.refuses = ""
    rig.guest.ship(captured)
    shipped = {"op": "ship", "service": "db", "path": str(rig.work / "pack"), "at": captured.at, "pause_ms": 1.3}
    assert rig.asked == [shipped, shipped]
    assert list(rig.work.iterdir()) == []


def test_a_pack_that_nobody_can_take_is_followed_by_a_first_one(rig: Rig) -> None:
    captured = rig.guest.capture(last=False)
    rig.refuses, rig.says = "only 1 of 2 sites have it", {"begin_anew": "b lacks it"}
    with pytest.raises(Dropped, match="only 1 of 2 sites have it; the next pack is a first one"):
        rig.guest.ship(captured)
    assert rig.anew == 1


def test_what_could_not_be_captured_is_in_the_log_and_no_pack(rig: Rig) -> None:
    rig.wrong = "QEMU hangs"
    with pytest.raises(OkiagariError, match="QEMU hangs"):
        rig.guest.capture(last=False)
    assert not (rig.work / "pack").exists()
    rig.guest.failed("QEMU hangs", captured=False)
    (told,) = rig.asked
    assert told["op"] == "tell"
    assert (told["source"], told["trace"]) == ("service/db", "db")
    assert told["values"] == {"event": "capture_failed", "text": "QEMU hangs"}
    # An agent that is away keeps nobody from going on; what wasn't shipped it has told itself.
    rig.refuses = "away"
    rig.guest.failed("QEMU hangs", captured=False)
    rig.asked.clear()
    rig.guest.failed("nobody is there", captured=True)
    assert rig.asked == []


def test_who_wants_a_state_is_known(rig: Rig) -> None:
    assert rig.guest.wanted() == NOBODY
    WishFile(rig.work.parent, "db").write(1.0)
    assert rig.guest.wanted() == 1.0


def test_a_guest_that_has_ended_is_known(rig: Rig) -> None:
    assert not rig.guest.ended()
    rig.process.poll = lambda: 1
    assert rig.guest.ended()


class Pretended:
    """A guest, what captures it and its replica, all of which do nothing; `done` is what is done to it."""

    def __init__(self, *_arguments: object) -> None:
        self.done: list[str] = []
        self.head: Any = None
        self.monitor, self.guest, self.words = None, None, ""
        self.process = SimpleNamespace(poll=lambda: None)

    def __call__(self, *_arguments: object) -> Pretended:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.done.append("ended")

    def look(self, _machine: Machine) -> None:
        self.done.append("a QEMU waits")

    def take(self, _machine: Machine, _replica: object) -> Pretended:
        return self

    def raise_fence(self, term: int) -> None:
        self.done.append(f"from term {term} on")

    def go_on(self) -> None:
        self.done.append("goes on")

    def run(self, *, committed: bool) -> None:
        assert committed is (self.head is not None)
        self.done.append("captured")

    def close(self) -> None:
        self.done.append("anybody may have its replica")

    def set_clock(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("told", "done"),
    [
        ("", []),
        ('{"term": 3}\n', ["ended"]),
        (
            '{"term": 3}\ngo on\n',
            ["from term 3 on", "anybody may have its replica", "goes on", "captured", "ended"],
        ),
    ],
)
@pytest.mark.parametrize("head", [None, SimpleNamespace(name="2-17")])
def test_a_guest_that_is_prepared_stands_still_until_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, done: list[str], head: Any
) -> None:
    """The lease of the holder before is what it waits for: one that went on by itself would be a second one.

    Its replica isn't held for the period until the guest is captured, which may be hours.
    """
    pretended, asked = Pretended(), list[dict[str, Any]]()
    pretended.head = head
    for name in ("Capturer", "Replica", "Rounds", "envelopes_of", "Whose"):
        monkeypatch.setattr(module, name, pretended)
    monkeypatch.setattr(pretended, "sign", None, raising=False)
    monkeypatch.setattr(module, "ask", lambda request, _run, timeout_s: iter(asked.append(request) or []))
    monkeypatch.setattr(module, "key_of", lambda _path: b"")
    monkeypatch.setattr("signal.signal", lambda *_handler: None)
    guest = service(machine=Machine(64, {}), checkpoint=Checkpointing(tmp_path / "key"))
    orders = tmp_path / "orders"
    orders.write_text(told)
    with orders.open() as lines:
        order = module.ordered(lines, guest, cast("Any", pretended))
        assert order is None or module.run(config(tmp_path), guest, order, cast("Any", pretended)) == 0
    assert pretended.done.pop(0) == "a QEMU waits"
    assert pretended.done == done
    events = [each["values"] for each in asked if each["op"] == "tell"]
    assert [each["event"] for each in events] == (["guest_goes_on"] if head and "captured" in done else [])
    assert all(each["collect_ms"] >= 0 and each["restore_ms"] >= 0 for each in events)


def test_the_log_says_why_a_guest_cannot_go_on_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Older(Pretended):
        def take(self, _machine: Machine, _replica: object) -> Pretended:
            raise OkiagariError("QEMU can't be started from a state that QEMU 10.0 has captured")

    asked: list[dict[str, Any]] = []
    pretended = Older()
    for name in ("Replica", "envelopes_of", "Whose"):
        monkeypatch.setattr(module, name, pretended)
    monkeypatch.setattr(pretended, "sign", None, raising=False)
    monkeypatch.setattr(module, "ask", lambda request, _run, timeout_s: iter(asked.append(request) or []))
    monkeypatch.setattr(module, "key_of", lambda _path: b"")
    monkeypatch.setattr("signal.signal", lambda *_handler: None)
    guest = service(machine=Machine(64, {}), checkpoint=Checkpointing(tmp_path / "key"))
    with pytest.raises(OkiagariError, match="captured"):
        module.run(config(tmp_path), guest, module.Order(3, io.StringIO()), cast("Any", pretended))
    assert [each["op"] for each in asked] == ["collect", "tell"]
    assert asked[-1]["values"] == {
        "event": "start_failed",
        "text": "QEMU can't be started from a state that QEMU 10.0 has captured",
    }
    # The replica takes packs of the holder before, as if nobody had tried.
    assert pretended.done == []
