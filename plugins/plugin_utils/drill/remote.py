# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine reaches a target: OpenSSH's own client over one kept connection, or a process on this machine."""

from __future__ import annotations

import json
import os
import select
import shlex
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...module_utils import proxy
from ...module_utils.drill.statistics import Clock
from ...module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DIRECTORY = "/run/okiagari"
_ABSENT = 90
_SSH_FAILED = 255
_CLOCK_SAMPLES = 8
_CLOCK_PATIENCE_S = 10.0
_DEVICE_PATIENCE_S = 60.0
_MAKER = proxy.__name__

Answer = dict[str, Any]


class UnreachableError(OkiagariError):
    """The target gave no answer: nothing is known about what it did."""


class RefusedError(OkiagariError):
    """The target program answered, and said why it didn't do what it was asked."""


class Remote(Protocol):
    """One target. Several threads may call it at once: none of them waits for another's answer."""

    name: str

    def call(self, command: str, payload: Mapping[str, Any] | None = None, timeout: float = 20.0) -> Answer:
        """Run a command of the target program. Raises `UnreachableError` or `RefusedError`."""

    def clock(self) -> Clock:
        """Measure the target's clock against that of this machine. Raises `UnreachableError`."""

    def close(self) -> None:
        """Let go of the target; it is not an error if it is gone."""


@dataclass(frozen=True)
class Program:
    """The target program: its bytes, its file name, and where it is put."""

    content: bytes
    name: str
    directory: str = DIRECTORY

    @property
    def path(self) -> str:
        return f"{self.directory}/{self.name}"


class ShellRemote(ABC):
    """A target with a shell. The program is shipped when a call finds it absent."""

    def __init__(self, name: str, variables: Mapping[str, Any], program: Program) -> None:
        self.name = name
        interpreter = str(variables.get("ansible_python_interpreter") or "auto")
        self._python = "/usr/bin/env python3" if interpreter.startswith("auto") else shlex.quote(interpreter)
        self._root = bool(variables.get("ansible_become")) and variables.get("ansible_user") != "root"
        self._program = program
        self._about = ""
        self._running: set[subprocess.Popen[bytes]] = set()

    @abstractmethod
    def _argv(self, script: str) -> list[str]:
        """Give the command that runs a shell script on the target."""

    def call(self, command: str, payload: Mapping[str, Any] | None = None, timeout: float = 20.0) -> Answer:
        run = f"{self._python} -I -S -B {shlex.quote(self._program.path)} {self._about}{command}"
        script = f"[ -r {shlex.quote(self._program.path)} ] || exit {_ABSENT}; exec {run}"
        body = json.dumps(dict(payload or {})).encode()
        code, out, err = self._run(script, body, timeout)
        if code == _ABSENT:
            self._ship(timeout)
            code, out, err = self._run(script, body, timeout)
        return self._read(command, code, out, err)

    def clock(self) -> Clock:
        # One session for all samples: the time it takes to begin one would be the uncertainty else.
        argv = self._argv("while read -r _; do date +%s.%N; done")
        with _talk(argv) as process:
            self._running.add(process)
            try:
                samples = [self._sample(process) for _sample in range(_CLOCK_SAMPLES)]
            finally:
                process.kill()
                self._running.discard(process)
        return min(samples, key=lambda clock: clock.uncertainty)

    def _sample(self, process: subprocess.Popen[bytes]) -> Clock:
        before, start = time.time(), time.monotonic()
        line = _ask(process)
        uncertainty = (time.monotonic() - start) / 2
        try:
            return Clock(float(line) - before - uncertainty, uncertainty)
        except ValueError:
            raise UnreachableError(f"{self.name}: the target doesn't tell its time") from None

    def close(self) -> None:
        """End the calls that are still under way."""
        for process in tuple(self._running):
            process.kill()

    def _ship(self, timeout: float) -> None:
        path, directory = shlex.quote(self._program.path), shlex.quote(self._program.directory)
        # The size is compared, because a connection that breaks ends the file early and in good order.
        script = (
            f"umask 077; mkdir -p {directory} && new=$(mktemp {directory}/.okiagari-XXXXXX) && "
            f'{{ cat >"$new" && [ "$(wc -c <"$new")" -eq {len(self._program.content)} ] && mv "$new" {path} '
            '|| { rm -f "$new"; exit 1; }; }'
        )
        code, _out, err = self._run(script, self._program.content, timeout)
        if code:
            raise UnreachableError(
                f"{self.name}: the target program could not be put there: {_last_line(err) or f'exit {code}'}"
            )

    def _run(self, script: str, body: bytes, timeout: float) -> tuple[int, str, str]:
        argv = self._argv(f"sudo -n -- sh -c {shlex.quote(script)}" if self._root else script)
        # A kept ssh connection may hold on to stderr after the command has ended, so that a pipe would never end.
        with tempfile.TemporaryFile() as err:
            try:
                with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err) as process:
                    out = self._converse(process, body, timeout)
            except OSError as error:
                raise UnreachableError(f"{self.name}: {argv[0]}: {error.strerror}") from error
            err.seek(0)
            return process.returncode, out.decode(errors="replace"), err.read().decode(errors="replace")

    def _converse(self, process: subprocess.Popen[bytes], body: bytes, timeout: float) -> bytes:
        self._running.add(process)
        try:
            return process.communicate(body, timeout)[0]
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"{self.name}: no answer within {timeout:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
            self._running.discard(process)

    def _read(self, command: str, code: int, out: str, err: str) -> Answer:
        try:
            answer = json.loads(out)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            said = _last_line(err) or _last_line(out) or "nothing"
            raise UnreachableError(f"{self.name}: {command} ended with {code} and said: {said}")
        if code or set(answer) == {"error"}:
            raise RefusedError(f"{self.name}: {answer.get('error', f'{command} ended with {code}')}")
        return answer


