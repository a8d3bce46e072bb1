# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power button of a running node, by its provider: the node is asked to shut down in order."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_PATIENCE_S = 5
_MCONSOLE_MAGIC = 0xCAFEBABE
_MCONSOLE_VERSION = 2
_MCONSOLE_DATA = 512


def press(provider: str, directory: Path) -> None:
    """Press the button of the node in `directory`. Raises `OkiagariError` when it can't be asked."""
    if provider not in BUTTONS:
        raise OkiagariError(f"{directory.name} can't be asked to shut down (provider '{provider}'): use state=killed")
    try:
        BUTTONS[provider](directory)
    except OSError as error:
        raise OkiagariError(f"{directory.name} can't be asked to shut down ({error}): use state=killed") from error


def _uml(directory: Path) -> None:
    """Press Ctrl-Alt-Del through the management console; the image maps it to an orderly power-off."""
    command = b"cad"
    request = struct.pack("=III", _MCONSOLE_MAGIC, _MCONSOLE_VERSION, len(command)) + command.ljust(
        _MCONSOLE_DATA, b"\0"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as console:
        console.settimeout(_PATIENCE_S)
        console.connect(str(directory / directory.name / "mconsole"))
        console.send(request)


def _qemu(directory: Path) -> None:
    """Press the ACPI power button through QMP."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(_PATIENCE_S)
        monitor.connect(str(directory / "qmp"))
        lines = monitor.makefile("rw", encoding="utf-8")
        lines.readline()
        for command in ("qmp_capabilities", "system_powerdown"):
            lines.write(json.dumps({"execute": command}) + "\n")
            lines.flush()
            lines.readline()


BUTTONS: Mapping[str, Callable[[Path], None]] = {"uml": _uml, "qemu": _qemu}
