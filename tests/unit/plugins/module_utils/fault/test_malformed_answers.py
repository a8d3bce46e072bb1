# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of ip, tc and vtysh with something wrong in them: they are understood, or nothing is changed after them."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault import clock, mapper
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import Fault, parse_fault
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target import probes, snapshot, storage
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils import mutation
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import (
    SimulatedTarget,
    backend_of,
)
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.target import test_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.fault.linux import LinuxBackend
    from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Runner

EACH = 300
FAULTS = {
    kind: parse_fault({"id": "a", "kind": kind, "params": params, "lease_s": 20})
    for kind, params in {
        "link_down": {"interface": "w-a"},
        "loss": {"interface": "w-b", "percent": 30},
        "route_override": {"prefix": "10.2.0.0/16", "via": "10.254.0.0"},
        "route_blackhole": {"prefix": "10.3.0.0/16"},
        "mtu": {"interface": "w-b", "mtu": 1400},
        "impairment": {
            "interface": "w-a",
            "loss": 3,
            "delay": "20ms",
            "only": {"s_tag": 101, "c_tag": 100, "dscp": "ef"},
        },
        "bgp_shutdown": {"neighbor": "10.254.0.0"},
        "bfd_off": {"neighbor": "10.254.0.0"},
        "prefix_withdrawn": {"prefix": "10.1.0.0/24"},
        "memory_pressure": {"leave": "100mib"},
        "disk_full": {"path": "/srv"},
        "disk_slow": {"path": "/srv", "delay": "50ms"},
        "clock_step": {"by": "-1h"},
        "service_stop": {"service": "web"},
    }.items()
}
ENTRIES = (
    "link:w-a",
    "qdisc:w-a",
    "qdisc:w-b",
    "route:10.2.0.0/16",
    "nexthop:10.254.0.0",
    "session:10.254.0.0",
    "load:cpu",
    "load:memory",
    "load:full@/srv",
    "device:/srv",
    "clock:realtime",
    "service:web.service",
)
CHANGING = {
    "add", "del", "set", "configure terminal", "stop", "start", "create", "load", "resume", "remove",
    mapper._COVER, clock._STEP[-1],
}  # fmt: skip
WORDS = [
    Completed(0, "", ""), Completed(0, "\n", ""), Completed(1, "", ""), Completed(2, "", "\n\n"),
    Completed(124, "", ""), Completed(127, "", "ip: No such file or directory"),
    Completed(0, "Error: Unknown command.\n", ""), Completed(0, "\ufffd\ufffd[{\ufffd", ""), Completed(0, "[]", ""),
    Completed(0, "{}", ""), Completed(0, "null", ""), Completed(0, "[" * 100000, ""),
    Completed(0, "9" * 5000, ""), Completed(0, "[{}]", ""),
    Completed(0, '"w-a"', ""), Completed(0, '[{"mtu": NaN}]', ""), Completed(255, "[{\"ifname\": ", "Killed"),
    Completed(0, "[[[]]]", ""),
]  # fmt: skip
JUNK = [value for value in mutation.junk() if value != b"bytes" and value != 1 << 20000]


def garbled(rng: random.Random, done: Completed) -> Completed:
    """Give the answer of a command with something wrong in its data, or in the text itself."""
    kind = rng.randrange(5)
    if kind == 0 or not done.out:
        return rng.choice(WORDS)
    if kind == 1:
        cut = rng.randrange(len(done.out))
        return done._replace(
            out=done.out[:cut] + rng.choice(("", "\ufffd", "\0", "]", "\n", "Warning: x\n" + done.out[cut:]))
        )
    try:
        data = json.loads(done.out)
    except ValueError:
        # An answer in words: some of them are gone.
        words = done.out.split()
        return done._replace(out=" ".join(rng.sample(words, rng.randrange(len(words)))))
    for _change in range(rng.choice((1, 1, 2))):
        data = mutation.mutated(rng, data, JUNK)
    return done._replace(out=json.dumps(data))


def changes(argv: Sequence[str]) -> bool:
    """Say whether a command changes anything; all others are questions."""
    return argv[0] == "systemd-run" or (bool(CHANGING & {*argv[:6]}) and argv[0] != "unshare")


