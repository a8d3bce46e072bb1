# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User-Mode Linux: a node's kernel is a plain process.

It needs no privilege beyond the lab's own namespace, and no nested virtualisation.
"""

from __future__ import annotations

import platform
import shlex
import shutil
from typing import TYPE_CHECKING

from .provider import Provider

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .plan import NodePlan, Tap

# The first two disks are the root and the seed.
_FURTHER_DISKS = 2
_DISK_LETTERS = "abcdefgh"

_STARTER = "linux"
# A reboot of the guest executes the first word of the command line anew, with every file still open; a tap that is open
# can't be opened again. So that word is this script, which closes them first.
_STARTER_TEXT = """#!/bin/bash
for open in /proc/$$/fd/*; do
    descriptor=${{open##*/}}
    if (( descriptor > 2 )); then eval "exec $descriptor>&-"; fi
done
# What a run that was cut off has left of its management console would keep this one from having any.
rm -rf "${{0%/*}}"/{name}
exec -a "$0" {kernel} "$@"
"""


class Uml(Provider):
    """Nodes under User-Mode Linux, copy-on-write over the image."""

    name = "uml"

    def missing(self) -> list[str]:
        lacks = []
        if platform.machine() != "x86_64":
            lacks.append(f"User-Mode Linux needs an x86_64 machine, this one is {platform.machine()}")
        if shutil.which("nsenter") is None:
            lacks.append("nsenter is missing: install util-linux")
        return lacks

    def prepare(self, node: NodePlan, directory: Path) -> list[Sequence[str]]:  # noqa: ARG002
        # UML makes the copy-on-write file itself, with the image's path in its header.
        return []

    def scripts(self, node: NodePlan) -> dict[str, str]:
        return {_STARTER: _STARTER_TEXT.format(name=node.name, kernel=shlex.quote(str(self.image / "uml" / "linux")))}

    def files(self, node: NodePlan) -> dict[str, str]:
        # These disks have no serial number by which udev could name them as virtio ones.
        rules = "".join(
            f'KERNEL=="ubd{_DISK_LETTERS[place]}", SYMLINK+="disk/by-id/virtio-{disk.name}"\n'
            for place, disk in enumerate(node.disks, _FURTHER_DISKS)
        )
        return {"etc/udev/rules.d/60-okiagari-disks.rules": rules} if rules else {}

    def command(self, node: NodePlan, directory: Path) -> list[str]:
        vectors = [f"vec{index}:{_vector(tap)}" for index, tap in enumerate(node.taps)]
        return [
            str(directory / _STARTER),
            f"ubd0={directory / 'disk'},{self.image / 'root.raw'}",
            f"ubd1={directory / 'seed'}",
            *(f"ubd{place}={directory / disk.name}.raw" for place, disk in enumerate(node.disks, _FURTHER_DISKS)),
            "root=/dev/ubda",
            "rw",
            f"mem={node.memory_mb}M",
            "con=null",
            "con0=null,fd:1",
            "net.ifnames=0",
            "seccomp=on",
            f"umid={node.name}",
            f"uml_dir={directory}",
            f"systemd.machine_id={node.machine_id}",
            f"systemd.hostname={node.name}",
            "systemd.show_status=0",
            "quiet",
            *vectors,
        ]


def _vector(tap: Tap) -> str:
    return f"transport=tap,ifname={tap.name},mac={tap.mac},mtu={tap.mtu},depth=128,gro=1"
