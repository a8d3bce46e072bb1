# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One drill per testbed at a time."""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

from ...module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from pathlib import Path


_LARGEST = 1 << 20


class BusyError(OkiagariError):
    """Another drill is running; says which, whose it is, and until when at the latest, as far as that is known."""

    def __init__(self, drill: str, who: str = "", since: str | None = None, until: str | None = None) -> None:
        times = [f"since {since}"] if since else []
        times += [f"until {until} at the latest"] if until else []
        told = ", ".join([drill, *times]) + (f" ({who})" if who else "")
        super().__init__(
            f"another drill is running on this testbed: {told}; "
            "wait for its end, or end it with playbooks/stop_drills.yml, or heal_all.yml if its controller is gone"
        )


class Lock:
    """A lock file that its holder's death opens. What it says is for people: who holds it.

    `left` is what the holder before said, if it died without letting go.
    """

    def __init__(self, path: Path, holder: dict[str, Any]) -> None:
        """Take the lock, or raise `BusyError` with who holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = _read(self._descriptor)
            os.close(self._descriptor)
            raise BusyError(
                held.get("drill", "its holder is not known"), held.get("who", ""), held.get("since"), held.get("until")
            ) from None
        self.left = _read(self._descriptor)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, json.dumps(holder).encode())

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        said = json.loads(os.pread(descriptor, _LARGEST, 0))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
