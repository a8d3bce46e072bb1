# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a project may leave behind on a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.tests.lab.default_lab import DefaultLab
    from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab

REGISTRY = "/var/lib/okiagari/projects"
_TRACES = {
    "devices": "ls /sys/class/net",
    "settings of the network": "find /etc/systemd/network /run/systemd/network -type f -o -type l",
    "machines": "virsh list --all --name | grep .",
    "disks and seeds": "find /var/lib/okiagari/guests -path '*/templates' -prune -o -type f -print",
    "definitions": "ls /etc/libvirt/qemu /etc/libvirt/qemu/autostart",
    "logs": "ls /var/log/libvirt/qemu",
    "processes": "pgrep -l qemu-system",
    "records": f"ls {REGISTRY} | grep json",
}
_LISTING = "; ".join(f"({command}) 2>/dev/null | sort | sed 's/^/{what}: /'" for what, command in _TRACES.items())


def traces(lab: DefaultLab | SmallLab) -> dict[str, list[str]]:
    """Give what of projects there is on each node."""
    return {node: lab.say(node, _LISTING).splitlines() for node in lab.testbed["nodes"]}