class Garbling:
    """A `Runner` over another, whose answers to questions have something wrong in them from the `after`-th on."""

    def __init__(self, runner: Runner, garble: Callable[[Completed], Completed], after: int = 0) -> None:
        self.runner, self.garble, self.after = runner, garble, after
        self.changed: list[tuple[str, ...]] = []
        self.asked = 0

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        done = self.runner.run(argv, input, timeout)
        if changes(argv):
            self.changed.append(tuple(argv))
            return done
        self.asked += 1
        if self.asked <= self.after:
            return done
        # A list of interfaces that looks right is believed: which ones there are nobody else can tell.
        return Completed(0, "[]", "") if argv[:4] == ("ip", "-j", "link", "show") else self.garble(done)


def told(ask: Callable[[], object]) -> bool:
    """Ask, and say whether the answer was refused; it may be refused only in words that name the command."""
    try:
        ask()
    except OkiagariError as error:
        message = str(error)
    else:
        return False
    assert " " in message
    assert not mutation.INTERNAL.search(message), message
    assert len(message) < 400
    return True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _file: None)


@pytest.fixture
def target(tmp_path: Path) -> SimulatedTarget:
    return SimulatedTarget(tmp_path)


QUESTIONS: dict[str, Callable[[LinuxBackend], object]] = {
    **{entry: lambda backend, entry=entry: backend.gather([entry]) for entry in ENTRIES},
    "leftovers": lambda backend: backend.leftovers(),
    "measure": lambda backend: backend.measure("qdisc:w-b"),
    "capabilities": lambda backend: backend.capabilities(),
}  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
def test_garbled_answers_are_understood_or_refused_in_words(target: SimulatedTarget, question: str) -> None:
    for fault in ("loss", "route_blackhole"):
        target.keeper.inject(parse_fault({**FAULTS[fault].to_dict(), "id": fault}))
    refused: Counter[bool] = Counter()
    for seed in range(EACH):
        rng = random.Random(f"{question} {seed}")
        runner = Garbling(target.kernel, lambda done, rng=rng: garbled(rng, done))  # type: ignore[misc]
        refused[told(lambda runner=runner: QUESTIONS[question](backend_of(runner)))] += 1  # type: ignore[misc]
        assert runner.changed == []
    assert question == "capabilities" or refused[True] > EACH / 3


@pytest.mark.parametrize("kind", FAULTS)
def test_nothing_is_injected_after_a_look_that_failed(tmp_path: Path, kind: str) -> None:
    """An answer may also be wrong and yet look like a right one; then nothing of the fault is left in the end."""
    refused = 0
    target = SimulatedTarget(tmp_path / "0")
    before = target.kernel.state()
    for seed in range(EACH):
        failed, changed = injected(target, FAULTS[kind], f"{kind} {seed}", after=0)
        refused += failed
        if changed:
            target.keeper.backend = backend_of(target.kernel)
            target.keeper.heal()
            assert target.keeper.backend.leftovers() == []
            target = SimulatedTarget(tmp_path / str(seed + 1))
            continue
        assert failed
        assert target.kernel.state() == before
        assert target.timers.units() == []
        assert [record for record in target.keeper.records() if record.live] == []
    assert refused > EACH / 2


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_garbled_after_the_look_is_put_right_later(tmp_path: Path, kind: str) -> None:
    target = SimulatedTarget(tmp_path / "0")
    before = target.kernel.state()
    target.keeper.backend = backend_of(runner := Garbling(target.kernel, lambda done: done))
    target.keeper.examine(FAULTS[kind])
    for seed in range(EACH // 3):
        target = SimulatedTarget(tmp_path / str(seed + 1))
        _failed, changed = injected(target, FAULTS[kind], f"{kind} {seed}", after=runner.asked)
        assert changed
        target.keeper.backend = backend_of(target.kernel)
        assert target.keeper.heal()["left"] == [], seed
        assert target.kernel.state() == before, seed


def injected(target: SimulatedTarget, fault: Fault, seed: str, after: int) -> tuple[bool, bool]:
    """Inject with garbled answers; give whether that failed, and whether anything was changed."""
    rng = random.Random(seed)
    runner = Garbling(target.kernel, lambda done: garbled(rng, done), after)
    target.keeper.backend = backend_of(runner)
    return told(lambda: target.keeper.inject(fault)), bool(runner.changed)


def test_garbled_answers_give_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "take", lambda _runner: None)
    answers = test_snapshot.answers()
    whole = snapshot.normalise(answers)
    refused = 0
    for seed in range(EACH):
        rng = random.Random(seed)
        name = rng.choice(list(answers))
        wrong = garbled(rng, answers[name]) if name not in ("daemons", "units", "leases") else rng.choice(WORDS)
        runner = Said({**answers, name: wrong})
        refused += told(lambda runner=runner: snapshot.take(runner))  # type: ignore[misc]
    assert refused > EACH / 6
    assert snapshot.take(Said(answers)) == whole