class LocalRemote(ShellRemote):
    """This machine itself (`ansible_connection: local`)."""

    def _argv(self, script: str) -> list[str]:
        return ["/bin/sh", "-c", script]


class LabRemote(LocalRemote):
    """The power of a lab's nodes, on this machine."""

    def __init__(self, name: str, variables: Mapping[str, Any], program: Program) -> None:
        super().__init__(name, variables, program)
        self._lab = Path(str(variables["okiagari_lab"]))
        self._about = f"--lab {shlex.quote(str(self._lab))} "

    def _ship(self, timeout: float) -> None:
        # A lab's directory is the lab: without one nothing may be made there.
        if not self._lab.is_dir():
            raise UnreachableError(f"{self.name}: there is no lab in {self._lab}: run playbooks/lab_up.yml")
        super()._ship(timeout)


class DeviceRemote(LocalRemote):
    """A device, whose program runs on this machine with this very Python and collection.

    `device` says how it is reached, `watched` which of its state entries a snapshot holds.
    """

    def __init__(self, name: str, device: Mapping[str, Any], watched: Sequence[str]) -> None:
        super().__init__(name, {}, Program(b"", ""))
        self._document: dict[str, Any] = {"device": dict(device), "watched": list(watched)}

    def call(self, command: str, payload: Mapping[str, Any] | None = None, timeout: float = 20.0) -> Answer:
        path = os.pathsep.join(filter(None, sys.path))
        script = f"PYTHONPATH={shlex.quote(path)} exec {shlex.quote(sys.executable)} -B -m {_MAKER} {command}"
        body = json.dumps({**self._document, "request": dict(payload or {})}).encode()
        # To break off a login or a change in the middle helps nobody.
        return self._read(command, *self._run(script, body, max(timeout, _DEVICE_PATIENCE_S)))


class SshRemote(ShellRemote):
    """A target behind OpenSSH. `socket` is the path of the kept connection: short, and in a private directory."""

    def __init__(self, name: str, variables: Mapping[str, Any], program: Program, socket: Path) -> None:
        super().__init__(name, variables, program)
        self._ssh = ["ssh", *_options(variables, socket)]
        self._host = str(variables.get("ansible_host") or name)

    def _argv(self, script: str) -> list[str]:
        return [*self._ssh, "--", self._host, script]

    def close(self) -> None:
        super().close()
        argv = [*self._ssh, "-O", "exit", "--", self._host]
        try:
            subprocess.run(argv, capture_output=True, timeout=5.0, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return


def connect(name: str, variables: Mapping[str, Any], program: Program, directory: Path, number: int) -> ShellRemote:
    """Make the remote of a target from its inventory variables. Nothing is contacted yet.

    Raises `OkiagariError` for a connection plugin that the engine can't stand in for.
    """
    place = str(variables.get("okiagari_directory") or DIRECTORY)
    program = Program(program.content, program.name, place)
    if variables.get("okiagari_lab"):
        return LabRemote(name, variables, program)
    plugin = str(variables.get("ansible_connection") or "ssh").rpartition(".")[2]
    if plugin == "local":
        return LocalRemote(name, variables, program)
    if plugin not in ("ssh", "smart"):
        raise OkiagariError(
            f"{name}: a drill reaches its targets by ssh or local, not by the connection {plugin}; "
            "a device needs the variable okiagari_device"
        )
    return SshRemote(name, variables, program, directory / str(number))


def _options(variables: Mapping[str, Any], socket: Path) -> list[str]:
    options = [
        "-o", "BatchMode=yes",
        "-o", "ConnectTimeout=10",
        "-o", "ControlMaster=auto",
        "-o", f"ControlPath={socket}",
        "-o", "ControlPersist=60",
        "-o", "ServerAliveInterval=3",
        "-o", "ServerAliveCountMax=3",
        "-T",
    ]  # fmt: skip
    for flag, key in (("-p", "ansible_port"), ("-l", "ansible_user"), ("-i", "ansible_ssh_private_key_file")):
        if variables.get(key):
            options += [flag, str(variables[key])]
    for key in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        options += shlex.split(str(variables.get(key) or ""))
    return options


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _talk(argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)


def _ask(process: subprocess.Popen[bytes]) -> bytes:
    """Give the line that answers an empty one; what is there of it if the process ends or takes too long."""
    if process.stdin is None or process.stdout is None:
        return b""
    line, deadline = b"", time.monotonic() + _CLOCK_PATIENCE_S
    try:
        process.stdin.write(b"\n")
    except OSError:
        return b""
    while (
        not line.endswith(b"\n") and select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]
    ):
        chunk = process.stdout.read(64)
        if not chunk:
            break
        line += chunk
    return line
