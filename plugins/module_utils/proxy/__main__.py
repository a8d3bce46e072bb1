# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that makes the faults of a device: `python -m ...proxy COMMAND`, as the target program on a target.

On its standard input stands `{"device": ..., "watched": [...], "request": {...}}`, because nobody else reads that.
It needs the libraries that reach devices, and so runs with the controller's own Python.
"""

from __future__ import annotations

import json
import sys

from ..errors import BadValue, OkiagariError
from ..target.main import answer, tell
from ..values import Shape, from_json, mismatch
from .commands import DeviceCommands

_ASKED: Shape = {"device": dict, "watched": [str], "request?": dict}


def main() -> int:
    """Run the command of `sys.argv`; give 0, or 1 after printing `{"error": ...}`."""
    try:
        asked = from_json(sys.stdin.read())
        wrong = mismatch(asked, _ASKED)
    except BadValue as error:
        wrong = error.message
    if wrong:
        return tell(lambda: _refuse(f"the input is not that of a device: {wrong}"))
    again = (sys.executable, "-B", "-m", __package__ or "")
    commands = DeviceCommands(asked["device"], asked["watched"], again)
    try:
        return answer(commands, sys.argv[1:], lambda: json.dumps(asked.get("request", {})))
    finally:
        commands.backend.close()


def _refuse(message: str) -> dict[str, object]:
    raise OkiagariError(message)


if __name__ == "__main__":
    raise SystemExit(main())
