# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs between agents as they are installed, along a chain of connections whose relays come and go."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from real_agents import Farm, Node, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAIN = {"a": ["b"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c"]}
SIZE = 64 * 1024 * 1024
BEGUN = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    farm = Farm(tmp_path_factory.mktemp("farm"), CHAIN, ["https://127.0.0.1:1"])
    try:
        farm.configure(lambda _node: {})
        farm.start()
        wait_for(lambda: farm.nodes["a"].ask("status")[0]["reachable"] == ["b", "c", "d"], 120)
        yield farm
    finally:
        farm.end()


@pytest.fixture
def blob(farm: Farm) -> tuple[str, bytes]:
    """A blob at the far end of the chain, of which nobody else has anything."""
    content = os.urandom(SIZE)
    source = farm.folder / "blob"
    source.write_bytes(content)
    *_progress, said = farm.nodes["d"].ask("offer", path=str(source))
    assert said["bytes"] == SIZE
    return said["digest"], content


def held(node: Node, digest: str) -> Path:
    return Path(node.folder, "state", "blobs", digest)


def damage(path: Path) -> None:
    """Change the first byte."""
    with path.open("r+b") as file:
        byte = file.read(1)[0]
        file.seek(0)
        file.write(bytes([byte ^ 1]))


def fetch(node: Node, digest: str) -> dict[str, Any]:
    said: dict[str, Any] = node.ask("fetch", peer="d", digest=digest)[-1]
    return said


def begun(node: Node, digest: str) -> None:
    """Wait until a part of the blob is here; that is soon after, and so is the whole."""
    end = time.monotonic() + 60
    while node.part(digest) < BEGUN:
        assert time.monotonic() < end, "nothing comes"


def test_a_blob_crosses_the_chain_and_a_damaged_one_is_refused(farm: Farm, blob: tuple[str, bytes]) -> None:
    (digest, content), node = blob, farm.nodes["a"]
    said = fetch(node, digest)
    assert (said["path"], said["bytes"]) == (str(held(node, digest)), SIZE)
    assert held(node, digest).read_bytes() == content
    node.ask("drop", digest=digest)
    damage(held(farm.nodes["d"], digest))
    with pytest.raises(OkiagariError, match=f"what d gave isn't {digest}: its file there is damaged"):
        fetch(node, digest)
    assert list((node.folder / "state" / "blobs").iterdir()) == []


@pytest.mark.parametrize("relay", ["b", "c"])
def test_a_relay_that_is_killed_and_comes_back_costs_nothing_but_time(
    farm: Farm, blob: tuple[str, bytes], relay: str
) -> None:
    (digest, content), node = blob, farm.nodes["a"]
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(fetch, node, digest)
        begun(node, digest)
        farm.nodes[relay].signal("run", signal.SIGKILL)
        farm.nodes[relay].processes["run"].wait()
        assert 0 < node.part(digest) < SIZE, "the relay was killed too late"
        farm.nodes[relay].start("run")
        assert fetching.result(300)["bytes"] == SIZE
    assert held(node, digest).read_bytes() == content


def test_a_receiver_that_is_killed_goes_on_from_its_part(farm: Farm, blob: tuple[str, bytes]) -> None:
    (digest, content), node = blob, farm.nodes["a"]
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(fetch, node, digest)
        begun(node, digest)
        node.signal("run", signal.SIGKILL)
        node.processes["run"].wait()
        with pytest.raises(OkiagariError, match=r"ended before it had answered|can't be reached"):
            fetching.result(60)
    assert 0 < node.part(digest) < SIZE, "the receiver was killed too late"
    # What is here already isn't asked for again, or the whole would be refused.
    damage(held(farm.nodes["d"], digest))
    node.start("run")
    wait_for(lambda: "d" in node.ask("status")[0]["reachable"], 120)
    assert fetch(node, digest)["bytes"] == SIZE
    assert held(node, digest).read_bytes() == content
