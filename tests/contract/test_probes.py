# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to real peers on the loopback: listeners, a web server, a name server, files and commands."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.target import probes
from ansible_collections.okiagari.testbed.plugins.module_utils.target.execute import execute
from ansible_collections.okiagari.testbed.plugins.module_utils.target.probe import TEXT_BYTES
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.target.simulated_dns import answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ask(kind: str, **parameters: Any) -> dict[str, Any]:
    return probes.ask(SubprocessRunner(), {"id": "p", "type": kind, **parameters})


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_tcp(silent: socket.socket) -> None:
    port = silent.getsockname()[1]
    found = ask("tcp", to="127.0.0.1", port=port)
    assert (found["ok"], found["value"]["connected"]) == (True, True)
    silent.close()
    found = ask("tcp", to="127.0.0.1", port=port)
    assert (found["ok"], found["detail"]) == (False, "not connected: Connection refused")
    assert found["value"] == {"connected": False, "ms": None}


class Pages(BaseHTTPRequestHandler):
    """A small web server."""

    def do_GET(self) -> None:
        status, body = {
            "/well?deep=1": (200, b"all is well"),
            "/long": (200, b"x" * (TEXT_BYTES + 1)),
            "/away": (302, b"elsewhere"),
        }.get(self.path, (404, b"gone"))
        self.send_response(status)
        self.send_header("Location", "/well?deep=1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        return None


@pytest.fixture
def site() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/well?deep=1", 200, "all is well"), ("/away", 302, "elsewhere"), ("", 404, "gone"), ("/long", 200, None)],
)
def test_http(site: str, path: str, status: int, body: str | None) -> None:
    found = ask("http", url=site + path)
    assert (found["ok"], found["value"]["status"]) == (True, status)
    assert found["value"]["body"] == (body or "x" * TEXT_BYTES)


def test_a_server_that_says_nothing(silent: socket.socket) -> None:
    found = ask("http", url=f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.05)
    assert (found["ok"], found["detail"]) == (False, "no answer: timed out")


@pytest.mark.parametrize("begins", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n", b""])
def test_a_server_that_never_comes_to_an_end(silent: socket.socket, begins: bytes) -> None:
    def speak() -> None:
        with silent.accept()[0] as client, suppress(OSError):
            client.sendall(begins)
            while True:
                client.sendall(b"x")
                time.sleep(0.02)

    threading.Thread(target=speak, daemon=True).start()
    found = ask("http", url=f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.3)
    assert (found["ok"], found["value"]) == (False, {"status": None, "ms": None})


def test_a_server_that_speaks_something_else(silent: socket.socket) -> None:
    def speak() -> None:
        with silent.accept()[0] as client:
            client.recv(1000)
            client.sendall(b"SSH-2.0-OpenSSH\r\n")

    threading.Thread(target=speak, daemon=True).start()
    found = ask("http", url=f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert (found["ok"], found["detail"]) == (False, "what came is not HTTP: SSH-2.0-OpenSSH")


@pytest.mark.parametrize(
    ("addresses", "code", "ok", "said"),
    [([b"\xc0\0\2\1"], 0, True, ["192.0.2.1"]), ([], 3, False, [])],
)
def test_dns(addresses: list[bytes], code: int, ok: bool, said: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            asked, client = server.recvfrom(1000)
            server.sendto(b"something else", client)
            server.sendto(answer(asked, addresses, code), client)

        threading.Thread(target=serve, daemon=True).start()
        found = ask("dns", server="127.0.0.1", port=server.getsockname()[1], name="www.example.org")
    assert (found["ok"], found["value"]["answers"]) == (ok, said), found


def test_a_name_server_that_is_silent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        found = ask("dns", server="127.0.0.1", port=server.getsockname()[1], name="a", timeout=0.05)
    assert (found["ok"], found["detail"]) == (False, "no answer: timed out")


def test_commands() -> None:
    found = ask("command", argv=["sh", "-c", "echo one; echo two >&2; exit 3"])
    assert (found["ok"], found["value"]) == (False, {"rc": 3, "output": "one\ntwo\n"})
    assert found["detail"] == "exit code 3: one"
    assert ask("command", argv=["/nonexistent"])["value"]["rc"] == 127
    assert ask("command", argv=["true"])["ok"]


def test_only_the_beginning_of_much_output_is_kept() -> None:
    done = execute(["sh", "-c", "head -c 5000000 /dev/zero; exit 4"], 20, 100)
    assert (done.rc, len(done.out), done.err) == (4, 100, "")


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    done = execute(["sh", "-c", f"sleep 1000 & echo $! > {child}; wait"], 0.5, 100)
    assert (done.rc, done.err) == (124, "sh: not done within 0.5 s")
    assert gone(int(child.read_text()))


def test_what_a_command_leaves_running_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    child = tmp_path / "child"
    done = execute(["sh", "-c", f"sleep 1000 & echo $! > {child}; echo well"], 20, 100)
    assert (done.rc, done.out) == (0, "well\n")
    assert gone(int(child.read_text()))


def gone(process: int) -> bool:
    """Wait until a process that was killed is no more than a name."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
        if not state.stdout.strip() or state.stdout.startswith("Z"):
            return True
    return False


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"abc" * 1000000)
    found = ask("file", path=str(path))
    assert found["value"] == {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": 3000000}
    assert ask("file", path=str(tmp_path / "none"))["detail"] == "there is no such file"
    os.mkfifo(tmp_path / "pipe")
    assert ask("file", path=str(tmp_path / "pipe"))["detail"] == "it is not an ordinary file"
    assert "could not be run" in ask("file", path=str(tmp_path))["detail"]


def test_throughput_between_two_ends(silent: socket.socket) -> None:
    port = silent.getsockname()[1]
    silent.close()
    ways = {"from": "127.0.0.1", "to": "127.0.0.1", "port": port, "seconds": 0.3}
    ends = [
        {"id": "p", "type": "throughput", **ways},
        {"id": "q", "type": "sink", "local": "127.0.0.1", "peer": "127.0.0.1", "port": port, "seconds": 0.3},
    ]
    sent, arrived = probes.ask_all(SubprocessRunner(), ends)
    assert (sent["ok"], arrived["ok"]) == (True, True), (sent, arrived)
    assert 8 * arrived["value"]["bytes"] > sent["value"]["bits_per_s"] * 0.3 > 0


def test_throughput_to_an_end_that_is_gone(silent: socket.socket) -> None:
    def leave() -> None:
        silent.accept()[0].close()

    threading.Thread(target=leave, daemon=True).start()
    port = silent.getsockname()[1]
    found = ask("throughput", to="127.0.0.1", port=port, seconds=1.0, **{"from": "127.0.0.1"})
    assert (found["ok"], found["value"]) == (False, {"bits_per_s": None})
    assert found["detail"].startswith("the stream broke off: ")
