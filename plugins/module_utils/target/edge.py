# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fault modules have in common: a keeper over an `AnsibleModule`, and a fault as a thing to reconcile."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import OkiagariError
from ..fault.kinds import find_kind
from ..fault.linux import LinuxBackend
from ..fault.model import Fault, parse_fault
from ..fault.node import resources
from ..proxy import open_proxy
from ..reconcile import Content, Outcome, reconcile
from ..runner import ModuleRunner
from .keeper import Keeper
from .lab_host import keeper_of_lab

# Ansible ships to the target only what is imported, and the program needs it.
from .main import main  # noqa: F401 # pylint: disable=unused-import
from .pack import bundle, install, name_of
from .store import Store
from .system import Clock, Places, boot_id, command
from .timers import SystemdTimers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fault.journal import Record
    from ..proxy import Proxy
    from .maker import Maker

LEASE_SPEC: dict[str, Any] = {
    "lease": {"type": "str"},
    "id": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    # For the task's action plugin, which has seen to it.
    "on_controller": {"type": "bool", "default": False},
}
LAB_SPEC: dict[str, Any] = {"lab": {"type": "path"}}


def keeper_of(module: Any, places: Places, program: Path) -> Keeper:
    """Give the keeper of the target that `module` runs on."""
    runner = ModuleRunner(module)
    timers = SystemdTimers(runner)
    called = command(program)
    backend = LinuxBackend(runner, resources(runner, called, str(places.journal)))
    return Keeper(backend, Store(places), timers, Clock(), boot_id(), called)


def keeper_to_end(module: Any) -> Maker:
    """Give the keeper of a module that only ends things: of its target, its `device`, or the power of its `lab`."""
    if module.params["device"]:
        return open_proxy(module.params["device"])
    places = Places()
    if module.params["lab"]:
        return keeper_of_lab(Path(module.params["lab"]), places.run)
    return keeper_of(module, places, places.run)


class FaultResource:
    """One fault, present or absent: on the device that the module names, else on this target."""

    def __init__(self, module: Any, kind: str, params: Mapping[str, Any]) -> None:
        self._module = module
        self._device = module.params.get("device")
        self._places = Places()
        self.keeper: Keeper | Proxy = (
            open_proxy(self._device)
            if self._device
            else keeper_of(module, self._places, self._places.run / name_of(bundle()))
        )
        self._kind, self._params = find_kind(kind), {key: value for key, value in params.items() if value is not None}
        self.id = module.params["id"] or self._default_id()
        self._record: Record | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.keeper.backend.close()

    def reconcile(self) -> dict[str, Any]:
        """Bring the fault to the module's `state`. Gives the module's result; raises `OkiagariError`."""
        outcome: Outcome = reconcile(
            self._module.params["state"],
            self._module.check_mode,
            read=self._read,
            want=self._want,
            create=self._inject,
            keep=self._renew,
            remove=self._undo,
        )
        receipt = self._record.receipt() if self._record else None
        return {"changed": outcome.changed, "diff": outcome.diff(), "fault": receipt}

    def _read(self) -> Content:
        found = next((each for each in self.keeper.records() if each.fault.id == self.id), None)
        self._record = found or self._record
        return _content(found.fault) if found and found.live else {}

    def _want(self) -> Content:
        fault = self._fault()
        if not self.keeper.standing(fault):
            self._record = self.keeper.examine(fault)
        return _content(fault)

    def _inject(self) -> None:
        if not self._device:
            install(self._places)
        self.keeper.inject(self._fault())

    def _renew(self) -> None:
        if self._module.params["state"] == "present":
            self._inject()

    def _undo(self) -> None:
        for record in self.keeper.undo([self.id], "module"):
            if record.live:
                raise OkiagariError(f"{record.fault.id}: {record.error}")

    def _fault(self) -> Fault:
        asked = {
            "id": self.id,
            "kind": self._kind.name,
            "params": self._params,
            "lease_s": self._module.params["lease"],
        }
        target = self._device["host"] if self._device else socket.gethostname()
        return parse_fault({**asked, "target": target})

    def _default_id(self) -> str:
        # Only what the fault claims counts, so that state=absent needs no more than that.
        claimed = {
            key: self._params[key]
            for key in ("interface", "prefix", "neighbor", "vrf", "path", "service")
            if key in self._params
        }
        digest = hashlib.sha256(repr((self._kind.name, sorted(claimed.items()))).encode()).hexdigest()
        return f"{self._kind.name}-{digest[:8]}"


def _content(fault: Fault) -> dict[str, Any]:
    return {"id": fault.id, "kind": fault.kind, "params": dict(fault.params)}
