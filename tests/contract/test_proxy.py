# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any candidate's address leads to the server (P1.12): real HAProxies, alone and kept by real agents."""

from __future__ import annotations

import asyncio
import http.server
import os
import signal
import socket
import socketserver
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.proxies import Proxies
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import View
from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy import (
    STATISTICS,
    Listener,
    Proxy,
    read_statistics,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Counts, Watch
from real_agents import Farm, Node, wait_for
from real_etcd import RealEtcd, free_ports
from real_haproxy import CLIENT_S, RealHAProxy, Session, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OWN = "127.0.9.1"
HOSTS = {"a": "127.0.9.2", "b": "127.0.9.3"}
TRIANGLE = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"]}
PROBES = 15
TCP_REPAIR = 19
# Long enough for clients on a busy machine to be heard of in time.
WATCH = {"period_s": 1.6, "timeout_s": 0.7, "good_for_s": 4.0, "silence_s": 6.0, "grace_s": 8.0}
# A service that says who it is and notes who asked: its clients say `client`, agents `probe`.
SERVICE = """
import os, socketserver, sys, threading, time
record, address, port, name = sys.argv[1:]
lock = threading.Lock()
def note(what):
    with lock, open(record, "a") as file:
        file.write(f"{time.monotonic()} {what} {os.environ['OKIAGARI_TOKEN']}\\n")
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            note(line.decode().strip())
            self.wfile.write(f"pong {name}\\n".encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
server = Server((address, int(port)), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    note("runs")
    time.sleep(0.05)
"""


# HAProxy alone


class Lines(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            # Who doesn't want an answer gets the end.
            if line == b"quit\n":
                return
            if line == b"forget\n":
                # What is closed while it is repaired is gone, and nobody is told, once what was heard is acknowledged.
                time.sleep(0.5)
                self.connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
                os.close(self.connection.detach())
                return
            self.wfile.write(f"pong {self.server.server_address[0]}\n".encode())


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


class Listening(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def service(host: str, port: int, handler: type[socketserver.BaseRequestHandler] = Lines) -> Iterator[None]:
    with Listening((HOSTS[host], port), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield
        server.shutdown()


class Alone:
    """A HAProxy of a service that may be at a or b, and ports for it and for the service."""

    def __init__(self, folder: Path, mode: str = "tcp", wait_s: int = 60) -> None:
        ((self.port, self.service_port),) = free_ports([OWN])
        listener = Listener(Proxy(self.port, "{address}", self.service_port, mode, "{address}", wait_s), HOSTS)
        self.haproxy = RealHAProxy(folder, {"db": listener}, OWN)

    def counts(self, host: str) -> Counts:
        return read_statistics(self.haproxy.tell(STATISTICS))["db"][host].counts

    def ask(self, line: str = "client") -> str:
        return ask(OWN, self.port, line)

    @contextmanager
    def kept_at(self, host: str | None) -> Iterator[Callable[..., None]]:
        """Have an agent's part keep it at this host; gives what moves it to another one, whoever is the holder."""
        driver = SimpleNamespace(view=View(holder=host), nearest=host)
        watching = SimpleNamespace(watch=Watch(), passed=lambda _holder, _counts: None)
        proxies = Proxies(self.haproxy.socket, {"db": cast("Any", (driver, watching))}, lambda *_what: None)
        loop = asyncio.new_event_loop()
        task = loop.create_task(proxies.run())
        thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])))
        thread.start()
        wait_for(lambda: proxies.leads_to("db") == (host or "a"))

        def move(to: str | None, holder: str | None = None) -> None:
            driver.view, driver.nearest = View(holder=holder or to), to
            wait_for(lambda: to is None or proxies.leads_to("db") == to)

        try:
            yield move
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
            loop.close()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Callable[..., Alone]]:
    made: list[Alone] = []

    def make(**how: Any) -> Alone:
        made.append(Alone(tmp_path, **how))
        made[-1].haproxy.start()
        return made[-1]

    yield make
    for each in made:
        each.haproxy.kill()


def test_haproxy_takes_the_settings_without_a_word(tmp_path: Path) -> None:
    hosts = HOSTS | {"kanazawa-kvm1": "2001:db8::1"}
    listeners = {
        "db": Listener(Proxy(7081, "{address}", 7000), hosts),
        "Web_1": Listener(Proxy(7082, "{address}", 80, "http", wait_s=3600), hosts),
        "guest-1": Listener(Proxy(7000, "192.0.2.50", 7000, address="{address}"), hosts),
        "six": Listener(Proxy(7083, "2001:db8::9", 7000, address="::1"), hosts),
    }
    assert RealHAProxy(tmp_path, listeners, OWN).check() == ""


