# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a host: its services and files, what a command says, and what a service's own check script does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, shown
from ..target.host_probes import command_line, unit, words
from ..target.probe import timeout
from ..values import choice, file_path, flag, whole
from .check import Asked
from .said import Said

if TYPE_CHECKING:
    from .check import Answer, Context, Scope
    from .reader import Reader

_PATIENCE_S = 10.0
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_STATES = ("ok", "warning", "critical")
"""What the exit codes of check scripts mean, from 0 on; every other one means that it isn't known."""


@dataclass(frozen=True)
class Command(Asked):
    """A command on a node: its exit code, and what it says."""

    name = "command"
    allowed = ("node", "argv", "rc", *Said.KEYS, "timeout")
    source: str
    argv: tuple[str, ...]
    rc: int
    said: Said
    timeout: float = _PATIENCE_S

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Command | None:
        source, argv = entry.need("node", scope.places.node), entry.need("argv", command_line)
        rc, said = entry.take("rc", whole(0, 255), 0), Said.read(entry)
        patience = entry.take("timeout", timeout, _PATIENCE_S)
        return cls(source, tuple(argv), rc, said, patience) if source and argv else None

    def asserts(self) -> str:
        ends = f" ends with {self.rc}" if self.rc else ""
        says = f" says what {self.said}" if str(self.said) else ""
        what = f"{ends}{' and' if ends and says else ''}{says}" or " succeeds"
        return f"{shown(' '.join(self.argv))} on {self.source}{what}"

    def parameters(self) -> dict[str, Any]:
        return {"argv": list(self.argv), "timeout": self.timeout}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        if "rc" not in answer.value:
            return ["it is not known"]
        found = answer.value["rc"]
        ended = [] if found == self.rc else [f"exit code {found}, expected {self.rc}"]
        return ended + self.said.faults(answer.value["output"])


@dataclass(frozen=True)
class Script(Asked):
    """A service's own check script: it is well if it exits with 0, or as far as `worst` with 1 or 2."""

    name = "check"
    allowed = ("node", "script", "args", "worst", "timeout")
    source: str
    script: str
    args: tuple[str, ...] = ()
    worst: str = "ok"
    timeout: float = _PATIENCE_S

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Script | None:
        source, script = entry.need("node", scope.places.node), entry.need("script", file_path)
        args, worst = entry.maybe("args", words), entry.take("worst", choice(_STATES, "state of a service"), "ok")
        patience = entry.take("timeout", timeout, _PATIENCE_S)
        return cls(source, script, tuple(args or ()), worst, patience) if source and script else None

    def asserts(self) -> str:
        return f"{shown(self.script)} says that {self.source} is {' or '.join(self._well)}"

    @property
    def _well(self) -> tuple[str, ...]:
        return _STATES[: _STATES.index(self.worst) + 1]

    def parameters(self) -> dict[str, Any]:
        return {"type": "command", "argv": [self.script, *self.args], "timeout": self.timeout}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        code = answer.value.get("rc")
        state = _STATES[code] if isinstance(code, int) and 0 <= code < len(_STATES) else "unknown"
        return [] if state in self._well else [f"{state}, expected {' or '.join(self._well)}"]


@dataclass(frozen=True)
class Service(Asked):
    """A systemd unit of a node: active, or not. It has to be there in either case."""

    name = "service"
    allowed = ("node", "unit", "active")
    source: str
    unit: str
    active: bool = True

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Service | None:
        source, name = entry.need("node", scope.places.node), entry.need("unit", unit)
        active = entry.take("active", flag, True)
        return cls(source, name, active) if source and name else None

    def asserts(self) -> str:
        return f"{self.unit} on {self.source} is {'active' if self.active else 'not active'}"

    def parameters(self) -> dict[str, Any]:
        return {"unit": self.unit}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        if not answer.value.get("loaded"):
            return ["it is not known"]
        return [] if answer.ok == self.active else [f"expected {'active' if self.active else 'not active'}"]


@dataclass(frozen=True)
class File(Asked):
    """The checksum of a node's file: the given one, or (None) that which it had before the faults."""

    name = "file"
    allowed = ("node", "path", "sha256", "same_as")
    source: str
    path: str
    sha256: str | None

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> File | None:
        source, path = entry.need("node", scope.places.node), entry.need("path", file_path)
        digest = entry.maybe("sha256", _digest)
        if entry.has("sha256") == (entry.maybe("same_as", choice(("before",), "phase to compare with")) is not None):
            entry.problem("", "has to have either sha256 or same_as: before")
        if entry.has("same_as") and scope.phase == "before":
            entry.problem("same_as", "compares with the phase before: use another phase")
        return cls(source, path, digest) if source and path else None

    @property
    def compares(self) -> bool:
        return self.sha256 is None

    def asserts(self) -> str:
        what = f"has the SHA-256 {self.sha256[:12]}..." if self.sha256 else "is as before"
        return f"{shown(self.path)} on {self.source} {what}"

    def parameters(self) -> dict[str, Any]:
        return {"path": self.path}

    def faults(self, answer: Answer, context: Context) -> list[str]:
        wanted = self.sha256 or (context.before or {}).get("sha256")
        if wanted is None:
            return ["what it was before is not known"]
        if not answer.ok:
            return ["it could not be read"]
        return [] if answer.value["sha256"] == wanted else [f"expected the SHA-256 {wanted}"]


def _digest(value: object) -> str:
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return value.lower()
    raise BadValue(f"{shown(value)} is not a SHA-256, which is 64 hexadecimal digits")
