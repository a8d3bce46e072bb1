# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the storage that the sites share has kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..values import file_path, whole
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


TYPES = {
    "readback": Type(readback, {"path": file_path, "key": whole(0, 2**32 - 1), "size": whole(SMALLEST, LARGEST)}),
}
