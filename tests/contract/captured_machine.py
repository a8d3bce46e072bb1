# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that runs the guest that counts, captured as a service's guest is, or has a replica of it."""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capturer import Capturer, Whose
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.machine import Disk, Machine
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Pack
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import Replica
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.running import Running
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from ansible_collections.okiagari.testbed.tests.contract.counting_guest import Said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Label

KEY = bytes(range(32))
MIB = 64
CARD = ("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=")


class Host:
    """A host that runs the guest or has a replica of it."""

    def __init__(self, folder: Path, disk: Path, *arguments: str, **others: Any) -> None:
        self.folder = folder
        folder.mkdir()
        self.said = Said(folder / "serial")
        self._arguments = ("-serial", f"file:{self.said.path}", *arguments)
        self.machine = Machine(MIB, {"root": Disk(disk)}, self._arguments, accelerator="tcg", **others)

    @contextmanager
    def running(self, replica: Replica | None = None, term: int = 1) -> Iterator[Capturer]:
        """Run the guest, from what a replica has, and give what captures it."""
        folder = self.folder / str(time.monotonic_ns())
        folder.mkdir()
        with Running(self.machine, SubprocessRunner(), folder, replica) as running:
            if replica:
                running.restore(replica)
            whose = Whose("tally", self.folder.name, term, KEY, lambda _said: b"signed")
            capturer = Capturer(running.monitor, SubprocessRunner(), folder, running.guest, whose)
            assert self.said.numbers() == []
            running.monitor.execute("cont")
            if replica:
                capturer.resumed(replica)
            self.said.wait_for(3)
            yield capturer

    def replica(self) -> Replica:
        return Replica(self.folder / "replica", "tally", KEY)


def shipped(capturer: Capturer, *replicas: Replica) -> tuple[Label, int]:
    """Capture an epoch into replicas, and give its label and the size of its pack."""
    file = io.BytesIO()
    label, _took = capturer.capture(file)
    for replica in replicas:
        replica.take(Pack(file, lambda *_said: None))
    return label, len(file.getvalue())


def on_disk(replica: Replica) -> int:
    return int.from_bytes(replica.image("disk-root").read_bytes()[512:516], "little")
