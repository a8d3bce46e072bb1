# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of all fault modules have in common on the controller: they don't strike it by mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action.normal import ActionModule as Normal

if TYPE_CHECKING:
    from collections.abc import Mapping


class FaultTask(Normal):
    """A task of a fault module. One that is delegated to localhost for a device, but names none, is refused."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._connection.transport == "local" and strikes_here(self._task.args):
            return {
                "failed": True,
                "msg": "this would strike the controller itself, where the connection local leads: run the task on its "
                "target, or say with device which device is meant, or on_controller: true if it is the controller",
            }
        result: dict[str, Any] = super().run(tmp, task_vars)
        return result


def strikes_here(arguments: Mapping[str, Any]) -> bool:
    """Say whether a task brings a fault to where it runs, although nobody has said that this may be the controller."""
    ends = arguments.get("state") == "absent"
    return not (ends or arguments.get("device") or boolean(arguments.get("on_controller") or False, strict=False))