def test_a_connection_waits_for_the_service_to_be_there(alone: Callable[..., Alone]) -> None:
    db = alone()
    with db.kept_at("b"), ThreadPoolExecutor() as clients:
        waiting = [clients.submit(db.ask) for _client in range(3)]
        wait_for(lambda: db.counts("b").failed >= 3)  # all of them have been refused once
        with service("b", db.service_port):
            assert {each.result() for each in waiting} == {f"pong {HOSTS['b']}"}


def test_clients_use_the_server_of_their_own_host_while_another_one_is_elected(alone: Callable[..., Alone]) -> None:
    db = alone()
    with db.kept_at("a") as move, service("a", db.service_port), service("b", db.service_port):
        assert db.ask() == f"pong {HOSTS['a']}"
        move("b", "a")
        assert db.ask() == f"pong {HOSTS['b']}"
        # It has ended, and its host is no better than others again.
        move("a")
        assert db.ask() == f"pong {HOSTS['a']}"


def test_a_connection_that_waits_goes_where_the_service_goes(alone: Callable[..., Alone]) -> None:
    """Also through a time in which nobody has it."""
    db = alone()
    with db.kept_at("a") as move, ThreadPoolExecutor() as clients, service("b", db.service_port):
        waiting = clients.submit(db.ask)
        wait_for(lambda: db.counts("a").failed)
        move(None)
        failed = db.counts("a").failed
        wait_for(lambda: db.counts("a").failed > failed)
        assert not waiting.done()
        move("b")
        assert waiting.result() == f"pong {HOSTS['b']}"


def test_a_connection_does_not_wait_for_ever(alone: Callable[..., Alone]) -> None:
    db = alone(wait_s=2)
    assert db.ask() == ""
    assert db.counts("a").failed >= 3  # it was tried, and twice again


def test_what_was_open_to_a_former_server_is_closed_though_that_one_goes_on(alone: Callable[..., Alone]) -> None:
    db = alone()
    with db.kept_at("a") as move, service("a", db.service_port), service("b", db.service_port):
        session = Session(OWN, db.port)
        assert session.ask("client") == f"pong {HOSTS['a']}"
        move("b")
        assert db.ask() == f"pong {HOSTS['b']}"
        assert session.hear() == ""
        session.end()
        stays = Session(OWN, db.port)
        assert stays.ask("client") == f"pong {HOSTS['b']}"
        db.haproxy.kill()
        db.haproxy.start()
        assert stays.hear() == ""
        stays.end()
        # Whoever is asked first by itself is a; the agent tells it of b.
        wait_for(lambda: db.ask() == f"pong {HOSTS['b']}")


def test_a_connection_that_its_server_has_forgotten_is_closed(alone: Callable[..., Alone]) -> None:
    """As one to a guest that goes on at the same host, from a state in which there was no such connection."""
    db = alone()
    with service("a", db.service_port), ThreadPoolExecutor() as clients:
        session = Session(OWN, db.port)
        assert session.ask("client") == f"pong {HOSTS['a']}"
        assert clients.submit(session.ask, "forget").result(CLIENT_S / 2) == ""
        session.end()
        assert db.ask() == f"pong {HOSTS['a']}"


def test_answers_and_failures_are_counted(alone: Callable[..., Alone]) -> None:
    db = alone()
    with service("a", db.service_port):
        assert db.counts("a") == Counts()
        assert db.ask()
        one = wait_for(lambda: counts if (counts := db.counts("a")).answered else None)
        assert one.failed == 0
        assert db.ask("quit") == ""
        assert db.counts("a") == one  # neither the one nor the other: nothing was said, but nothing went wrong
        assert db.counts("b") == Counts()
    with ThreadPoolExecutor() as clients:
        waiting = clients.submit(db.ask)
        wait_for(lambda: db.counts("a").failed)
        with service("a", db.service_port):
            assert waiting.result()


def test_what_speaks_http_is_counted_by_its_answers(alone: Callable[..., Alone]) -> None:
    web = alone(mode="http")
    with service("a", web.service_port, Pages):
        client = HTTPConnection(OWN, web.port, timeout=60)
        for number, (status, failed) in enumerate([(200, 0), (404, 0), (302, 0), (500, 1), (503, 2), (200, 2)]):
            client.request("GET", f"/{status}")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (status, b"")
            assert web.counts("a") == Counts(number + 1 - failed, failed)
        client.close()


