# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of a machine is cut while it applies packs: what its kernel hadn't written is gone, and the replica whole.

The machine is a kernel of the lab's nodes with an ext4 of its own. `$CUTS` says how often its power is cut.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.tests.lab.applier import NOTHING
from ansible_collections.okiagari.testbed.tests.lab.default_lab import PROJECT, DefaultLab
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import Holder, noise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.lab

CUTS = int(os.environ.get("CUTS", "5"))
SEED = int(os.environ.get("CUT_SEED") or random.SystemRandom().randrange(1 << 32))
TAKES = 20
"""The power is cut after at most so many packs; with none, while what the last cut has left is mended."""
SOON_S = 0.1
"""How long after that at most: as long as it takes to apply one or two more."""
BOOTS_S = 60
PACKS = 60
IMAGES = {"ram": 2048, "disk0": 512}
CHANGED = 300
NEWCOMER, SUCCESSOR = 17, 13
"""Each pack of such a number is a first one; or of a new holder, who goes on from one state before the last."""
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t ext4 -o {options} /dev/ubda {disk}
exec env PYTHONPATH={modules} {python} {program} {disk} {chain} {words}
"""


@dataclass(frozen=True)
class Chain:
    """Packs in a folder, and from which state each of them goes on."""

    folder: Path
    parents: tuple[int, ...]

    def may_have(self, took: int) -> set[int]:
        """Give which packs may be the last one that a replica has, if the last that it was heard to have is this.

        It may have gone back to whatever the next one goes on from; a first pack leaves what was before it.
        """
        later = range(took + 1, PACKS)
        back = {self.parents[number] for number in later} - {NOTHING}
        return {took, *later, *back}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Give the packs of two dozen MiB of states: small changes, first packs, and holders that go back one state."""
    folder = tmp_path_factory.mktemp("chain")
    rng = np.random.default_rng(SEED)
    holder, images = Holder(), {name: noise(SEED, count) for name, count in IMAGES.items()}
    states: list[dict[str, object]] = []
    before: list[tuple[str, dict[str, object]]] = []
    parents = list[int]()
    for number in range(PACKS):
        parent = number - 1
        if number and number % NEWCOMER == 0:
            holder.parent, parent = "", NOTHING
        elif number and number % SUCCESSOR == 0:
            parent = number - 2
            holder = holder.successor()
            holder.parent, holder.images = before[parent][0], dict(before[parent][1])
            images = {name: image.copy() for name, image in holder.images.items()}
        for image in images.values():
            changed = rng.choice(len(image), rng.integers(1, CHANGED), replace=False)
            image[changed] = rng.integers(0, 1 << 63, (len(changed), 512), dtype=np.uint64)
        (folder / str(number)).write_bytes(holder.pack(images))
        digests = {name: hashlib.sha256(image.tobytes()).hexdigest() for name, image in images.items()}
        states.append({"root": holder.parent, "term": holder.term, "images": digests})
        before.append((holder.parent, dict(holder.images)))
        parents.append(parent)
    (folder / "states.json").write_text(json.dumps(states))
    return Chain(folder, tuple(parents))


class Machine:
    """A machine that applies packs from when it has power. Its disk is made anew, mounted with these `options`."""

    def __init__(self, folder: Path, chain: Chain, options: str, words: str = "") -> None:
        lab = DefaultLab()
        node = next(iter(lab.plan.nodes)).name
        self._folder, self._kernel = folder, lab.image(node) / "uml" / "linux"
        (folder / "disk").mkdir()
        self._raw = folder / "disk.raw"
        with self._raw.open("xb") as file:
            file.truncate(256 * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", str(self._raw)], check=True)
        self._init = folder / "init"
        self._init.write_text(
            INIT.format(
                options=options, disk=folder / "disk", modules=PROJECT / ".collections", python=sys.executable,
                program=Path(__file__).with_name("applier.py"), chain=chain.folder, words=words,
            )
        )  # fmt: skip
        self._init.chmod(0o755)

    def until_its_power_is_cut(self, takes: int, then_s: float) -> list[list[str]]:
        """Run it until so long after it took so many packs; give what it has said, word by word."""
        said: list[list[str]] = []

        def listen(lines: Iterable[str]) -> None:
            for line in lines:
                said.append(line.split())
                if sum(words[:1] in (["begins"], ["took"]) for words in said) == takes + 1:
                    so_far.set()

        so_far = Event()
        with self._on() as process:
            assert process.stdout
            heard = Thread(target=listen, args=[process.stdout])
            heard.start()
            assert so_far.wait(BOOTS_S), said
            time.sleep(then_s)
        heard.join()
        process.stdout.close()
        return said

    @contextmanager
    def _on(self) -> Iterator[subprocess.Popen[str]]:
        command = [
            str(self._kernel), f"ubd0={self._raw}", "root=/dev/root", "rootfstype=hostfs", "ro", "mem=256M", "con=null",
            "con0=null,fd:1", "seccomp=on", "quiet", "umid=machine", f"uml_dir={self._folder}", f"init={self._init}",
        ]  # fmt: skip
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            os.killpg(process.pid, 9)
            process.wait()


def look(chain: Chain, said: list[list[str]], took: int) -> int:
    """Compare what a machine has said with what it had before; give what it has now."""
    names = [words[0] for words in said if words]
    assert "begins" in names, said
    assert "damaged" not in names, said
    assert not any("Error" in name or name == "Traceback" for name in names), said
    for words in said:
        if words == ["anew"]:
            took = NOTHING
        elif words[:1] == ["found"]:
            assert int(words[1]) in chain.may_have(took), f"it had {took}, and has {words[1]}; CUT_SEED={SEED}"
            took = int(words[1])
        elif words[:1] == ["took"]:
            took = int(words[1])
    return took


@pytest.mark.parametrize("data", ["ordered", "writeback"])
def test_whatever_was_taken_is_there_after_a_power_cut(tmp_path: Path, chain: Chain, data: str) -> None:
    machine, rng, took = Machine(tmp_path, chain, f"data={data}"), random.Random(SEED), NOTHING
    for _cut in range(CUTS):
        took = look(chain, machine.until_its_power_is_cut(rng.randrange(TAKES), rng.uniform(0, SOON_S)), took)


def test_a_replica_that_waits_for_no_disk_is_found_out(tmp_path: Path, chain: Chain) -> None:
    """The test above would see it."""
    machine = Machine(tmp_path, chain, "data=ordered", "careless")
    took = look(chain, machine.until_its_power_is_cut(TAKES, SOON_S), NOTHING)
    assert took >= TAKES - 1
    with pytest.raises(AssertionError, match="it had"):
        look(chain, machine.until_its_power_is_cut(1, 0), took)
