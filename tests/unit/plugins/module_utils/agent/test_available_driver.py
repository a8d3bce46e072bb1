# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver of a service that each part of a network runs, with real hooks, without an overlay or a supervisor."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.available_driver import AvailableDriver
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.blobs import Blobs
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.bulk import Bulk
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.ledger_file import LedgerFile
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.merge_hooks import MergeHooks
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import boottime
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.wire import to_wire
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Held, Ledger, View
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.ledger import LOST, Taken
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.messages import (
    Elected,
    Merged,
    Offer,
    Serving,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Charter, Committed, Profile, Rules

from .agents import NAMES, config, service, until
from .test_driver import FakeOverlay, FakeSupervised

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

CONTENT = b"one\ntwo\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
MERGE = """
import os, sys
with open(sys.argv[1], "ab") as file:
    file.write(sys.stdin.buffer.read() + " ".join(os.environ["OKIAGARI_" + key] for key in
        ("SERVICE", "FROM", "TERM", "DIGEST", "STATE")).encode())
"""


class Published(FakeOverlay):
    def publish(self, _op: str, body: dict[str, Any]) -> None:
        self.sent.append(("*", body))


class Rig:
    def __init__(self, folder: Path, held: Held | None = None, hooks: MergeHooks | None = None) -> None:
        self.folder, self.state = folder, folder / "lines"
        self.told: list[tuple[str, Any]] = []
        self.overlay = Published()
        self.blobs = Blobs(folder / "state" / "blobs")
        self.blobs.folder.mkdir(parents=True, exist_ok=True)
        merge = (sys.executable, "-IBc", MERGE, str(self.state))
        self.driver = AvailableDriver(
            config(folder),
            service(
                charter=Charter("db", dict.fromkeys(NAMES, ""), consistency="available"),
                hooks=hooks or MergeHooks(("cat", str(self.state)), merge, "/var/lib/db", ("cat", str(self.state))),
                servers=2,
            ),
            self.overlay, Bulk(self.blobs, self.overlay), Rules(), lambda _service: Profile("a", "site-a"),
            lambda event, values: self.told.append((event, values)),
        )  # fmt: skip
        self.supervised = FakeSupervised(held)
        self.driver._supervised = self.supervised

    def events(self) -> list[str]:
        return [event for event, _values in self.told]

    def hear(self, message: Any) -> None:
        self.driver.heard(to_wire(message), message.sender)

    def sent(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [(to, body) for to, body in self.overlay.sent if body["kind"] == kind]

    @property
    def ledger(self) -> Ledger:
        return LedgerFile(self.folder / "state", "db").read()


def use(rig: Rig, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with running(rig):
            await what()

    asyncio.run(run())


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[None]:
    task = asyncio.create_task(rig.driver.run())
    try:
        await until(lambda: rig.driver.participant or task.done())
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await rig.driver.stop()
    assert "agent_error" not in rig.events(), rig.told


def write(folder: Path, ledger: Ledger) -> None:
    LedgerFile(folder / "state", "db").write(ledger)


def serves(term: int = 4) -> Held:
    return Held(0, term, term, boottime() + 60.0)


def test_what_is_decided_is_on_the_disk_before_the_service_starts(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def what() -> None:
        assert (rig.driver.here, rig.driver.holds, rig.driver.view) == ("not serving", False, View())
        send = rig.supervised.send

        def start(**request: Any) -> None:
            if request["do"] == "start":
                assert rig.ledger == Ledger(5, 3, owed=True)
            send(**request)

        rig.supervised.send = start  # type: ignore[method-assign]
        rig.hear(Elected("c", 5, "a", 3))
        await until(lambda: [each for each in rig.supervised.sent if each["do"] == "start"])
        assert await rig.driver.holder() == "a"
        assert (rig.driver.here, rig.driver.holds, rig.driver.view) == ("serving", True, View(0, "a", 5, 5))
        assert rig.driver.committed == Committed(5)
        assert rig.sent("serving")[0][0] == "*"
        rig.driver._supervisor_said({"event": "stopped", "token": 4})
        rig.driver._supervisor_said({"event": "stopped", "token": 5})
        await until(lambda: rig.sent("ended"))

    use(rig, what)


def test_what_was_done_here_is_offered_and_kept_until_it_is_merged(tmp_path: Path) -> None:
    write(tmp_path, Ledger(4, 2, owed=True))
    rig = Rig(tmp_path)
    rig.state.write_bytes(CONTENT)

    async def what() -> None:
        assert rig.driver.status() == {"owed": True, "hook": "", "servers": []}
        rig.hear(Serving("b", "b", 5, 3))
        await until(lambda: rig.sent("offer"))
        to, body = rig.sent("offer")[0]
        assert (to, body["term"], body["digest"], body["size"]) == ("b", 4, DIGEST, len(CONTENT))
        assert rig.ledger == Ledger(4, 2, owed=True, digest=DIGEST, size=len(CONTENT))
        assert rig.blobs.path(DIGEST)
        assert not (tmp_path / "state" / "db.export").exists()
        rig.hear(Merged("b", 4, DIGEST))
        await until(lambda: not rig.ledger.owed and not rig.blobs.path(DIGEST))
        assert rig.driver.status() == {"owed": False, "hook": "", "servers": ["b"]}

    use(rig, what)
    assert rig.events().count("export_offered") == 1


def test_an_offer_goes_on_after_a_restart_and_one_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    write(tmp_path, Ledger(4, 2, owed=True, digest="e" * 64, size=3))
    rig = Rig(tmp_path)
    rig.state.write_bytes(CONTENT)

    async def what() -> None:
        rig.hear(Serving("b", "b", 5, 3))
        await until(lambda: rig.sent("offer"))
        assert rig.sent("offer")[0][1]["digest"] == DIGEST

    use(rig, what)
    again = Rig(tmp_path)

    async def more() -> None:
        rig.state.write_bytes(b"something else")
        again.hear(Serving("c", "c", 6, 3))
        await until(lambda: again.sent("offer"))
        to, body = again.sent("offer")[0]
        assert (to, body["digest"]) == ("c", DIGEST)

    use(again, more)


def test_what_others_did_is_merged_once_and_answered_each_time(tmp_path: Path) -> None:
    write(tmp_path, Ledger(4, 2, owed=True))
    rig = Rig(tmp_path, serves())

    async def what() -> None:
        (rig.blobs.folder / DIGEST).write_bytes(CONTENT)
        for number in (1, 2):
            rig.hear(Offer("b", 3, DIGEST, len(CONTENT)))
            await until(lambda number=number: len(rig.sent("merged")) == number)
        assert rig.sent("merged")[0] == rig.sent("merged")[1]
        assert not rig.blobs.path(DIGEST)

    use(rig, what)
    assert rig.ledger == Ledger(4, 2, owed=True, merged={"b": Taken(3, DIGEST)})
    assert rig.state.read_bytes() == CONTENT + f"db b 3 {DIGEST} /var/lib/db".encode()
    assert rig.events().count("merged") == 1
    again = Rig(tmp_path, serves())

    async def more() -> None:
        again.hear(Offer("b", 3, DIGEST, len(CONTENT)))
        await until(lambda: again.sent("merged"))

    use(again, more)
    assert again.state.read_bytes() == rig.state.read_bytes()


def test_a_hook_that_fails_is_told_with_its_last_words_and_nothing_is_forgotten(tmp_path: Path) -> None:
    write(tmp_path, Ledger(4, 2, owed=True))
    no = ("sh", "-c", "echo no such table >&2; exit 3")
    for held, message, event in (
        (serves(), Offer("b", 3, DIGEST, len(CONTENT)), "merge_failed"),
        (None, Serving("b", "b", 5, 3), "export_failed"),
    ):
        rig = Rig(tmp_path, held, MergeHooks(no, no))
        (rig.blobs.folder / DIGEST).write_bytes(CONTENT)

        async def what(rig: Rig = rig, message: Any = message, event: str = event) -> None:
            rig.hear(message)
            await until(lambda: event in rig.events())
            assert rig.driver.status()["hook"] == ""

        use(rig, what)
        (text,) = [values["text"] for name, values in rig.told if name == event]
        assert "no such table (exit status 3)" in text
        assert rig.ledger == Ledger(4, 2, owed=True)
        assert rig.blobs.path(DIGEST)


def test_an_export_is_ended_by_an_election_and_the_service_starts(tmp_path: Path) -> None:
    write(tmp_path, Ledger(4, 2, owed=True))
    rig = Rig(tmp_path, hooks=MergeHooks(("sleep", "600"), ("cat",)))

    async def what() -> None:
        rig.hear(Serving("b", "b", 5, 3))
        await until(lambda: rig.driver.status()["hook"] == "export")
        rig.hear(Elected("b", 6, "a", 3))
        await until(lambda: [each for each in rig.supervised.sent if each["do"] == "start"])

    use(rig, what)
    assert "export_failed" not in rig.events()


def test_a_merge_that_has_begun_goes_on_to_its_end_before_the_service_stops(tmp_path: Path) -> None:
    write(tmp_path, Ledger(4, 2, owed=True))
    go = tmp_path / "go"
    waits = ("sh", "-c", f"touch {go}.on; while [ ! -e {go} ]; do sleep 0.05; done")
    rig = Rig(tmp_path, serves(), MergeHooks(("cat",), waits))

    async def what() -> None:
        (rig.blobs.folder / DIGEST).write_bytes(CONTENT)
        rig.hear(Offer("b", 3, DIGEST, len(CONTENT)))
        await until((tmp_path / "go.on").exists)
        rig.driver.participate(lambda participant, _now: participant.hand_over("b"))
        await until(lambda: rig.driver.participant and rig.driver.participant.merging._cancelled)
        await asyncio.sleep(0)
        assert {"do": "stop"} not in rig.supervised.sent
        go.touch()
        await until(lambda: {"do": "stop"} in rig.supervised.sent)
        assert rig.sent("merged")

    use(rig, what)


def test_a_further_server_gets_what_the_first_has_and_gives_what_it_has(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.state.write_bytes(CONTENT)
    other = b"three\n"
    name = hashlib.sha256(other).hexdigest()

    async def beside_b(done: Callable[[], Any]) -> None:
        """Wait for this while b goes on saying that it serves."""
        await until(lambda: rig.hear(Serving("b", "b", 5, 3)) or done())

    async def what() -> None:
        await beside_b(lambda: rig.driver.nearest == "b")
        rig.driver.participate(lambda participant, now: participant.replicate(now))
        await beside_b(lambda: [each for each in rig.supervised.sent if each["do"] == "start"])
        assert (rig.driver.further, rig.driver.holds) == (6, False)
        await beside_b(lambda: rig.driver.status() == {"owed": True, "hook": "", "servers": ["b", "a"]})
        # What it had before goes to the first one.
        await beside_b(lambda: rig.sent("offer"))
        to, body = rig.sent("offer")[0]
        assert (to, body["term"], body["digest"], body["running"]) == ("b", 6, DIGEST, True)
        assert rig.ledger.shared == DIGEST
        rig.hear(Merged("b", 6, DIGEST))
        await beside_b(lambda: not rig.blobs.path(DIGEST))
        # Clients are led to it when it has what the first one has.
        assert rig.driver.nearest == "b"
        (rig.blobs.folder / name).write_bytes(other)
        rig.hear(Offer("b", 5, name, len(other), running=True))
        await beside_b(lambda: "replicated" in rig.events())
        assert rig.driver.nearest == "a"
        assert rig.ledger == Ledger(6, 0, owed=True, merged={"b": Taken(5, name)})
        # It says that it has changed, once for each word.
        for said in ("pong", "pong changed=1", "pong changed=1"):
            rig.driver.hear(said)
        changed = hashlib.sha256(rig.state.read_bytes()).hexdigest()
        await beside_b(lambda: rig.sent("offer")[-1][1]["digest"] == changed)
        await beside_b(lambda: rig.driver.unwell("no answer within 1 s") or {"do": "stop"} in rig.supervised.sent)

    use(rig, what)
    assert "merged" not in rig.events()


def test_a_service_without_a_hook_for_it_says_so(tmp_path: Path) -> None:
    rig = Rig(tmp_path, serves(), MergeHooks(("cat",), ("cat",)))
    write(tmp_path, Ledger(4, 2, owed=True))

    async def what() -> None:
        await until(lambda: rig.hear(Serving("b", "b", 5, 0)) or "snapshot_failed" in rig.events())

    use(rig, what)
    assert {"text": "db has no hook snapshot"} in [values for _event, values in rig.told]


def test_a_damaged_ledger_is_told_and_all_that_is_here_is_owed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "db.merges.json").write_bytes(b"x")
    rig = Rig(tmp_path)

    async def what() -> None:
        await until(lambda: rig.ledger == LOST)
        assert not LedgerFile(tmp_path / "state", "db").damage
        assert rig.driver.status()["owed"]

    use(rig, what)
    assert rig.events() == ["record_damaged"]
