# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests that a host's libvirt knows, through virsh."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from ..errors import OkiagariError
from ..runner import CommandFailed, reason
from .domain import asked_of, held_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from ..runner import Runner
    from .capacity import Held

_STATES = {1: "running", 2: "running", 3: "paused", 4: "running", 5: "stopped", 6: "stopped", 7: "paused"}
_STATE = re.compile(r"^Domain: '(?P<name>.*)'\n\s+state\.state=(?P<state>\d+)", re.MULTILINE)
_START_TIMEOUT = 120.0


class Domain(NamedTuple):
    """One guest: `state` is running, paused or stopped; `definition` is what its next start takes."""

    name: str
    state: str
    definition: str

    @property
    def asked(self) -> Mapping[str, Any] | None:
        """Give what was asked when it was made, or None when it isn't ours."""
        return asked_of(self.definition)

    @property
    def held(self) -> Held:
        """Give what it holds of the host."""
        return held_by(self.definition)


class Libvirt:
    """libvirt on this host, or with `uri` on another."""

    def __init__(self, runner: Runner, uri: str | None = None) -> None:
        self._runner = runner
        self._virsh = ["virsh", "--quiet", *(["--connect", uri] if uri else [])]

    def domains(self, absent_is_empty: bool = False) -> dict[str, Domain]:
        """Give all guests. Without virsh there are none; with `absent_is_empty` also without a libvirt that answers."""
        done = self._runner.run([*self._virsh, "domstats", "--state"], timeout=60)
        if done.rc == 127 or (done.rc and absent_is_empty):
            return {}
        if done.rc:
            raise CommandFailed(f"virsh domstats: {reason(done)}")
        found = [(match["name"], int(match["state"])) for match in _STATE.finditer(done.out)]
        return {name: Domain(name, _STATES.get(state, "stopped"), self.definition(name)) for name, state in found}

    def state(self, name: str) -> str | None:
        """Give a guest's state; None when there is none of this name."""
        done = self._runner.run([*self._virsh, "domstats", "--state", name], timeout=20)
        match = _STATE.search(done.out)
        return None if done.rc or match is None else _STATES.get(int(match["state"]), "stopped")

    def definition(self, name: str) -> str:
        """Give a guest's definition as it is kept."""
        return self.do("dumpxml", name, "--inactive")

    def do(self, *arguments: str, timeout: float = 60.0) -> str:
        """Run one command of virsh that must succeed, and give what it prints."""
        argv = [*self._virsh, *arguments]
        done = self._runner.run(argv, timeout=timeout)
        if done.rc:
            # It says first what it couldn't do, and then why.
            _what, *why = [line.strip() for line in done.err.splitlines() if line.strip()] or [""]
            said = [reason(done), *(line.removeprefix("error: ") for line in why)]
            raise CommandFailed(f"{' '.join(argv)}: {': '.join(said)}")
        return done.out

    def define(self, definition: str) -> None:
        """Define a guest."""
        done = self._runner.run([*self._virsh, "define", "/dev/stdin"], input=definition, timeout=60)
        if done.rc:
            raise CommandFailed(f"virsh define: {reason(done)}")

    def start(self, name: str, state: str | None) -> None:
        """Have a guest running, which is in `state` now."""
        if state == "paused":
            self.do("resume", name)
        elif state != "running":
            self.do("start", name, timeout=_START_TIMEOUT)

    def shut_down(self, names: Iterable[str], timeout: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Press the power button of running guests, and wait until they are off."""
        waiting = list(names)
        for name in waiting:
            if self.state(name) == "paused":
                self.do("resume", name)
            self.do("shutdown", name, "--mode", "acpi")
        waited = 0.0
        while waiting := [name for name in waiting if self.state(name) not in ("stopped", None)]:
            if waited >= timeout:
                raise OkiagariError(
                    f"{', '.join(waiting)} didn't shut down within {timeout:g} s of the power button: "
                    "with force=true their power is cut"
                )
            sleep(0.5)
            waited += 0.5

    def cut_power(self, name: str) -> None:
        """Stop a guest at once."""
        self.do("destroy", name)

    def forget(self, name: str) -> None:
        """Remove a guest's definition."""
        self.do("undefine", name, "--managed-save", "--snapshots-metadata", "--checkpoints-metadata")

    def has_kvm(self) -> bool:
        """Say whether guests run with the processor's help here."""
        return self._runner.run([*self._virsh, "domcapabilities", "--virttype", "kvm"], timeout=60).rc == 0
