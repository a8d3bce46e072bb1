# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HAProxy with the settings that the role writes, and a client of it."""

from __future__ import annotations

import socket
import subprocess
import time
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy import settings
from ansible_collections.okiagari.testbed.tests.contract.debian_program import debian_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy import Listener

CLIENT_S = 60.0
"""After so long a client gives up."""


class RealHAProxy:
    """HAProxy of the host that has this address, in `folder`."""

    def __init__(self, folder: Path, listeners: Mapping[str, Listener], address: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.socket, self._file, self._log = folder / "haproxy.sock", folder / "haproxy.cfg", folder / "haproxy.log"
        self._file.write_text(settings(str(self.socket), listeners, address))
        self._program = debian_program("haproxy", "haproxy")
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> str:
        """Give what it says of its settings: nothing where all is well."""
        argv = [*self._program, "-c", "-q", "-f", str(self._file)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr + (f"exit status {done.returncode}" if done.returncode else "")

    def start(self) -> None:
        """Start it, and wait until it can be asked."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*self._program, "-db", "-f", str(self._file)], stdout=log, stderr=log)
        end = time.monotonic() + 30
        while True:
            try:
                self.tell("show info")
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < end, self._log.read_text()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def tell(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(f"{command}\n".encode())
            with connection.makefile() as file:
                return file.read()


class Session:
    """A client's connection, on which it says lines."""

    def __init__(self, address: str, port: int) -> None:
        self._connection = socket.create_connection((address, port), CLIENT_S)
        self._file = self._connection.makefile("rwb", 0)

    def ask(self, line: str) -> str:
        """Say a line, and give the answer; nothing where the connection is at its end."""
        try:
            self._file.write(f"{line}\n".encode())
            return self.hear()
        except OSError:
            return ""

    def hear(self) -> str:
        try:
            return self._file.readline().decode().strip()
        except OSError:
            return ""

    def end(self) -> None:
        self._file.close()
        self._connection.close()


def ask(address: str, port: int, line: str = "client") -> str:
    """Ask on a connection of its own."""
    session = Session(address, port)
    try:
        return session.ask(line)
    finally:
        session.end()
