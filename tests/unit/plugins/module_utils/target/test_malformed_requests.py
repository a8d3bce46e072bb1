# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests with something wrong in them: each is carried out, or refused in words and then nothing has happened."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target import (
    connection_probes,
    host_probes,
    reach_probes,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.target.main import Commands, answer
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils import mutation
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import SimulatedTarget
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

EACH = 400
CUT: dict[str, Any] = {"id": "a", "kind": "link_down", "params": {"interface": "w-a"}}
LOSS: dict[str, Any] = {"id": "b", "kind": "loss", "params": {"interface": "w-b", "percent": 30}}
WAY: dict[str, Any] = {"id": "c", "kind": "route_override", "params": {"prefix": "10.2.0.0/16", "via": "10.254.0.0"}}
HOLE: dict[str, Any] = {"id": "d", "kind": "route_blackhole", "params": {"prefix": "10.3.0.0/16"}}
PROBES = [
    {"id": "p", "type": "ping", "to": "10.2.0.11", "count": 5, "interval": 0.1},
    {"id": "q", "type": "path", "to": "10.2.0.11"},
    {"id": "r", "type": "route", "prefix": "10.2.0.0/16"},
    {"id": "s", "type": "readback", "path": "/nonexistent/file", "key": 7, "size": 4096},
    {"id": "t", "type": "tcp", "to": "10.2.0.11", "port": 22, "timeout": 1.0},
    {"id": "u", "type": "http", "url": "http://10.2.0.11:8080/health?x=1", "timeout": 1.0},
    {"id": "v", "type": "dns", "server": "10.2.0.11", "name": "www.example.org", "kind": "A", "timeout": 1.0},
    {"id": "2", "type": "throughput", "from": "10.1.0.11", "to": "10.2.0.11", "port": 18700, "seconds": 1.0},
    {"id": "3", "type": "sink", "local": "10.2.0.11", "peer": "10.1.0.11", "port": 18700, "seconds": 1.0},
    {"id": "w", "type": "bgp", "prefix": "10.2.0.0/16", "vrf": "storage"},
    {"id": "x", "type": "bfd", "neighbor": "10.254.0.0"},
    {"id": "y", "type": "command", "argv": ["/nonexistent", "-x"], "timeout": 1.0},
    {"id": "z", "type": "service", "unit": "ssh.service"},
    {"id": "0", "type": "file", "path": "/nonexistent/file"},
    {"id": "1", "type": "storage"},
]


