# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a drill's plan takes on a testbed of 500 circuits: a line a step, in ms of processor time. Needs no lab."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.okiagari.testbed.plugins.module_utils.drill.permission import undertaking
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plan_text, plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

if TYPE_CHECKING:
    from collections.abc import Callable

SITES, CORE = 50, 10
ROUNDS = 5

T = TypeVar("T")


def main() -> int:
    testbed, arguments = large_testbed(), large_drill()
    size = f"{len(testbed['circuits'])} circuits, {len(arguments['timeline'])} faults"
    print(f"{size}; best of {ROUNDS}, in ms of processor time")
    drill = timed("read the drill", lambda: parse(arguments, testbed))
    plan = timed("conflicts, blast radius, programs", lambda: plans(drill, testbed, Places(testbed)))
    timed("what it touches", lambda: undertaking(drill, plan, testbed))
    timed("write the plan", lambda: plan_text(drill, plan))
    return 0


def large_testbed() -> dict[str, Any]:
    """Give a testbed in which every site has a circuit to every core router."""
    description = {
        "plugin": "okiagari.testbed.testbed",
        "name": "large",
        "prefixes": {"sites": "10.0.0.0/9"},
        "core": {f"core{number}": {"number": number} for number in range(1, CORE + 1)},
        "sites": {f"site{number}": {"number": number} for number in range(1, SITES + 1)},
        "circuits": [
            {"between": [f"site{site}", f"core{router}"], "tag": CORE * site + router}
            for site in range(1, SITES + 1)
            for router in range(1, CORE + 1)
        ],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump(description, file)
        file.flush()
        return load(Path(file.name)).to_dict()


def large_drill() -> dict[str, Any]:
    """Give a drill with a fault on every circuit, each at an instant of its own; a few hundred stand at once."""
    circuits = [f"site{site}-core{router}" for router in range(1, CORE + 1) for site in range(1, SITES + 1)]
    timeline = [
        {"at": round(5 + 0.1 * number, 1), "for": "20s", "fault": "link_down", "circuit": circuit}
        for number, circuit in enumerate(circuits)
    ]
    return {"name": "large", "hypothesis": "It is planned at once.", "timeline": timeline}


def timed(what: str, step: Callable[[], T]) -> T:
    """Do a step a few times, print the shortest, and give what it gave."""
    took = []
    for _round in range(ROUNDS):
        started = time.process_time()
        result = step()
        took.append(time.process_time() - started)
    print(f"{what:<40}{1000 * min(took):>9.1f}")
    return result


if __name__ == "__main__":
    sys.exit(main())