@pytest.mark.parametrize(
    ("mode", "reset", "sent"),
    [
        ("tcp", False, True),
        ("tcp", True, False),
        ("http", False, False),
    ],
)
def test_the_request_of_a_client_that_is_gone(
    alone: Callable[..., Alone], mode: str, reset: bool, sent: bool
) -> None:  # fmt: skip
    db = alone(mode=mode)
    with socket.create_connection((OWN, db.port)) as client:
        client.sendall(b"GET /gone HTTP/1.1\r\nHost: db\r\n\r\n")
        wait_for(lambda: db.counts("a").failed)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    failed = db.counts("a").failed
    with ThreadPoolExecutor() as clients:
        # Another one, which waits as well, and would be served after it.
        waiting = clients.submit(ask, OWN, db.port, "GET /here HTTP/1.1\r\nHost: db\r\n\r")
        wait_for(lambda: db.counts("a").failed >= failed + 2)
        heard: list[str] = []

        class Heard(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                heard.append(self.rfile.readline().decode().split()[1])
                self.wfile.write(b"HTTP/1.1 204 Well\r\n\r\n")

        with service("a", db.service_port, Heard):
            assert waiting.result() == "HTTP/1.1 204 Well"
            if sent:
                wait_for(lambda: "/gone" in heard)
    assert ("/gone" in heard) is sent


# with agents


class Proxied(Farm):
    """A farm whose service any node's address leads to."""

    def __init__(self, folder: Path, store: list[str]) -> None:
        super().__init__(folder, TRIANGLE, store)
        self.proxy_port = free_ports([next(iter(self.nodes.values())).address])[0][0]
        addresses = {node.name: node.address for node in self.nodes.values()}
        listener = Listener(Proxy(self.proxy_port, "{address}", self.service_port, address="{address}"), addresses)
        self.haproxies = {
            node.name: RealHAProxy(node.folder, {"tally": listener}, node.address) for node in self.nodes.values()
        }
        (folder / "proxied.py").write_text(SERVICE)

    def tally(self, node: Node) -> dict[str, Any]:
        program = [sys.executable, "-IB", str(self.folder / "proxied.py")]
        described = super().tally(node)["tally"]
        return {
            "tally": described | {
                "command": [*program, str(node.record), node.address, str(self.service_port), node.name],
                "watch": WATCH,
                "request": ["tcp", "{address}", str(self.service_port), "probe", "pong"],
                "proxy": {"port": self.proxy_port, "to": f"{{address}}:{self.service_port}", "address": "{address}"},
            }
        }  # fmt: skip

    def told(self, node: Node) -> dict[str, Any]:
        return {"proxy": str(self.haproxies[node.name].socket)}

    def start(self) -> None:
        for haproxy in self.haproxies.values():
            haproxy.start()
        super().start()

    def end(self) -> None:
        super().end()
        for haproxy in self.haproxies.values():
            haproxy.kill()

    def ask(self, name: str) -> str:
        """Ask by this node's address; give who answers."""
        return ask(self.nodes[name].address, self.proxy_port).removeprefix("pong ")

    def asked(self, what: str, since: float) -> int:
        """Say how often servers were asked by whoever says this, from this instant on."""
        lines = [
            line.split() for node in self.nodes.values() if node.record.exists()
            for line in node.record.read_text().splitlines()
        ]  # fmt: skip
        return sum(1 for words in lines if len(words) == 3 and words[1] == what and float(words[0]) >= since)


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("farm")
    etcd = RealEtcd(folder / "etcd", folder / "authority")
    etcd.start()
    farm = Proxied(folder, list(etcd.endpoints.values()))
    try:
        etcd.wait()
        farm.configure(farm.tally)
        farm.start()
        yield farm
    finally:
        farm.end()
        etcd.stop()


def holder(farm: Proxied) -> str:
    name: str = wait_for(farm.holder, 60)
    return name


def another(farm: Proxied, *names: str) -> str:
    return next(name for name in farm.nodes if name not in names)


@contextmanager
def clients(farm: Proxied) -> Iterator[None]:
    """Have a client ask at each node's address, twenty times a second."""
    ended = threading.Event()

    def ask_on(name: str) -> None:
        while not ended.wait(0.05):
            farm.ask(name)

    with ThreadPoolExecutor() as threads:
        asking = [threads.submit(ask_on, name) for name in farm.nodes]
        try:
            yield
        finally:
            ended.set()
        for each in asking:
            each.result()


def events(farm: Proxied, event: str) -> list[dict[str, Any]]:
    """Give the events of this name that any agent told, the newest first."""
    rows = holding(farm).ask("query", text=f"where values.event = {event}")
    return [row["row"]["values"] for row in rows if "row" in row]


def holding(farm: Proxied) -> Node:
    return farm.nodes[holder(farm)]


def test_each_nodes_address_leads_to_the_server(farm: Proxied) -> None:
    server = holder(farm)
    assert {name: farm.ask(name) for name in farm.nodes} == dict.fromkeys(farm.nodes, server)
    for node in farm.nodes.values():
        wait_for(lambda node=node: node.ask("status")[0]["services"]["tally"]["proxy"] == server)


def test_a_server_that_answers_clients_is_not_asked_by_agents(farm: Proxied) -> None:
    holder(farm)
    begun = time.monotonic()
    wait_for(lambda: farm.asked("probe", begun) >= PROBES, 60)
    window = time.monotonic() - begun
    with clients(farm):
        # Each agent has to see some first.
        wait_for(lambda: farm.asked("client", begun) > 100, 60)
        since = time.monotonic()
        time.sleep(window)
        probes = farm.asked("probe", since)
    # None, unless a busy machine keeps the clients from asking for a while.
    assert probes <= PROBES / 3
    since = time.monotonic()
    wait_for(lambda: farm.asked("probe", since) >= len(farm.nodes))


def test_a_server_that_hangs_is_suspected_though_clients_spared_it(farm: Proxied) -> None:
    holder(farm)
    with clients(farm):
        before, since = len(events(farm, "holder_suspected")), time.monotonic()
        wait_for(lambda: farm.asked("client", since) > 100, 60)
        pid = events(farm, "service_started")[0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: len(events(farm, "holder_suspected")) > before)
        with suppress(ProcessLookupError):  # another one may serve already
            os.kill(pid, signal.SIGCONT)
    wait_for(lambda: {farm.ask(name) for name in farm.nodes} == {holder(farm)}, 60)


def test_the_same_address_answers_after_the_server_died(farm: Proxied) -> None:
    server = holder(farm)
    survivors = [name for name in farm.nodes if name != server]
    with ThreadPoolExecutor() as threads:
        since = time.monotonic()
        farm.nodes[server].die()
        # Connections of the time in which there is no server: each gets its answer.
        waiting = [threads.submit(farm.ask, name) for name in survivors]
        answers = {each.result() for each in waiting}
    assert len(answers) == 1
    assert answers < set(survivors)
    assert farm.holder() in answers
    assert farm.asked("client", since) == len(survivors)  # none was sent twice
    # It comes back, and its own address leads to the new one too.
    for what in ("supervise tally", "run"):
        farm.nodes[server].start(what)
    wait_for(lambda: {farm.ask(server)} == answers)


def test_whoever_was_started_anew_leads_to_the_server_again(farm: Proxied) -> None:
    server = holder(farm)
    name = another(farm, server)
    farm.haproxies[name].kill()
    farm.haproxies[name].start()
    wait_for(lambda: farm.ask(name) == server)

    # An agent that was gone while the service moved.
    node, to = farm.nodes[name], another(farm, server, name)
    node.signal("run", signal.SIGKILL)
    node.processes["run"].wait()
    wait_for(lambda: farm.nodes[to].name in farm.nodes[server].ask("status")[0]["reachable"])
    farm.nodes[server].ask("hand_over", service="tally", to=to)
    wait_for(lambda: farm.ask(to) == to, 60)
    node.start("run")
    wait_for(lambda: farm.ask(name) == to, 60)


def test_a_haproxy_that_is_gone_is_told_and_nothing_else_happens(farm: Proxied) -> None:
    server = holder(farm)
    name = another(farm, server)
    farm.haproxies[name].kill()
    said = "where values.event = proxy_{} and host = " + name
    [row] = wait_for(lambda: farm.nodes[name].ask("query", text=said.format("unreachable"))[:-1])
    assert "haproxy.sock: " in row["row"]["values"]["text"]
    farm.haproxies[name].start()
    wait_for(lambda: farm.nodes[name].ask("query", text=said.format("reached"))[:-1])
    assert wait_for(lambda: farm.ask(name)) == holder(farm)
