# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies packs to a replica, over and over, in a machine whose power may be cut at any time; says what it has.

    applier.py DISK CHAIN [careless]

`CHAIN` has the packs by their numbers, and in `states.json` what they lead to. `careless` never waits for the disk.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Pack
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import Replica
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import sync_names
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import KEY, verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTHING = -1
"""The number of a replica that has taken no pack."""


def main() -> None:
    disk, chain = Path(sys.argv[1]), Path(sys.argv[2])
    if sys.argv[3:] == ["careless"]:
        os.fsync = lambda _descriptor: None
    states: list[dict[str, Any]] = json.loads((chain / "states.json").read_text())
    while True:
        shutil.rmtree(disk / "old", ignore_errors=True)
        _say("begins")
        replica = Replica(disk / "replica", "tally", KEY)
        found = _number(replica, states)
        _say("found", found)
        _look_whether_all_is_there(replica, states, disk / "copy")
        for number in itertools.count(found + 1):
            if number == len(states):
                break
            if states[number]["term"] >= replica.fence:
                with (chain / str(number)).open("rb") as file:
                    replica.take(Pack(file, verify))
                _say("took", number)
        replica.close()
        _say("anew")
        (disk / "replica").rename(disk / "old")
        sync_names(disk)


def _number(replica: Replica, states: Sequence[Mapping[str, Any]]) -> int:
    if replica.head is None:
        return NOTHING
    return [state["root"] for state in states].index(replica.head.root)


def _look_whether_all_is_there(replica: Replica, states: Sequence[Mapping[str, Any]], copy: Path) -> None:
    """Compare each state that the replica has, or says it can go back to, with what was captured."""
    images = {state["root"]: state["images"] for state in states}
    for epoch in [replica.head, *replica.back]:
        for name in epoch.images if epoch else []:
            copy.unlink(missing_ok=True)
            replica.copy(epoch.root, name, copy)
            if hashlib.sha256(copy.read_bytes()).hexdigest() != images[epoch.root][name]:
                _say("damaged", epoch.name, name)


def _say(*words: object) -> None:
    print(*words, flush=True)


if __name__ == "__main__":
    main()
