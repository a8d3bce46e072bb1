# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills an agent at a random instant, again and again, and damages what it has on disk: it comes back every time.

It says what it lost and has it again from its peers, and it never votes twice in a term. Votes are not what it says of
itself: they are read off the overlay by somebody else, who hears every message of an election, with the signature of
its sender, and off its disk before it is damaged. The service dies all the time, so that there are elections.

    python tests/contract/agent_damage.py --kills 100 [--seed N]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.config import read_config
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.envelope import Envelopes
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import zenoh_settings
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import record
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.tests.contract.real_agents import Farm, wait_for
from ansible_collections.okiagari.testbed.tests.contract.real_etcd import RealEtcd
from ansible_collections.okiagari.testbed.tests.contract.storm_plan import check
from ansible_collections.okiagari.testbed.tests.contract.storms import NOTED_S, RUN, Noted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VOTERS = ("a", "b", "c")
LISTENER = "listener"
COPIES = ("tally.votes.a", "tally.votes.b")
EVENTS, RULES = "important.sqlite", "tally.rules.json"
DAMAGES: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "one copy of its votes": COPIES[:1],
    "the other copy of its votes": COPIES[1:],
    "both copies of its votes": COPIES,
    "its events": (EVENTS,),
    "its newest events": (f"{EVENTS}-wal",),
    "its rules": (RULES,),
    "all that it has": (*COPIES, EVENTS, RULES),
}
PATIENCE_S = 60.0
WRITE_S = 5.0
"""How long the kill waits for the instant at which the agent writes a vote."""


class Farmed(Farm):
    """Three agents that vote, and one that only listens."""

    def node(self, name: str, number: int) -> Noted:
        return Noted(self, name, number)


class Ballots:
    """What others saw of each agent's votes, and of the elections' results."""

    def __init__(self) -> None:
        self.votes: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.results: dict[int, set[str]] = defaultdict(set)

    def heard(self, said: dict[str, Any], sender: str, to: str) -> None:
        """Note a message of an election."""
        if said.get("kind") == "ballot" and said["vote"]["granted"]:
            self.votes[(sender, said["term"])].add(to)
        elif said.get("kind") == "result":
            self.results[said["term"]].add(sender)

    def check(self) -> None:
        """Raise `AssertionError` if anybody voted twice in a term, or a term has two results.

        A vote for itself is counted by the caller alone, in the call that it belongs to: so one who calls must not
        have come to a result in a term in which it voted for another.
        """
        for (host, term), callers in sorted(self.votes.items()):
            assert len(callers) == 1, f"{host} voted for {' and '.join(sorted(callers))} in term {term}"
            assert host not in self.results.get(term, ()), f"{host} voted in term {term} for others and for itself"
        for term, callers in sorted(self.results.items()):
            assert len(callers) == 1, f"term {term} has results of {' and '.join(sorted(callers))}"


class Listener:
    """Hears on the overlay, by a certificate of its own, all that agents send to each other."""

    def __init__(self, node: Noted) -> None:
        import zenoh

        config = read_config(node.folder / "agent.json")
        certificates = {name: peer.certificate for name, peer in config.peers.items()}
        self._envelopes = {name: Envelopes(name, config.tls.key, certificates, time.time) for name in VOTERS}
        self._lock = threading.Lock()
        self._heard: list[tuple[str, Any]] = []
        settings = zenoh.Config()
        for key, value in zenoh_settings(config).items():
            settings.insert_json5(key, json.dumps(value))
        self._session = zenoh.open(settings)
        self._subscriber = self._session.declare_subscriber(f"okiagari/{config.testbed}/to/*", self._hear)

    def close(self) -> None:
        self._session.close()

    def take(self, ballots: Ballots) -> None:
        """Give what was heard since the last time."""
        with self._lock:
            heard, self._heard = self._heard, []
        for to, sample in heard:
            opened = self._envelopes[to].open(sample.payload.to_bytes(), sample.attachment.to_bytes(), fresh=False)
            if opened.op == "election":
                ballots.heard(dict(opened.body), opened.sender, to)

    def _hear(self, sample: Any) -> None:
        with self._lock:
            self._heard.append((str(sample.key_expr).rpartition("/")[2], sample))


