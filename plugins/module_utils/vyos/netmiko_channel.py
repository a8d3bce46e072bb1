# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VyOS router's command line over SSH, by netmiko."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .session import ChannelLost, VyosError

_CONNECT_S = 20.0
_SSH_PORT = 22
_FIRST_PROMPT = r"[^\s@]+@[^\r\n]*[$#] ?(?:\x1b\[[0-?]*[@-~])*$"
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>]|\x07")


@dataclass(frozen=True)
class Login:
    """How to reach a router. The host's key must be in `known_hosts`, the user's own file by default.

    `proxy_command` is as that of OpenSSH, with `%h` and `%p`; of the file `ssh_config` host name, port and proxy count.
    """

    host: str
    user: str
    port: int = 22
    password: str | None = None
    key_file: str | None = None
    known_hosts: str | None = None
    ssh_config: str | None = None
    proxy_command: str | None = None


class NetmikoChannel:
    """A `Channel` over a login of its own. `device_type` is what netmiko calls the router's command line."""

    device_type = "vyos"

    def __init__(self, login: Login) -> None:
        """Log in; raise `ChannelLost` if the router doesn't answer, and `VyosError` if it or we refuse."""
        self._name = login.host
        self._proxy: subprocess.Popen[bytes] | None = None
        try:
            self._connection = self._connect(_resolved(login))
        except VyosError:
            self._end_proxy()
            raise
        # `user@host`; a shell may wrap its prompt in escape sequences.
        self._base = re.escape(_ESCAPE.sub("", self._connection.base_prompt))
        self._prompt = rf"(?:^|[\r\n])[^\r\n]*{self._base}[^\r\n]*[$#] ?(?:\x1b\[[0-?]*[@-~])*$"

    def send(self, line: str, timeout: float = 30.0, question: re.Pattern[str] | None = None) -> str:
        from netmiko.exceptions import NetmikoBaseException, ReadTimeout
        from paramiko.ssh_exception import SSHException

        expected = f"(?:{self._prompt}|{question.pattern})" if question else self._prompt
        try:
            said = self._connection.send_command(
                line, expect_string=expected, read_timeout=timeout, strip_prompt=False, strip_command=False
            )
        except ReadTimeout as error:
            raise ChannelLost(
                f"{self._name} gave no answer to {line.split(maxsplit=1)[0]} within {timeout:g} s"
            ) from error
        except (NetmikoBaseException, SSHException, EOFError, OSError) as error:
            raise ChannelLost(f"the connection to {self._name} broke at {line.split(maxsplit=1)[0]}") from error
        return self._answer(line, str(said))

    def close(self) -> None:
        # netmiko's own way out first asks for the mode, and would wait for a dead router.
        # One that has left already gets no farewell, at which paramiko fails.
        with suppress(EOFError, OSError):
            self._connection.paramiko_cleanup()
        self._end_proxy()

    def _connect(self, login: Login) -> Any:
        paramiko = _library("paramiko")
        netmiko = _library("netmiko")
        if login.known_hosts and not Path(login.known_hosts).expanduser().is_file():
            raise VyosError(f"there is no file {login.known_hosts} with known host keys")
        try:
            kind = self._connection_class()
            return kind(device_type=self.device_type, **_options(login), sock=self._start_proxy(login))
        except netmiko.NetmikoAuthenticationException as error:
            raise VyosError(f"{login.host} refuses the login of {login.user}") from error
        except (netmiko.NetmikoTimeoutException, netmiko.NetmikoBaseException, paramiko.SSHException) as error:
            raise _unreachable(login, str(error)) from error
        except (OSError, EOFError) as error:
            raise ChannelLost(f"{login.host}: {error}") from error

    def _connection_class(self) -> Any:
        return _vyos_connection()

    def _start_proxy(self, login: Login) -> socket.socket | None:
        """paramiko's own way doesn't notice when the command ends; a socket does."""
        if not login.proxy_command:
            return None
        filled = login.proxy_command.replace("%h", shlex.quote(login.host)).replace("%p", str(login.port))
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._proxy = subprocess.Popen(
                    shlex.split(filled),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        return ours

    def _end_proxy(self) -> None:
        if self._proxy is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._proxy.pid, signal.SIGKILL)
            self._proxy.wait()

    def _answer(self, line: str, said: str) -> str:
        lines = [each.rstrip() for each in _ESCAPE.sub("", said).replace("\r", "").split("\n")]
        if lines and lines[0].endswith(line.strip()):
            lines = lines[1:]
        if lines and re.match(rf"{self._base}.*[$#]$", lines[-1]):
            lines.pop()
            if lines and re.fullmatch(r"\[edit.*\]", lines[-1]):
                lines.pop()
        return "\n".join(lines).strip("\n")


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise VyosError("the Python library netmiko is needed on the controller to reach routers") from error


def _resolved(login: Login) -> Login:
    """Take from `ssh_config` what it says about the router."""
    if not login.ssh_config:
        return login
    path = Path(login.ssh_config).expanduser()
    if not path.is_file():
        raise VyosError(f"there is no file {login.ssh_config}")
    # The first word about something counts: a port that was asked for goes before the file's.
    asked = f"Host *\n  Port {login.port}\n" if login.port != _SSH_PORT else ""
    config = _library("paramiko").SSHConfig.from_text(asked + path.read_text()).lookup(login.host)
    host = config.get("hostname", login.host)
    port = int(config.get("port", login.port))
    proxy = config.get("proxycommand")
    if not proxy and "proxyjump" in config:
        proxy = f"ssh -F {shlex.quote(str(path))} -W %h:%p {shlex.quote(config['proxyjump'])}"
    return replace(login, host=host, port=port, proxy_command=proxy)


def _vyos_connection() -> Any:
    from netmiko.vyos import VyOSSSH

    class Connection(VyOSSSH):
        """netmiko's, which waits for a prompt rather than for two seconds of silence."""

        def session_preparation(self) -> None:
            self.ansi_escape_codes = True
            self._test_channel_read(pattern=_FIRST_PROMPT)
            self.set_base_prompt()
            self.set_terminal_width(command="set terminal width 512", pattern="terminal")
            self.disable_paging(command="set terminal length 0")
            self.clear_buffer()

    return Connection


def _options(login: Login) -> dict[str, Any]:
    return {
        "host": login.host,
        "port": login.port,
        "username": login.user,
        "password": login.password,
        "ssh_strict": True,
        "system_host_keys": not login.known_hosts,
        "alt_host_keys": bool(login.known_hosts),
        "alt_key_file": str(Path(login.known_hosts).expanduser()) if login.known_hosts else "",
        "use_keys": bool(login.key_file) or login.password is None,
        "allow_agent": not login.key_file and login.password is None,
        "key_file": login.key_file,
        "conn_timeout": _CONNECT_S,
        "auth_timeout": _CONNECT_S,
        "banner_timeout": _CONNECT_S,
    }


def _unreachable(login: Login, said: str) -> VyosError:
    if "not found in known_hosts" in said:
        where = login.known_hosts or "~/.ssh/known_hosts"
        return VyosError(f"the host key of {login.host} isn't in {where}; put it there after you have checked it")
    if "does not match" in said:
        return VyosError(f"the host key of {login.host} is not the one that is known: this may be another machine")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return ChannelLost(f"{login.host} can't be reached: {lines[0] if lines else 'no answer'}")
