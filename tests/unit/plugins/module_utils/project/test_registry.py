# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registrar's folder: several at once, crashes, copies."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import time
from functools import partial
from multiprocessing import get_context
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.project import Registry, allocate
from ansible_collections.okiagari.testbed.plugins.module_utils.project.capacity import held
from ansible_collections.okiagari.testbed.plugins.module_utils.project.record import marked, released
from ansible_collections.okiagari.testbed.plugins.module_utils.project.request import Request, from_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.project.registry import Holdings


def record(name: str, **rest: Any) -> dict[str, Any]:
    return {"schema": 1, "name": name, "contact": "", "created": "", "networks": {}, "machines": {}, **rest}


def put(registry: Registry, name: str, **rest: Any) -> None:
    registry.change(lambda _holdings: {name: record(name, **rest)})


def remove(registry: Registry, name: str) -> None:
    registry.change(lambda _holdings: {name: {}})


def test_records_come_and_go(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "projects"
    registry = Registry(folder)
    assert registry.read() == ({}, 0)
    assert not folder.exists()
    before, after = registry.change(lambda _holdings: {"exp1": record("exp1")})
    assert (before.records, after.records) == ({}, {"exp1": record("exp1")})
    assert registry.read() == after
    put(registry, "exp1")
    assert registry.read().serial == 1, "nothing has changed"
    put(registry, "exp1", contact="me")
    put(registry, "abc")
    assert list(registry.read().records) == ["abc", "exp1"]
    remove(registry, "exp1")
    assert registry.read() == ({"abc": record("abc")}, 4)


def test_nobody_else_may_look(tmp_path: Path) -> None:
    folder = tmp_path / "projects"
    put(Registry(folder), "exp1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == dict.fromkeys(
        ["exp1.json", "lock", "serial"], 0o600
    )


def test_check_and_refusal_change_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "projects"
    registry = Registry(folder)
    before, after = registry.change(lambda _holdings: {"exp1": record("exp1")}, check=True)
    assert (list(before.records), list(after.records), after.serial) == ([], ["exp1"], 1)
    assert not folder.exists()
    put(registry, "exp1")

    def refuse(_holdings: object) -> dict[str, Any]:
        raise OkiagariError("no")

    with pytest.raises(OkiagariError, match="no"):
        registry.change(refuse)
    registry.change(lambda _holdings: {"exp1": {}}, check=True)
    assert registry.read() == ({"exp1": record("exp1")}, 1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', json.dumps(record("other")), "\x00" * 64])
def test_a_record_that_cannot_be_read_is_never_taken_for_none(tmp_path: Path, content: str) -> None:
    registry = Registry(tmp_path)
    put(registry, "exp1")
    (tmp_path / "exp1.json").write_text(content)
    with pytest.raises(OkiagariError, match=r"exp1\.json"):
        put(registry, "exp2")
    with pytest.raises(OkiagariError, match=r"exp1\.json"):
        registry.read()


def test_a_record_of_a_later_schema(tmp_path: Path) -> None:
    put(Registry(tmp_path), "exp1", schema=1)
    (tmp_path / "exp1.json").write_text(json.dumps(record("exp1", schema=2)))
    with pytest.raises(OkiagariError, match="schema 2"):
        Registry(tmp_path).read()


def test_a_name_never_leaves_the_folder(tmp_path: Path) -> None:
    for name in ("../exp1", "a/b", "", ".exp1", "Exp1"):
        with pytest.raises(OkiagariError, match="can't be the name"):
            put(Registry(tmp_path / "projects"), name)
    assert [path.name for path in tmp_path.iterdir()] == ["projects"]


def test_copies(tmp_path: Path) -> None:
    here, there = Registry(tmp_path / "here"), Registry(tmp_path / "there")
    put(here, "exp1")
    put(here, "exp2")
    old = here.read()
    remove(here, "exp1")
    new = here.read()
    assert there.copy(list(old.records.values()), old.serial, check=True)[1] == old
    assert not (tmp_path / "there").exists()
    assert there.copy(list(new.records.values()), new.serial)[1] == there.read() == new
    # A copy that comes late doesn't bring anything back.
    assert there.copy(list(old.records.values()), old.serial)[1] == there.read() == new
    put(there, "exp3")
    assert there.read().serial == new.serial + 1


def busy(folder: Path, seed: int) -> None:
    """Ask for projects and give them back, in any order, as fast as it goes."""
    chance = random.Random(seed)
    registry = Registry(folder)
    testbed, capacities = json.loads((folder.parent / "testbed.json").read_text())
    for _round in range(15):
        name, other = (f"p{chance.randrange(6)}" for _each in range(2))
        request = from_plain(
            {
                "project": name,
                "networks": {"lan": {}, "other": {"prefix": "192.168.7.0/24"}},
                "machines": {"web": {"count": chance.randint(1, 3), "networks": ["lan"]}},
            },
            testbed,
        )
        try:
            registry.change(partial(ask, request, testbed, capacities))
        except BadInput:
            registry.change(partial(let_go, other, marked))
            registry.change(partial(let_go, other, released))
        check(registry, capacities)


def ask(request: Request, testbed: Any, capacities: Any, holdings: Holdings) -> dict[str, Any]:
    records = holdings.records.values()
    return {request.name: allocate(request, testbed, records, capacities, created="now")}


def let_go(name: str, step: Callable[[Any], dict[str, Any]], holdings: Holdings) -> dict[str, Any]:
    return {name: step(holdings.records[name])} if name in holdings.records else {}


def check(registry: Registry, capacities: dict[str, dict[str, int]]) -> None:
    records = registry.read().records.values()
    vlans = [network["vlan"] for each in records for network in each["networks"].values()]
    prefixes = [each["networks"]["lan"]["prefix"] for each in records]
    macs = [nic["mac"] for each in records for machine in each["machines"].values() for nic in machine["networks"]]
    for values in (vlans, prefixes, macs):
        assert len(values) == len(set(values))
    for host, amounts in held(records).items():
        assert all(amounts[key] <= most for key, most in capacities[host].items())


@pytest.mark.parametrize("kind", [Thread, get_context("fork").Process])
def test_several_at_once(
    tmp_path: Path, kind: Any, testbed: dict[str, Any], capacities: dict[str, dict[str, int]]
) -> None:
    (tmp_path / "testbed.json").write_text(json.dumps([testbed, capacities]))
    folder = tmp_path / "projects"

    def work(seed: int) -> None:
        busy(folder, seed)
        (tmp_path / f"done{seed}").touch()

    workers = [kind(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(list(tmp_path.glob("done*"))) == 4
    check(Registry(folder), capacities)
    assert Registry(folder).read().serial > 10


def scribble(folder: Path) -> None:
    registry = Registry(folder)
    for number in range(10**6):
        put(registry, f"p{number % 3}", contact=f"{number} " * 2000)
        remove(registry, f"p{(number + 1) % 3}")


def test_killed_at_any_moment(tmp_path: Path) -> None:
    folder = tmp_path / "projects"
    registry = Registry(folder)
    chance = random.Random(1)
    serial = 0
    for _round in range(8):
        process = get_context("fork").Process(target=scribble, args=(folder,))
        process.start()
        time.sleep(chance.uniform(0.01, 0.1))
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        holdings = registry.read()
        for each in holdings.records.values():
            assert len(set(each["contact"].split())) == 1, "a record is whole"
        put(registry, "after")
        remove(registry, "after")
        assert sorted(path.name for path in folder.glob(".*")) == [], "what a crash leaves is tidied away"
        assert holdings.serial >= serial
        serial = holdings.serial
