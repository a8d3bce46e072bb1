# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulation of the target program: it stands in for Python on a target, and knows which one by its path.

Called as `.../<target>/python -I -S -B PYZ COMMAND`. It remembers in its own directory, and injects nothing.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(sys.argv[0]).parent
PROGRAM = HOME / "program.json"
ABORTED = HOME / "aborted"


def receipts() -> list[dict[str, Any]]:
    if not PROGRAM.exists():
        return []
    program = json.loads(PROGRAM.read_text())
    stopped = float(ABORTED.read_text()) if ABORTED.exists() else float("inf")
    found = []
    for fault in program["faults"]:
        start = program["t0"] + fault["at"]
        end = min(start + fault["for"], stopped)
        on, over = start <= min(time.time(), stopped), end <= time.time()
        found.append(
            {
                "id": fault["id"],
                "state": "undone" if over else "injected" if on else "armed",
                "installed": fault["params"],
                "injected_at": start if on else None,
                "undone_at": end if over else None,
                "undone_by": ("abort" if stopped < start + fault["for"] else "program") if over else None,
                "error": None,
            }
        )
    return found


def streams() -> list[dict[str, Any]]:
    program = json.loads(PROGRAM.read_text()) if PROGRAM.exists() else {"streams": []}
    found = []
    for spec in program["streams"]:
        number = int((min(time.time(), program["t0"] + spec["until"]) - program["t0"]) * spec["rate"])
        times = [program["t0"] + sequence / spec["rate"] for sequence in range(max(0, number))]
        received = [[sequence, at, at + 0.008] for sequence, at in enumerate(times)]
        found.append({"id": spec["id"], "sent": [program["t0"], 1 / spec["rate"], len(times)], "received": received})
    return found


def answer(command: str, request: dict[str, Any]) -> dict[str, Any]:
    if command == "hello":
        return {"time": time.time(), "boot_id": "b", "hostname": HOME.name, "systemd": True, "missing": []}
    if command == "snapshot":
        on = any(receipt["state"] == "injected" for receipt in receipts())
        return {"links": {"w": "down" if on else "up"}, "okiagari": {"leases": [], "qdiscs": [], "routes": []}}
    if command == "probe":
        value = {"sent": 5, "received": 5, "loss_percent": 0.0, "rtt_ms": [8.0, 8.0, 8.0]}
        ok = not (HOME / "unanswered").exists()
        return {
            "results": [
                {"id": probe["id"], "ok": ok, "at": time.time(), "value": value, "detail": "5 of 5 answers"}
                for probe in request["probes"]
            ]
        }
    if command == "claim":
        return {**request, "claimed": True}
    if command == "arm":
        PROGRAM.write_text(json.dumps(request))
        return {"armed": True, "unit": "u", "time": time.time()}
    if command == "abort":
        ABORTED.write_text(str(time.time()))
        return {"faults": receipts()}
    if command == "heal":
        return {"found": [], "healed": [], "left": []}
    if command == "status":
        return {"running": not ABORTED.exists(), "events": 0, "faults": receipts()}
    return {"events": [], "faults": receipts(), "streams": streams(), "probes": []}


if __name__ == "__main__":
    assert Path(sys.argv[4]).read_bytes()[:2] == b"PK", "the program was not shipped"
    body = sys.stdin.read()
    print(json.dumps(answer(sys.argv[5], json.loads(body) if body.strip() else {})))
