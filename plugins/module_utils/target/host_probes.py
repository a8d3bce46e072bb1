# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host is: its files, its services, and what its own programs say of it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError, shown
from ..runner import output
from ..values import file_path, items
from .execute import execute
from .probe import LONGEST_S, TEXT_BYTES, Type, timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .probe import Result

_PATIENCE_S = 10.0
_CHUNK = 1 << 20
_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.@-]{0,199}")
_MOST_WORDS, _LONGEST_WORD = 100, 4096


def words(value: object) -> list[str]:
    """Give a command as a list of words; raise `BadValue` for what no program can be started with."""
    found = list(items(value))
    if not all(isinstance(word, str) and "\0" not in word and len(word) <= _LONGEST_WORD for word in found):
        raise BadValue("is not a list of texts")
    if len(found) > _MOST_WORDS:
        raise BadValue(f"has more than {_MOST_WORDS} words")
    return found


def command_line(value: object) -> list[str]:
    """Give a command as the words of its line; the first one is the program."""
    found = words(value)
    if not found or not found[0].strip():
        raise BadValue("is not a command such as [systemctl, is-system-running]")
    return found


def unit(value: object) -> str:
    """Give the name of a systemd unit."""
    if isinstance(value, str) and _UNIT.fullmatch(value):
        return value
    raise BadValue(f"{shown(value)} is not the name of a unit such as nginx.service")


def command(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{argv, timeout}`: ok if it exits with 0. `rc`, and `output`: the beginning of what it says."""
    done = execute(probe["argv"], probe.get("timeout", _PATIENCE_S), TEXT_BYTES)
    if done.err:
        return False, {"rc": done.rc, "output": done.out}, done.err
    first = next((line.strip() for line in done.out.splitlines() if line.strip()), "it says nothing")
    return done.rc == 0, {"rc": done.rc, "output": done.out}, f"exit code {done.rc}: {shown(first)}"


def file(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{path}`: ok if it is an ordinary file that could be read. `sha256` and `bytes`; without them it isn't there."""
    until = time.monotonic() + LONGEST_S
    try:
        # Whoever opens a pipe would wait for its other end.
        descriptor = os.open(probe["path"], os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return False, {}, "there is no such file"
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False, {}, "it is not an ordinary file"
        digest, size = hashlib.sha256(), 0
        while chunk := opened.read(_CHUNK):
            if time.monotonic() > until:
                raise OkiagariError(f"it could not be read within {LONGEST_S:g} s")
            digest.update(chunk)
            size += len(chunk)
    found = digest.hexdigest()
    return True, {"sha256": found, "bytes": size}, f"{size} bytes, SHA-256 {found}"


def service(runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{unit}`: ok if it is active. `loaded`: whether there is one; `active` and `state`: as systemd says."""
    name = probe["unit"]
    shown_as = output(runner, ("systemctl", "show", "--property=LoadState,ActiveState,SubState", "--", name))
    said = dict(line.partition("=")[::2] for line in shown_as.splitlines())
    active, sub = said.get("ActiveState", "unknown"), said.get("SubState", "unknown")
    value = {"loaded": said.get("LoadState") == "loaded", "active": active, "state": sub}
    if not value["loaded"]:
        return False, value, f"systemd knows no unit {name}"
    return active == "active", value, f"{name} is {active} ({sub})"


TYPES = {
    "command": Type(command, {"argv": command_line, "timeout": timeout}, optional=("timeout",)),
    "file": Type(file, {"path": file_path}),
    "service": Type(service, {"unit": unit}),
}