class Rig:
    """Agents on loopback, one of which is killed after the other."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder, self._chance = folder, chance
        self._stack = ExitStack()
        self.ballots = Ballots()

    def __enter__(self) -> Self:
        with self._stack as stack:
            etcd = RealEtcd(self._folder / "etcd", self._folder / "authority")
            stack.callback(etcd.kill)
            etcd.start()
            everybody = (*VOTERS, LISTENER)
            links = {name: [other for other in everybody if other != name] for name in everybody}
            self.farm = Farmed(self._folder, links, list(etcd.endpoints.values()))
            stack.callback(self.farm.end)
            self.farm.configure(lambda node: node.tally(VOTERS) if node.name in VOTERS else {})
            self.nodes = {name: self.farm.nodes[name] for name in VOTERS}
            for node in self.nodes.values():
                node.start("supervise tally")
                node.start(RUN)
            self._listener = Listener(self.farm.nodes[LISTENER])
            stack.callback(self._listener.close)
            for node in self.nodes.values():
                wait_for(lambda node=node: len(node.ask("status")[0]["reachable"]) == len(VOTERS) - 1, PATIENCE_S)
            self.nodes["a"].ask("rules", service="tally", preferred=["b"])
            wait_for(self._running, PATIENCE_S)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def kill(self) -> str:
        """Kill an agent, damage what it has, start it, and check everything; say what was done."""
        node = self.nodes[self._chance.choice(VOTERS)]
        damage, how = self._chance.choice(list(DAMAGES)), self._chance.choice(list(HOWS))
        instant = self._chance.choice([self._at_any_time, self._while_it_writes])
        self._end_service()
        instant(node)
        process = node.processes.pop(RUN)
        process.kill()
        process.wait()
        killed = time.time()
        self._note()
        touched = [name for name in DAMAGES[damage] if self._damage(node.folder / "state" / name, how)]
        time.sleep(self._chance.uniform(0.0, 1.0))
        node.start(RUN)
        what = f"{node.name} killed, {damage}: {how}"
        try:
            self._came_back(node, killed, touched, how)
            self._note()
            self.ballots.check()
            check([run for each in self.nodes.values() for run in each.runs()])
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}; {node.log.read_text()[-1000:]}") from error
        return what

    def _at_any_time(self, _node: Noted) -> None:
        time.sleep(self._chance.uniform(0.0, 3.0))

    def _while_it_writes(self, node: Noted) -> None:
        path = node.folder / "state" / COPIES[0]
        before, end = path.stat().st_mtime_ns, time.monotonic() + WRITE_S
        while path.stat().st_mtime_ns == before and time.monotonic() < end:
            time.sleep(0.0002)
        time.sleep(self._chance.choice((0.0, 0.0, 0.001, 0.005, 0.05)))

    def _end_service(self) -> None:
        """Kill what serves now: its holder gives it back, and there is an election at once."""
        if newest := self._running():
            with suppress(ProcessLookupError):
                os.kill(newest, signal.SIGKILL)

    def _running(self) -> int | None:
        newest = max(
            (run for node in self.nodes.values() for run in node.runs()), key=lambda run: run.last, default=None
        )
        return newest.pid if newest and time.monotonic() - newest.last < NOTED_S else None

    def _note(self) -> None:
        """Note the votes that were heard, and those that are on the disks, for others than oneself."""
        self._listener.take(self.ballots)
        for node in self.nodes.values():
            for name in COPIES:
                path = node.folder / "state" / name
                with suppress(FileNotFoundError, BadValue):
                    held = record.decode("tally", path.read_bytes())
                    if held.voted not in ("", node.name):
                        self.ballots.votes[(node.name, held.term)].add(held.voted)

    def _damage(self, path: Path, how: str) -> bool:
        """Damage a file; say whether it is another one now."""
        if not path.exists() or not (before := path.read_bytes()):
            return False
        HOWS[how](path, before, self._chance)
        return not path.exists() or path.read_bytes() != before

    def _came_back(self, node: Noted, killed: float, touched: Sequence[str], how: str) -> None:
        """It runs, has said what it lost, and has again what it had."""

        def told(event: str) -> list[str]:
            rows = node.ask("query", text=f"where values.event = {event} and host = {node.name}")[:-1]
            return [row["row"]["values"].get("text", "") for row in rows if row["row"]["time"] >= killed]

        wait_for(lambda: node.ask("status"), PATIENCE_S)
        copies = [name for name in COPIES if name in touched]
        for name in copies:
            wait_for(lambda name=name: [text for text in told("record_damaged") if text.startswith(name)], PATIENCE_S)
        if len(copies) == len(COPIES):
            wait_for(lambda: told("record_recovered"), PATIENCE_S)
        if RULES in touched and how != "removed":
            assert told("rules_lost"), "nothing is said of lost rules"
        if EVENTS in touched and how == "removed":
            assert told("events_begun"), "nothing is said of a file of events that is not there"
        wait_for(lambda: node.ask("rules", service="tally")[0]["before"]["preferred"] == ["b"], PATIENCE_S)
        for other in self.nodes.values():
            wanted = important(other, killed)
            wait_for(lambda wanted=wanted: wanted.items() <= important(node, killed).items(), PATIENCE_S)
        assert node.processes[RUN].poll() is None, "it has ended by itself"
        assert not told("agent_error"), told("agent_error")


def important(node: Noted, before: float) -> dict[str, Any]:
    """Give the important events before an instant that an agent holds."""
    rows = node.ask("query", text="where important")[:-1]
    return {row["row"]["id"]: row["row"] for row in rows if row["row"]["time"] < before}


def _truncate(path: Path, content: bytes, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(len(content)))


def _flip(path: Path, content: bytes, chance: random.Random) -> None:
    """Flip a bit of what isn't empty: most of a database is."""
    place = chance.choice([at for at, byte in enumerate(content) if byte])
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([content[place] ^ 1 << chance.randrange(8)]))


HOWS: dict[str, Callable[[Path, bytes, random.Random], None]] = {
    "truncated": _truncate,
    "a bit flipped": _flip,
    "removed": lambda path, _content, _chance: path.unlink(),
}


def soak(kills: int, seed: int, folder: Path) -> Ballots:
    """Kill so often; raise `AssertionError` with the seed if something didn't hold."""
    done: Counter[str] = Counter()
    with Rig(folder, random.Random(seed)) as rig:
        for each in range(kills):
            begun = time.monotonic()
            try:
                what = rig.kill()
            except AssertionError as error:
                raise AssertionError(f"--seed {seed}, kill {each}: {error}") from error
            done[what] += 1
            print(f"{each}: {what}; {time.monotonic() - begun:.1f} s", flush=True)
    return rig.ballots


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(1))
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="okiagari-damage-") as folder:
        ballots = soak(asked.kills, asked.seed, Path(folder))
    print(
        f"{asked.kills} kills, back every time; {len(ballots.votes)} votes and {len(ballots.results)} results were "
        "seen, none of them twice in a term"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
