# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures to beat, measured: prints a table, then the same as JSON. Fails on nothing but failure.

Needs the default lab, up with the site playbook applied; starts and removes labs of its own beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import Row, row, show

PROJECT = Path(__file__).parents[2]
SIZES = {3: (1, 1), 6: (2, 2), 12: (5, 2)}
"""Nodes of a lab: sites (a router and a host each), core routers."""
ROUNDS = int(os.environ.get("ROUNDS", "3"))


def main() -> int:
    rows = [lab_up(nodes, *size) for nodes, size in SIZES.items()]
    rows += destcloud()
    rows.append(row("site.yml, second run", "s", [playbook("playbooks/site.yml") for _round in range(ROUNDS)], None))
    rows += drill_figures([drill() for _round in range(ROUNDS)])
    show(rows)
    return 0


def lab_up(nodes: int, sites: int, core: int) -> Row:
    """Time a lab of so many nodes from nothing to logins everywhere, with the image in the cache."""
    with tempfile.TemporaryDirectory() as directory:
        inventory = Path(directory)
        (inventory / "testbed.yml").write_text(json.dumps(description(sites, core)))
        (inventory / "group_vars").symlink_to(PROJECT / "inventory" / "lab" / "group_vars")
        took = [sum(ready(inventory / "testbed.yml", f"bench-{nodes}", "lab_up")) for _round in range(ROUNDS)]
    return row(f"lab up, {nodes} nodes", "s", took, None)


def destcloud() -> list[Row]:
    """Time the eight routers and five sites of DESTCloud, once: from nothing to logins, and to all sessions up."""
    up, site = ready(PROJECT / "inventory" / "destcloud", "bench-destcloud", "lab_up", "site")
    return [row("DESTCloud up, 22 nodes", "s", [up], None), row("DESTCloud ready, 22 nodes", "s", [up + site], None)]


def ready(inventory: Path, name: str, *playbooks: str) -> list[float]:
    """Run playbooks on a lab of its own, which is taken down afterwards, and give the seconds that each took."""
    options, environment = ("-i", str(inventory)), {"OKIAGARI_LAB_NAME": name}
    try:
        return [playbook(f"playbooks/{each}.yml", *options, **environment) for each in playbooks]
    finally:
        playbook("playbooks/lab_down.yml", *options, **environment)


def description(sites: int, core: int) -> dict[str, Any]:
    """Give a testbed in which every site has a circuit to every core router."""
    return {
        "plugin": "okiagari.testbed.testbed",
        "name": "bench",
        "core": {f"core{number}": {"number": number} for number in range(1, core + 1)},
        "sites": {f"site{number}": {"number": number} for number in range(1, sites + 1)},
        "circuits": [
            {"between": [f"site{site}", f"core{router}"], "delay": "2ms", "rate": "1gbit"}
            for site in range(1, sites + 1)
            for router in range(1, core + 1)
        ],
    }


def drill() -> dict[str, Any]:
    """Run the first drill and give its report."""
    playbook("scenarios/circuit_cut/drill.yml")
    report: dict[str, Any] = json.loads((PROJECT / "reports" / "latest" / "report.json").read_text())
    return report


def drill_figures(reports: list[dict[str, Any]]) -> list[Row]:
    return [
        row("drill: arm", "ms", [report["timing"]["arm_ms"] for report in reports], 3000),
        row("drill: skew of injection and undo", "ms", [report["timing"]["skew_ms"] for report in reports], 100),
        row("drill: outage at 100 packets/s", "ms", [report["outage_ms"] for report in reports], 1000),
        row("drill: restored after the undo", "ms", [report["timing"]["restore_ms"] for report in reports], 1000),
    ]


def playbook(path: str, *options: str, **environment: str) -> float:
    """Run a playbook and give the seconds it took; end the benchmark with its output when it fails."""
    print(f"  {' '.join([path, *environment.values()])} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    done = subprocess.run(
        ["ansible-playbook", *options, path],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{path} failed with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
