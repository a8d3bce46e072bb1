# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real SSH server on loopback, for peers that are reached by SSH."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import paramiko

if TYPE_CHECKING:
    from collections.abc import Callable

Users = dict[str, str | paramiko.PKey]


class SshServer:
    """Lets `users` in, each with a password or a key, and calls `serve` with the channel of each login.

    A login asks for a shell, or for the `subsystem` if the server has one. While `listens` says no, nobody gets in.
    """

    def __init__(
        self,
        users: Users,
        serve: Callable[[paramiko.Channel], None],
        subsystem: str | None = None,
        listens: Callable[[], bool] = lambda: True,
    ) -> None:
        self._users = users
        self._serve = serve
        self._subsystem = subsystem
        self._listens = listens
        self._connections: set[paramiko.Transport] = set()
        self._key = paramiko.ECDSAKey.generate()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def known_host(self) -> str:
        """Give the line of a `known_hosts` file."""
        return f"[127.0.0.1]:{self.port} {self._key.get_name()} {self._key.get_base64()}\n"

    def hang_up(self) -> None:
        """End all connections."""
        for transport in list(self._connections):
            transport.close()

    def stop(self) -> None:
        """End all connections, and listen no more."""
        with suppress(OSError):
            # Closing alone doesn't wake the thread that waits for connections.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            if self._listens():
                threading.Thread(target=self._greet, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def _greet(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        self._connections.add(transport)
        transport.add_server_key(self._key)
        door = _Door(self._users, self._subsystem)
        try:
            transport.start_server(server=door)
            channel = transport.accept(20)
            if channel and door.entered.wait(20):
                self._serve(channel)
        except (paramiko.SSHException, EOFError, OSError):
            pass
        finally:
            transport.close()
            self._connections.discard(transport)


class _Door(paramiko.ServerInterface):
    def __init__(self, users: Users, subsystem: str | None) -> None:
        self._users = users
        self._subsystem = subsystem
        self.entered = threading.Event()

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        return self._outcome(isinstance(self._users.get(username), str) and self._users[username] == password)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._outcome(isinstance(self._users.get(username), paramiko.PKey) and self._users[username] == key)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_pty_request(self, channel: Any, *_terminal: Any) -> bool:
        return True

    def check_channel_shell_request(self, channel: Any) -> bool:
        return self._enter(self._subsystem is None)

    def check_channel_subsystem_request(self, channel: Any, name: str) -> bool:
        return self._enter(self._subsystem == name)

    def _enter(self, welcome: bool) -> bool:
        if welcome:
            self.entered.set()
        return welcome

    def _outcome(self, good: bool) -> int:
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED
