# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the tally, run on a node: count on one connection until a file appears, and say how that went."""

from __future__ import annotations

import json
import socket
import sys
import time
from itertools import pairwise
from pathlib import Path


def count(address: str, end: Path, pause: float = 0.02) -> dict[str, object]:
    """Count up, and give first and last answer, what went wrong, and the longest wait in milliseconds."""
    answers: list[int] = []
    longest, errors = 0.0, []
    try:
        with socket.create_connection((address, 7000), timeout=10) as connection, connection.makefile("rwb", 0) as file:
            while not end.exists():
                asked = time.monotonic()
                file.write(b"incr\n")
                answer = file.readline().decode()
                longest = max(longest, time.monotonic() - asked)
                answers.append(int(answer.removeprefix("ok ")))
                time.sleep(pause)
    except (OSError, ValueError) as error:
        errors.append(repr(error))
    return {
        "first": answers[0], "last": answers[-1], "answers": len(answers), "errors": errors,
        "steps": sorted({after - before for before, after in pairwise(answers)}), "longest_ms": round(longest * 1000),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(count(sys.argv[1], Path(sys.argv[2]))))
