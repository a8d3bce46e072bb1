# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domains of a host's libvirt, looked at and begun from save images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..guest.libvirtd import Libvirt
from .definition import domain

if TYPE_CHECKING:
    from pathlib import Path

    from ..runner import Runner
    from .definition import Domain

_LONG_S = 600.0


class Domains:
    """The domains of the libvirt at `uri`, the user's usual one if that is empty."""

    def __init__(self, runner: Runner, uri: str) -> None:
        self._libvirt = Libvirt(runner, uri or None)

    def running(self, name: str) -> Domain:
        """Give a domain that runs; raise `OkiagariError` if there is none, or it can't be captured."""
        state = self.state(name)
        if state is None:
            raise OkiagariError(f"there is no domain {name} here: see virsh list --all")
        if state != "running":
            raise OkiagariError(f"{name} is {state}, and only a domain that runs is captured")
        found = domain(self.live(name), self.definition(name))
        if found.name != name:
            raise OkiagariError(f"{name} is the number of the domain {found.name}: rename one (virsh domrename)")
        if self._libvirt.do("domjobinfo", name).split()[2:3] not in ([], ["None"]):
            raise OkiagariError(f"{name} can't be captured: libvirt is at it (virsh domjobinfo {name})")
        return found

    def state(self, name: str) -> str | None:
        """Give a domain's state; None if there is none. Raises `OkiagariError` if libvirt doesn't answer."""
        if name not in self._libvirt.do("list", "--all", "--name").split("\n"):
            return None
        return self._libvirt.state(name)

    def live(self, name: str) -> str:
        """Give the definition of a running domain, as it runs."""
        return self._libvirt.do("dumpxml", name)

    def definition(self, name: str) -> str:
        """Give what another libvirt begins a running domain by, with its secrets."""
        return self._libvirt.do("dumpxml", name, "--migratable", "--security-info")

    def is_persistent(self, name: str) -> bool:
        """Say whether a domain is still there when it is off."""
        return name in self._libvirt.do("list", "--all", "--persistent", "--name").split("\n")

    def restore(self, image: Path, paused: bool) -> None:
        """Begin a domain from a save image."""
        self._libvirt.do("restore", str(image), "--paused" if paused else "--running", timeout=_LONG_S)

    def define(self, definition: str) -> None:
        """Have a domain still be there when it is off."""
        self._libvirt.define(definition)
