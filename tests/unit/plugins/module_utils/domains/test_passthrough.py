# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events are made of answers, in the order in which they came about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Late, Refusal
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.passthrough import Passthrough

if TYPE_CHECKING:
    from collections.abc import Mapping


class Qemu:
    """A QEMU whose guest runs, until a test says something else; `then` changes it before its next answers."""

    def __init__(self) -> None:
        self.runs, self.status = True, "none"
        self.then: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.lent: list[int | None] = []

    def monitor(self, command: str, _timeout_s: float, fd: int | None = None) -> Mapping[str, Any]:
        said = json.loads(command)
        self.said.append(said)
        self.lent.append(fd)
        if said["execute"].startswith("query-") and self.then:
            for name, value in self.then.pop(0).items():
                setattr(self, name, value)
        if said["execute"] == "refused":
            return {"error": {"class": "GenericError", "desc": "not now"}}
        if said["execute"] in ("stop", "cont"):
            self.runs = said["execute"] == "cont"
        answers: dict[str, Any] = {
            "query-version": {"qemu": {"major": 7, "minor": 2, "micro": 22}},
            "query-status": {"running": self.runs},
            "query-migrate": {"status": self.status},
        }
        return {"return": answers.get(said["execute"], {})}


def passthrough(qemu: Qemu) -> Passthrough:
    return Passthrough(qemu)  # type: ignore[arg-type]


def names(monitor: Passthrough, last: str) -> list[str]:
    """Give the events up to one."""
    found: list[str] = []

    def note(event: dict[str, Any]) -> bool:
        found.append(event["data"].get("status") or event["event"])
        return found[-1] == last

    monitor.wait(note, 10.0)
    return found


def test_commands_are_told_and_refusals_raised() -> None:
    qemu = Qemu()
    monitor = passthrough(qemu)
    assert monitor.version == (7, 2)
    monitor.execute("blockdev-del", node_name="okiagari-vda")
    assert qemu.said[-1] == {"execute": "blockdev-del", "arguments": {"node-name": "okiagari-vda"}}
    with pytest.raises(Refusal, match="QEMU refuses refused: not now"):
        monitor.execute("refused")


def test_a_pipe_is_told_of_before_it_is_lent() -> None:
    qemu, told = Qemu(), list[tuple[int, int]]()
    monitor = passthrough(qemu)
    monitor.lends = lambda pipe: told.append((pipe, len(qemu.said)))
    before = len(qemu.said)
    monitor.execute("add-fd", fd=5)
    monitor.execute("getfd", fd=7, fdname="okiagari")
    assert (told, qemu.lent[-2:]) == ([(7, before + 1)], [5, 7])


def test_what_is_told_comes_about() -> None:
    qemu = Qemu()
    monitor = passthrough(qemu)
    monitor.execute("stop")
    monitor.execute("stop")
    monitor.execute("cont")
    assert names(monitor, "RESUME") == ["STOP", "RESUME"]
    monitor.execute("stop")
    monitor.forget()
    with pytest.raises(Late, match=r"within 0.05 s"):
        monitor.wait(lambda _event: True, 0.05)


def test_a_guest_that_goes_on_does_so_before_its_migration_is_over() -> None:
    """Both may have come about between two looks, or between the two questions of one."""
    for step in range(4):
        qemu = Qemu()
        monitor = passthrough(qemu)
        # One of an earlier capture is none.
        qemu.status = "completed"
        monitor.execute("stop")
        monitor.execute("migrate", uri="fd:okiagari")
        qemu.status = "active"
        qemu.then = [*({} for _step in range(step)), {"runs": True, "status": "completed"}]
        found = names(monitor, "completed")
        assert found.index("RESUME") < found.index("completed")
