# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's replicas are asked, with real replicas and packs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.keep import Keep, Kept
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import Replica
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

from .conftest import KEY, Holder, noise, sign, verify

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def states(count: int) -> list[dict[str, Any]]:
    found = []
    image = np.concatenate([noise(1, 4), np.zeros((4, 512), np.uint64)])
    for number in range(count):
        image = image.copy()
        image[number % 8] = noise(10 + number)[0]
        found.append({"ram": image})
    return found


class Host:
    """A host's keep, over a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.keep = Keep(folder.name, {"tally": Kept(folder / "replica", KEY)}, sign, verify)

    def take(self, said: bytes) -> dict[str, Any]:
        path = self.folder / hashlib.sha256(said).hexdigest()
        path.write_bytes(said)
        return self.keep.do({"do": "take", "service": "tally", "path": str(path)})


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "b")


def test_packs_are_taken_one_after_the_other(host: Host, holder: Holder) -> None:
    assert host.keep.do({"do": "head", "service": "tally"}) == {"head": None, "roots": []}
    packs = [holder.pack(state) for state in states(3)]
    first = host.take(packs[0])
    assert (first["head"]["term"], first["head"]["epoch"]) == (1, 1)
    missing = host.take(packs[2])
    assert missing == {"missing": host.take(packs[1])["head"]["root"]}
    said = host.take(packs[2])
    assert (said["head"]["epoch"], len(said["roots"])) == (3, 3)
    assert host.keep.do({"do": "head", "service": "tally"}) == said
    assert "that is here, or a later one" in host.take(packs[1])["refused"]


def test_who_is_too_far_behind_takes_the_whole_from_another(host: Host, holder: Holder, tmp_path: Path) -> None:
    other = Host(tmp_path / "c")
    *_before, there = [host.take(holder.pack(state)) for state in states(5)]
    path = tmp_path / "whole"
    assert host.keep.do({"do": "whole", "service": "tally", "path": str(path)}) == there
    assert other.take(path.read_bytes())["head"] == there["head"]
    last = states(6)[5]
    pack = holder.pack(last)
    assert other.take(pack)["head"] == host.take(pack)["head"]
    replica = Replica(other.folder / "replica", "tally", KEY)
    assert (np.fromfile(replica.image("ram"), np.uint64).reshape(-1, 512) == last["ram"]).all()
    replica.close()


def test_a_replica_that_the_guest_runs_on_is_not_touched(host: Host, holder: Holder) -> None:
    packs = [holder.pack(state) for state in states(2)]
    host.take(packs[0])
    replica = Replica(host.folder / "replica", "tally", KEY)
    assert "is in use by another process" in host.take(packs[1])["busy"]
    replica.close()
    assert host.take(packs[1])["head"]["epoch"] == 2


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"do": "head"}, "nothing is not a text"),
        ({"do": "heat", "service": "tally"}, "did you mean head"),
        ({"do": "head", "service": "tall"}, "did you mean tally"),
        ({"do": "take", "service": "tally"}, "text"),
        ({"do": "whole", "service": "tally", "path": "x"}, "there is no state of it here yet"),
    ],
)
def test_what_cannot_be_done(
    host: Host, request_: dict[str, Any], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((OkiagariError, OSError), match=why):
        host.keep.do(request_)
    assert not (tmp_path / "x").exists()
