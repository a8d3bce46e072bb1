# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of an agent have in common: its files, its certificates, and waiting for something."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.agent import local
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import NAME
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.config import Config, Peer, Service, Tls
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Timing
from ansible_collections.okiagari.testbed.plugins.module_utils.certificates import Authority
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Charter
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
    from pathlib import Path

NAMES = ("a", "b", "c")
BOUND_S = 60.0
"""After so long a test gives up; nothing takes as long, on whatever machine."""


def authority(folder: Path, *names: str) -> Path:
    """Have an authority with certificates for these names."""
    Authority(SubprocessRunner(), folder, names).create()
    return folder


def service(**others: Any) -> Service:
    fields: dict[str, Any] = {
        "name": "db", "command": ("true",), "request": (), "charter": Charter("db", {name: name for name in NAMES}),
        "candidates": NAMES, "priorities": {}, "timing": Timing(), "watch": Watch(), "user": "",
    }  # fmt: skip
    return Service(**fields | others)


def config(folder: Path, **others: Any) -> Config:
    """Give the configuration of agent `a`, one of three."""
    fields: dict[str, Any] = {
        "testbed": "t", "name": "a", "listen": ("tls/127.0.0.1:0",),
        "connect": (), "state": folder / "state", "run": folder / "run",
        "tls": Tls(folder / "ca.pem", folder / "a.pem", folder / "a.key"),
        "peers": {name: Peer(name, f"site-{name}", "127.0.0.1", "", ()) for name in NAMES},
        "store": (), "services": {}, "cgroup": False,
    }  # fmt: skip
    return Config(**fields | others)


def write(path: Path, said: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))
    return path


def wait_for(what: Callable[[], Any]) -> Any:
    """Wait until `what` gives something that counts as true, and give it."""
    end = time.monotonic() + BOUND_S
    while not (found := what()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
    return found


async def until(what: Callable[[], Any]) -> Any:
    """Wait within an event loop until `what` gives something that counts as true, and give it."""
    async with asyncio.timeout(BOUND_S):
        while not (found := what()):
            await asyncio.sleep(0.005)
        return found


class Listener:
    """An agent's socket in the folder `run`, while it is `there`, and what was told there by its id.

    `refuse` is the message of an event that is refused.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.told: dict[tuple[str, int], dict[str, Any]] = {}
        self.requests = 0
        self.refuse: str | None = None

    async def operate(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        self.requests += 1
        if request["op"] == "query":
            for values in self.values():
                yield {"row": {"values": values}}
            yield {"complete_from": 0.0}
            return
        assert request["op"] == "tell"
        for event in request["events"]:
            if self.refuse is not None and event["values"].get("message") == self.refuse:
                raise BadValue("event 1: no")
            self.told.setdefault(tuple(event["id"]), event)
        yield {"new": len(request["events"])}

    def values(self) -> list[Any]:
        return [event["values"] for event in self.told.values()]

    @contextmanager
    def there(self) -> Iterator[None]:
        ended, listens = threading.Event(), threading.Event()

        async def serve() -> None:
            server = await local.serve(self.run / NAME, self.operate)
            listens.set()
            await asyncio.to_thread(ended.wait)
            server.close()

        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        assert listens.wait(60)
        try:
            yield
        finally:
            ended.set()
            thread.join()
