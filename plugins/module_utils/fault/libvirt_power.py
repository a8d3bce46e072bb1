# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of the guests that this target runs with libvirt, by `virsh`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..runner import CommandFailed, output
from .owned import GUEST_MARK
from .power import power_ops

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .backend import Op

# The one daemon, or the one for QEMU alone.
SOCKETS = ("/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock")
TRY = ("test", "-S", SOCKETS[0], "-o", "-S", SOCKETS[1])
_VIRSH = ("virsh", "--quiet")
_POWER = {
    "running": "on",
    "idle": "on",
    "in shutdown": "stopping",
    "paused": "paused",
    "shut off": "off",
    "crashed": "off",
}
_STEPS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "cut": (("destroy",),),
    "shut": (("metadata", "--uri", GUEST_MARK, "--config", "--key", "okiagari", "--set", "<stopping/>"), ("shutdown",)),
    "start": (("metadata", "--uri", GUEST_MARK, "--config", "--remove"), ("start",)),
    "pause": (("suspend",),),
    "resume": (("resume",),),
}


def guest(runner: Runner, name: str) -> dict[str, Any]:
    """Give the state of one guest. One that would be forgotten when it stops counts as missing.

    libvirt doesn't tell which of the running ones were asked to shut down: those of ours carry a mark.
    """
    there = output(runner, (*_VIRSH, "list", "--all", "--persistent", "--name")).split()
    if name not in there:
        return {"missing": there}
    argv = (*_VIRSH, "domstate", name)
    said = output(runner, argv).strip()
    if said not in _POWER:
        raise CommandFailed(f"{' '.join(argv)}: its output can't be understood: {said}")
    power = _POWER[said]
    # Without a mark, some versions fail, and others say nothing.
    mark = runner.run((*_VIRSH, "metadata", name, "--uri", GUEST_MARK, "--config")).out if power == "on" else ""
    if "stopping" in mark:
        power = "stopping"
    return {"power": power}


def guest_ops(name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the commands that lead to the wanted power."""
    verbs = [verb for step, _name in power_ops(name, have, want) for verb in _STEPS[step]]
    return [(*_VIRSH, verb, name, *options) for verb, *options in verbs]
