# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill on 100 and on 300 simulated targets: how long arming, striking and restoring all of them take.

The engine, its fleet and its remotes are real, and so is what a target does, but for its kernel; a call is a shell on
this machine instead of ssh. Prints a table, then the same as JSON. Needs no lab.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.target import bundle, name_of
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.engine import Engine, RealPace
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.remote import Program, connect
from figures import Row, row, show
from simulated_fleet import start

SITES = 12
HOSTS_A_SITE = (7, 24)
"""About 100 and about 300 targets: how punctual they are depends on how many share a processor."""
AT_S, FOR_S = 2, 6
MEMORY = Path("/dev/shm")
"""Each target writes to a disk of its own; here all share this one."""


def main() -> int:
    rows = []
    for hosts in HOSTS_A_SITE:
        directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        try:
            rows += measure(directory, hosts)
        finally:
            shutil.rmtree(directory)
    show(rows)
    return 0


def measure(directory: Path, hosts: int) -> list[Row]:
    testbed = resolved(directory, hosts)
    targets = start(directory, testbed["nodes"])
    whole = run(directory, testbed, targets)
    aborted = run(directory, testbed, targets, abort_after=AT_S + 1)
    injected = [fault["injected"] for fault in whole["faults"]]
    many = f"{len(targets)} targets: "
    return [
        row(f"{many}arm", "s", [whole["timing"]["arm_ms"] / 1000], 10),
        row(f"{many}skew of injection and undo", "ms", [whole["timing"]["skew_ms"]], 100),
        row(f"{many}spread of injections", "ms", [1000 * (max(injected) - min(injected))], 100),
        row(f"{many}restored after the undo", "s", [whole["timing"]["restore_ms"] / 1000], 5),
        row(f"{many}abort to the last undo", "s", [aborted["abort_s"]], 5),
        *(row(f"{many}phase {phase}", "s", [took], None) for phase, took in whole["phase_s"].items()),
    ]


def resolved(directory: Path, hosts: int) -> dict[str, Any]:
    """Give a testbed with as many KVM hosts at each site."""
    description = {
        "plugin": "okiagari.testbed.testbed",
        "name": "many",
        "prefixes": {"management": "172.16.0.0/18", "segments": "172.24.0.0/16"},
        "core": {"core1": {"number": 1}, "core2": {"number": 2}},
        "sites": {f"site{number}": {"number": number, "kvm_hosts": hosts} for number in range(1, SITES + 1)},
        "circuits": [
            {"between": [f"site{site}", f"core{core}"], "delay": "2ms", "rate": "1gbit"}
            for site in range(1, SITES + 1)
            for core in (1, 2)
        ],
    }
    path = directory / "testbed.yml"
    path.write_text(json.dumps(description))
    return load(path).to_dict()


def run(
    directory: Path, testbed: dict[str, Any], targets: dict[str, dict[str, Any]], abort_after: float | None = None
) -> dict[str, Any]:
    """Run a drill with one fault on every target, all at once, and give its report."""
    faults = [
        {
            "at": AT_S, "for": FOR_S, "fault": "delay", "delay": "5ms",
            "node": name, "interface": node["interfaces"][0]["name"],
        }
        for name, node in testbed["nodes"].items()
    ]  # fmt: skip
    route = {"phase": "on_fault", "route": {"from": "site1-r1", "to": "site2", "via": "core1"}}
    asked = {"name": "many", "hypothesis": "Everything ends.", "watch": "1s", "timeline": faults, "probes": [route]}
    content = bundle()
    program = Program(content, name_of(content))
    remotes = {
        name: connect(name, variables, program, directory, number)
        for number, (name, variables) in enumerate(sorted(targets.items()))
    }
    drill = parse(asked, testbed)
    plan = plans(drill, testbed, Places(testbed))
    engine = Engine(drill, plan, testbed, remotes, RealPace(), tell, who="the benchmark")
    if abort_after is not None:
        threading.Thread(target=abort_later, args=(engine, abort_after), daemon=True).start()
    report = engine.run()
    if report["restored"] is not True:
        sys.exit(f"not restored: {report['reason']}")
    return {**report, "phase_s": phases(engine), "abort_s": abort_s(engine)}


def abort_later(engine: Engine, after: float) -> None:
    while engine.state.t0 is None:
        time.sleep(0.1)
    time.sleep(max(0.0, engine.state.t0 + after - time.time()))
    engine.abort("the benchmark")


def phases(engine: Engine) -> dict[str, float]:
    return {
        phase["name"]: (
            datetime.fromisoformat(phase["ended"]) - datetime.fromisoformat(phase["started"])
        ).total_seconds()
        for phase in engine.state.phases
        if phase["name"] in ("gather", "arm", "recover", "compare")
    }


def abort_s(engine: Engine) -> float | None:
    """Give the seconds from the abort to the last undo; all clocks are this machine's."""
    if engine.state.aborted_at is None:
        return None
    undone = [fault["undone_at"] for answer in engine.state.collected.values() for fault in answer["faults"]]
    return float(max(undone) - engine.state.aborted_at)


def tell(phase: str, text: str) -> None:
    if phase != "run":
        print(f"  {phase}: {text[:200]}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
