# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Linux node is besides its network: the resources, and the capabilities that their faults need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import WallClock
from .load import Load
from .mapper import Device
from .service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..runner import Runner
    from .resource import Resource

CAPABILITIES = {"service", "freezer", "clock", "dm", "dm_delay", "dm_flakey"}
# Nothing is loaded or set for this; the kernel loads what a device needs.
TRY = ("sh", "-c", """
test -d /run/systemd/system && echo service && test -e /sys/fs/cgroup/cgroup.controllers && echo freezer
grep -q "^CapEff:.*[2367abef]......$" /proc/self/status && echo clock
dmsetup version >&2 && echo dm && for each in delay flakey; do modprobe -nq dm-$each && echo dm_$each; done
""")  # fmt: skip


def resources(runner: Runner, program: Sequence[str], journal: str) -> dict[str, Resource]:
    """Give them by the prefix of their entries.

    `program` is how this very program is called on the node, and `journal` where it keeps the journal of faults.
    """
    return {
        "load": Load(runner, program, journal),
        "device": Device(runner, journal),
        "clock": WallClock(runner),
        "service": Service(runner),
    }
