# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage that the sites share: how its members are, and what it has kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..values import file_path, whole
from . import storage
from .probe import Type
from .writers import LARGEST, SMALLEST, read_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .probe import Result


def readback(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{path, key, size}`: ok if the file could be read. `records`: how many good ones stand there from its start."""
    found, total = read_back(probe["path"], probe["key"], probe["size"])
    value = {"records": found, "bytes": total}
    return True, value, f"{found} records are there bit for bit, {total} bytes"


def members(runner: Runner, _probe: Mapping[str, Any]) -> Result:
    """`{}`: ok if this member sees a majority, and nothing waits for repair in its own bricks.

    `members` and `connected` count this one too, and aren't known if the manager doesn't answer; `pending`: entries
    that its bricks hold newer than other copies; `stopped`: its bricks that don't run.
    """
    found = storage.take(runner)
    if found is None:
        raise OkiagariError("this node is no member of the storage")
    peers = found.get("peers")
    value = {
        "members": None if peers is None else 1 + len(peers),
        "connected": None if peers is None else 1 + sum(state == "connected" for state in peers.values()),
        "pending": sum(brick["pending"] for brick in found["bricks"].values()),
        "stopped": sorted(path for path, brick in found["bricks"].items() if not brick["online"]),
    }
    seen = (
        "its manager does not answer" if peers is None else f"sees {value['connected']} of {value['members']} members"
    )
    stopped = f", {', '.join(value['stopped'])} does not run" if value["stopped"] else ""
    well = peers is not None and 2 * value["connected"] > value["members"] and not value["pending"] and not stopped
    return well, value, f"{seen}, {value['pending']} entries to repair{stopped}"


TYPES = {
    "storage": Type(members, {}),
    "readback": Type(readback, {"path": file_path, "key": whole(0, 2**32 - 1), "size": whole(SMALLEST, LARGEST)}),
}
