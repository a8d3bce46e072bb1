# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent's side of HAProxy: a socket where one is pretended, and what is told of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import proxies as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.proxies import Proxies
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import View
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Counts, Watch

from .agents import until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

HEAD = "# pxname,svname,scur,bout,econ,eresp,wretr,wredis,status,lastchg,hrsp_2xx,hrsp_5xx,srv_abrt,\n"
FIRST = "a"


class HAProxy:
    """Does what it is told at its socket, as a real one that has the service `db` at a, b and c."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.orders: list[str] = []
        self.refuses = ""
        self.service = "db"
        self.sessions = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.ready = {name: name == FIRST for name in "abc"}
        self._server = await asyncio.start_unix_server(self._answer, str(self.path))

    def stop(self) -> None:
        if self._server:
            self._server.close()
        self._server = None
        self.path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for order in (await reader.readline()).decode().strip().split(";"):
            writer.write(f"{self._do(order)}\n".encode())
        writer.close()

    def _do(self, order: str) -> str:
        if order == "show stat":
            rows = [
                f"{self.service},{name},{self.sessions},{100 * (name == 'b')},"
                f"0,0,0,0,{'no check' if ready else 'MAINT'},9,,,0,\n"
                for name, ready in self.ready.items()
            ]
            return HEAD + "".join(rows)
        self.orders.append(order)
        if self.refuses:
            return self.refuses
        if order.startswith("shutdown"):
            return ""
        _set, _server, place, _state, state = order.split()
        self.ready[place.removeprefix("db/")] = state == "ready"
        return ""


class Rig:
    def __init__(self, folder: Path) -> None:
        self.haproxy = HAProxy(folder / "s")
        self.view: View | None = View(17, "b", 2, 9)
        self.own = ""
        self.passed: list[tuple[str | None, Counts | None]] = []
        self.told: list[tuple[str, Mapping[str, Any], str]] = []
        watching = SimpleNamespace(
            watch=Watch(period_s=0.05, timeout_s=0.05), passed=lambda *what: self.passed.append(what)
        )
        services = {"db": (cast("Any", self), cast("Any", watching))}
        self.proxies = Proxies(self.haproxy.path, services, lambda *what: self.told.append(what))

    @property
    def nearest(self) -> str | None:
        return self.own or (self.view.holder if self.view else None)

    def events(self) -> list[str]:
        return [event for event, _values, _service in self.told]


def use(rig: Rig, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        task = asyncio.create_task(rig.proxies.run())
        try:
            await what()
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            rig.haproxy.stop()

    asyncio.run(run())


def test_clients_are_led_to_the_holder_wherever_it_is(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def what() -> None:
        await rig.haproxy.start()
        await until(lambda: rig.proxies.leads_to("db") == "b")
        assert rig.haproxy.orders == ["set server db/b state ready", "set server db/a state maint"]
        rig.view = View(30, None, 2, 9)
        looks = len(rig.passed)
        await until(lambda: len(rig.passed) > looks + 2)
        assert rig.proxies.leads_to("db") == "b"
        rig.view = View(40, "c", 3, 33)
        await until(lambda: rig.proxies.leads_to("db") == "c")

    use(rig, what)
    assert ("proxy_switched", {"to": "c"}, "db") in rig.told
    assert ("b", Counts(100)) in rig.passed
    assert (None, None) in rig.passed
    assert rig.passed[-1] == ("c", Counts())


def test_connections_to_a_former_server_are_ended_when_none_is_being_made_there_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEFT_S", 0.3)
    rig = Rig(tmp_path)
    rig.haproxy.sessions = 1
    ended = "shutdown sessions server db/a"

    async def what() -> None:
        await rig.haproxy.start()
        await until(lambda: rig.proxies.leads_to("db") == "b")
        looks = len(rig.passed)
        await until(lambda: len(rig.passed) > looks + 2)
        assert ended not in rig.haproxy.orders
        await until(lambda: ended in rig.haproxy.orders)
        # One that is the server again, and then isn't any more, is left anew.
        rig.view = View(40, "a", 3, 33)
        await until(lambda: rig.proxies.leads_to("db") == "a")
        rig.view = View(50, "b", 4, 43)
        await until(lambda: rig.proxies.leads_to("db") == "b")
        rig.haproxy.orders.clear()
        await until(lambda: ended in rig.haproxy.orders)

    use(rig, what)


def test_clients_of_a_host_with_a_server_of_its_own_use_that_one(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def what() -> None:
        await rig.haproxy.start()
        await until(lambda: rig.proxies.leads_to("db") == "b")
        rig.own = "c"
        await until(lambda: rig.proxies.leads_to("db") == "c")
        # What is seen of the holder is told of the holder.
        assert rig.passed[-1] == ("b", Counts(100))
        rig.own = ""
        await until(lambda: rig.proxies.leads_to("db") == "b")

    use(rig, what)


def test_an_agent_that_knows_nothing_yet_changes_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.view = None

    async def what() -> None:
        await rig.haproxy.start()
        await until(lambda: len(rig.passed) > 3)

    use(rig, what)
    assert rig.haproxy.orders == []
    assert rig.events() == ["proxy_switched"]  # whatever it found


def test_a_haproxy_that_was_started_anew_is_told_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def what() -> None:
        await rig.haproxy.start()
        await until(lambda: rig.haproxy.ready["b"])
        rig.haproxy.stop()
        await until(lambda: rig.proxies.leads_to("db") is None)
        assert rig.passed[-1] == (None, None)
        await rig.haproxy.start()
        assert not rig.haproxy.ready["b"]
        await until(lambda: rig.haproxy.ready["b"])

    use(rig, what)
    assert not {"proxy_unreachable", "proxy_reached"} & set(rig.events())  # it was soon back


def test_that_it_is_gone_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)

    async def what() -> None:
        await until(lambda: len(rig.passed) > 5)
        await rig.haproxy.start()
        await until(lambda: "proxy_reached" in rig.events())

    use(rig, what)
    assert rig.events().count("proxy_unreachable") == 1
    _event, values, service = rig.told[0]
    assert values == {"text": f"HAProxy at {rig.haproxy.path}: No such file or directory"}
    assert service == ""


@pytest.mark.parametrize(
    ("attribute", "value", "why"),
    [
        ("service", "web", "it doesn't know db: run playbooks/agents.yml"),
        ("refuses", "Permission denied", "it doesn't do set server db/b state ready: Permission denied"),
    ],
)
def test_one_that_does_not_do_what_it_is_told_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attribute: str, value: str, why: str
) -> None:
    rig = Rig(tmp_path)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    setattr(rig.haproxy, attribute, value)

    async def what() -> None:
        await rig.haproxy.start()
        await until(lambda: "proxy_unreachable" in rig.events())

    use(rig, what)
    text = next(values["text"] for event, values, _service in rig.told if event == "proxy_unreachable")
    assert text.startswith(f"HAProxy at {rig.haproxy.path}: {why}")


def test_one_that_hangs_is_as_good_as_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(module, "_ANSWER_S", 0.05)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(rig.haproxy, "_answer", hang)

    async def what() -> None:
        await rig.haproxy.start()
        await until(lambda: "proxy_unreachable" in rig.events())

    use(rig, what)
    assert rig.told[0][1]["text"].endswith(": it doesn't answer")


def test_where_no_service_has_a_proxy_there_is_nothing_to_do(tmp_path: Path) -> None:
    asyncio.run(Proxies(tmp_path / "s", {}, print).run())
    asyncio.run(Proxies(None, {"db": cast("Any", None)}, print).run())