class Said:
    """A `Runner` that knows the answers to the commands of a snapshot."""

    def __init__(self, answers: dict[str, Completed]) -> None:
        self._answers = {snapshot.COMMANDS[name]: answer for name, answer in answers.items()}

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        return self._answers[tuple(argv)]


def test_garbled_daemons_are_not_taken_for_absent_ones() -> None:
    """What is cut off anywhere, or has something wrong in it, is refused; nothing of it is taken for the whole."""
    documents = (test_snapshot.BGP, test_snapshot.BFD)
    text = "\n".join(json.dumps(each, indent=2) for each in documents)
    for cut in range(1, len(text)):
        if text[cut - 1 : cut + 1].strip() and text[:cut].rstrip() != json.dumps(test_snapshot.BGP, indent=2):
            assert told(lambda cut=cut: snapshot.daemons(text[:cut])), text[:cut]  # type: ignore[misc]
    refused = 0
    for seed in range(EACH):
        rng = random.Random(seed)
        pair = list(documents)
        pair[seed % 2] = mutation.mutated(rng, pair[seed % 2], JUNK)
        wrong = "\n".join(json.dumps(each) for each in pair)
        refused += told(lambda wrong=wrong: snapshot.daemons(wrong))  # type: ignore[misc]
    assert refused > EACH / 6


@pytest.mark.parametrize(
    "question",
    [
        {"type": "route", "prefix": "10.2.0.0/16"},
        {"type": "bgp", "prefix": "10.2.0.0/16"},
        {"type": "bfd", "neighbor": "10.254.0.0"},
        {"type": "service", "unit": "ssh.service"},
    ],
    ids=lambda question: question["type"],
)
def test_a_probe_over_garbled_answers_is_not_ok_in_words(target: SimulatedTarget, question: dict[str, str]) -> None:
    for seed in range(EACH):
        rng = random.Random(seed)
        runner = Garbling(Routed(target.kernel), lambda done, rng=rng: garbled(rng, done))  # type: ignore[misc]
        found = probes.ask(runner, {"id": "p", **question})
        assert not mutation.INTERNAL.search(found["detail"]), found
    assert probes.ask(Routed(target.kernel), {"id": "p", **question})["ok"]


class Routed:
    """A `Runner` over another, on which daemons and services run too."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        if argv[0] == "systemctl":
            return Completed(0, "LoadState=loaded\nActiveState=active\nSubState=running\n", "")
        if argv[0] != "vtysh":
            return self._runner.run(argv, input, timeout)
        path = {
            "valid": True, "bestpath": {"overall": True}, "peer": {"peerId": "10.254.0.1"},
            "nexthops": [{"ip": "10.254.0.1", "used": True}],
        }  # fmt: skip
        peers = [{"peer": "10.254.0.0", "status": "up", "vrf": "default"}]
        return Completed(0, json.dumps(peers if "bfd" in argv[-1] else {"prefix": "10.2.0.0/16", "paths": [path]}), "")


def test_what_is_not_utf8_can_be_read_all_the_same() -> None:
    assert SubprocessRunner().run(("printf", "a\\377b")) == Completed(0, "a\ufffdb", "")


@settings(max_examples=200, derandomize=True)
@given(st.sampled_from(sorted(QUESTIONS)), mutation.words(40) | st.text('[]{}:,"0123456789. -abdev', max_size=40))
def test_any_text_is_an_answer(question: str, text: str) -> None:
    told(lambda: QUESTIONS[question](backend_of(Garbling(Silent(), lambda _done: Completed(0, text, "")))))


class Silent:
    """A `Runner` whose commands say nothing."""

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        return Completed(0, "", "")
