# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One wish about one node: what is, what shall be, how to get there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from .lab import Lab, providers
from .provider import Provider, choose

if TYPE_CHECKING:
    from .plan import NodePlan

_ALIVE = ("starting", "running", "paused")


class NodeDesire:
    """The reconcile step of one node: `state` is started, stopped, killed or paused."""

    def __init__(self, lab: Lab, node: NodePlan, state: str, provider: str, image: Path | None, timeout: float) -> None:
        self._lab, self._node, self._state = lab, node, state
        self._provider, self._image, self._timeout = provider, image, timeout

    def read(self) -> dict[str, str]:
        """Give the node's state; raise when it can't be brought to the wish without losing something."""
        found = self._lab.node_state(self._node.name)
        if self._state == "started" and found["state"] != "absent":
            again = "run playbooks/lab_down.yml, then lab_up.yml"
            if found["fingerprint"] != self._node.fingerprint:
                raise OkiagariError(f"{self._node.name} was made from an older description of the testbed: {again}")
            if self._image and found["image"] != self._image.name:
                raise OkiagariError(f"{self._node.name} was made from an older node image: {again}")
            if self._provider not in ("auto", found["provider"]):
                raise OkiagariError(
                    f"{self._node.name} was made for {found['provider']}, not for {self._provider}: {again}"
                )
        if self._state == "paused" and found["state"] not in _ALIVE:
            raise OkiagariError(f"{self._node.name} is {found['state']}: only a running node can be paused")
        return {"state": _coarse(found["state"])}

    def want(self) -> dict[str, str]:
        """Give the state as `read` would show it once the wish is true."""
        if self._state == "started":
            return {"state": "running"}
        if self._state == "paused":
            return {"state": "paused"}
        return {"state": "absent" if self._lab.node_state(self._node.name)["state"] == "absent" else "stopped"}

    def act(self) -> None:
        """Bring the node there, and wait for it."""
        name = self._node.name
        found = self._lab.node_state(name)
        if self._state == "killed":
            self._lab.space.kill_node(name)
        elif self._state == "stopped":
            self._lab.pause(name, stop=False)
            self._lab.stop(name, self._timeout)
        elif self._state == "paused":
            self._lab.pause(name, stop=True)
        elif found["state"] in _ALIVE:
            self._lab.pause(name, stop=False)
        else:
            if found["state"] == "stopping":
                self._lab.stop(name, self._timeout)
            self._lab.start(self._node, self._chosen(found["provider"] or self._provider))
        self.wait()

    def wait(self) -> None:
        """Wait until a started node takes logins."""
        if self._state == "started" and self._timeout:
            self._lab.wait_ready(self._node.name, self._timeout)

    def _chosen(self, provider: str) -> Provider:
        return choose(provider, providers(self._image or Path(), provider))


def _coarse(state: str) -> str:
    """A starting node is on its way: waiting for it changes nothing."""
    return "running" if state == "starting" else state