class Target:
    """A simulated target, made anew after each request that was carried out."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], standing: bool) -> None:
        self._folder, self._capsys, self._standing = folder, capsys, standing
        self._count = 0
        self.renew()

    def renew(self) -> None:
        self._count += 1
        self.folder = self._folder / str(self._count)
        self.folder.mkdir()
        self.simulated = SimulatedTarget(self.folder)
        if self._standing:
            assert self("inject", json.dumps({**CUT, "lease_s": 20}))[0] == 0
        self.before = self.shown()
        self.simulated.kernel.ran.clear()

    def shown(self) -> Any:
        """Give all that a request can change: the kernel, the timers and what is on the disk."""
        simulated = self.simulated
        files = {
            path: path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file() and path.name != "lock"
        }
        return simulated.kernel.state(), dict(simulated.timers.armed), dict(simulated.timers.services), files

    def __call__(self, command: str, text: str) -> tuple[int, dict[str, Any]]:
        target = self.simulated
        commands = Commands(target.places, target.kernel, target.clock, ("python3", "p"), target.timers)
        commands.keeper = target.keeper
        code = answer(commands, (command,), lambda: text)
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return code, result

    def refuses(self, command: str, text: str) -> bool:
        """Send a request, see that it is carried out or refused as it should be, and say whether it was refused."""
        code, result = self(command, text)
        if code == 0:
            words = [item.get("detail", "") for item in result.get("results", ())]
            assert not [text for text in words if mutation.INTERNAL.search(text)]
            self.renew()
            return False
        assert (code, list(result)) == (1, ["error"])
        assert " " in result["error"]
        assert not mutation.INTERNAL.search(result["error"]), (text, result["error"])
        assert changes(self.simulated.kernel.ran) == []
        assert self.shown() == self.before
        return True


def changes(ran: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Give the commands of `ran` that change something."""
    return [argv for argv in ran if {"add", "del", "set", "stop", "start"} & set(argv[:4]) and argv[0] != "unshare"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be root, send nothing to the network, and start nothing."""

    def echo(to: str) -> None:
        ipaddress.ip_address(to)
        raise PermissionError(1, "Operation not permitted")

    def unreachable(*_arguments: object, **_more: object) -> NoReturn:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fsync", lambda _file: None)
    monkeypatch.setattr(reach_probes, "Echo", echo)
    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(socket, "create_server", unreachable)
    monkeypatch.setattr(connection_probes, "exchange", unreachable)
    monkeypatch.setattr(host_probes, "execute", lambda *_arguments: Completed(127, "", "it is not run here"))


def request_of(command: str, target: Target) -> dict[str, Any]:
    """Give a well-formed request."""
    t0 = target.simulated.clock.now() + 2
    span = {"from": 0.0, "until": 38.0}
    writer = {"id": "w", "path": str(target.folder / "w"), "rate": 10.0, "size": 4096, **span}
    stream = {"id": "s", "local": "10.1.0.11", "peer": "10.2.0.11", "port": 18700, "rate": 100, **span}
    steps = [{"after": 4.0, "params": {**LOSS["params"], "percent": 40}}]
    log = {"type": "log", "file": str(target.folder / "log"), "matches": "Down", "within": 5.0}
    way = {"type": "route", "prefix": "10.2.0.0/16", "via": ["10.254.0.0"], "within": 5.0}
    own: dict[str, dict[str, Any]] = {"a": {"when": log}, "b": {"steps": steps}, "c": {"when": way}}
    faults = [{**fault, "at": 5.0, "for": 20.0, **own.get(fault["id"], {})} for fault in (CUT, LOSS, WAY, HOLE)]
    asked = [{**probe, "at": 8.0} for probe in PROBES]
    asked[0] |= {"every": 1.0, "until": 12.0}
    return {
        "arm": {
            "drill": "d", "t0": t0, "ends": 40.0, "target": "r1", "faults": faults, "streams": [stream],
            "writers": [writer], "probes": asked, "before": {"links": {}, "routes": []},
        },
        "inject": {**LOSS, "lease_s": 20},
        "undo": {"ids": ["a"], "by": "module"},
        "probe": {"probes": PROBES},
        "heal": {"check": False},
        "status": {"drill": "d"},
        "collect": {"drill": "d"},
        "abort": {"drill": "d"},
    }[command]  # fmt: skip


def as_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


JUNK = [
    *filter(as_json, mutation.junk()), "w-a", "w-b", "w-x", "lo", "fault", "link_down", "loss", "ping", "route",
    "a", "d", {**CUT, "at": 6.0, "for": 20.0}, {**LOSS, "at": 0, "for": 1}, {**HOLE, "lease_s": 20}, [CUT],
    [LOSS, LOSS],
    PROBES,
]  # fmt: skip


def malformed(rng: random.Random, request: dict[str, Any]) -> str:
    """Give the text of the request with something wrong in its data, or in the text itself."""
    for _change in range(rng.choice((1, 1, 2, 3))):
        request = mutation.mutated(rng, request, JUNK)
    text = json.dumps(request)
    if rng.random() < 0.2:
        cut = rng.randrange(len(text))
        text = (
            text[:cut]
            + rng.choice(("", "[", "}", '"', "\0", "\ufffd", "NaN", "9" * 5000, "[" * 100000))
            + text[cut + 1 :]
        )
    return text


@pytest.mark.parametrize(("command", "standing"), [("arm", False), ("arm", True), ("inject", False), ("probe", False)])
def test_malformed_requests_are_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, standing: bool
) -> None:
    target = Target(tmp_path, capsys, standing)
    told: Counter[bool] = Counter()
    for seed in range(EACH):
        request = request_of(command, target)
        told[target.refuses(command, malformed(random.Random(f"{command} {seed}"), request))] += 1
    assert told[True] > EACH / 4
    assert (command == "arm" and standing) or told[False] > EACH / 50


@pytest.mark.parametrize("command", ["undo", "heal", "abort", "status", "collect"])
def test_a_malformed_request_leaves_the_fault_that_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    target = Target(tmp_path, capsys, standing=True)
    request = request_of(command, target)
    told = Counter(target.refuses(command, malformed(random.Random(seed), request)) for seed in range(100))
    assert min(told[True], told[False]) > 5


def test_a_request_as_it_should_be_is_carried_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = Target(tmp_path, capsys, standing=False)
    for command in ("arm", "inject", "undo", "probe", "heal", "status", "collect", "abort"):
        assert not target.refuses(command, json.dumps(request_of(command, target)))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | mutation.words(20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(mutation.words(8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["arm", "inject", "probe", "undo"]), st.data(), anything)
def test_anything_in_any_place_of_a_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, data: st.DataObject, value: Any
) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    target = Target(folder, capsys, standing=False)
    request = request_of(command, target)
    path = data.draw(st.sampled_from(list(mutation.places(request))))
    target.refuses(command, json.dumps(mutation.put(request, path, value)))
