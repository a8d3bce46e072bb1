# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a storage cluster that this target sees, for its snapshot. A target that is no member has none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..runner import Runner

COMMAND = ("gluster", "--mode=script", "--xml", "peer", "status")
_STATE = Path("var/lib/glusterd")
_RUNNING = Path("var/run/gluster/vols")
_PATIENCE_S = 3.0
_PEER = re.compile(r"<peer>.*?<hostname>([^<]+)</hostname>.*?<connected>([01])</connected>", re.DOTALL)


def take(runner: Runner, root: Path = Path("/")) -> dict[str, Any] | None:
    """Give peers, and this target's bricks with whether they run and what they know to be newer than other copies.

    Asks nothing of other members and takes no lock of the cluster: all targets are asked at the same moment.
    """
    volumes = root / _STATE / "vols"
    if not volumes.is_dir():
        return None
    found: dict[str, Any] = {}
    said = runner.run(COMMAND, timeout=_PATIENCE_S)
    if said.rc == 0:
        found["peers"] = {name: "connected" if up == "1" else "gone" for name, up in sorted(_PEER.findall(said.out))}
    own = _values(root / _STATE / "glusterd.info").get("UUID")
    bricks = [_values(file) for file in sorted(volumes.glob("*/bricks/*"))]
    found["bricks"] = {
        brick["path"]: _brick(root, brick) for brick in bricks if own and brick.get("uuid") == own and "path" in brick
    }
    return found


def _brick(root: Path, brick: dict[str, str]) -> dict[str, Any]:
    name = f"{brick.get('hostname')}{brick['path'].replace('/', '-')}.pid"
    online = any(_runs(file) for file in (root / _RUNNING).glob(f"*/{name}"))
    waiting = root / brick["path"].lstrip("/") / ".glusterfs/indices/xattrop"
    try:
        # One file, named after the index itself, is always there: the entries are links to it.
        pending = sum(not entry.name.startswith("xattrop-") for entry in waiting.iterdir())
    except OSError:
        pending = 0
    return {"online": online, "pending": pending}


def _runs(pid_file: Path) -> bool:
    try:
        return Path("/proc", pid_file.read_text(encoding="ascii", errors="replace").strip(), "stat").exists()
    except OSError:
        return False


def _values(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {key: value for key, equals, value in (line.partition("=") for line in lines) if equals}
