# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the resident agent into one file, on the controller."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.bundle import Archive
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner


class ActionModule(ActionBase):
    """`okiagari.testbed.agent_bundle`: see the module of this name for its documentation."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, options = self.validate_argument_spec(
            {
                "requirements": {"type": "list", "elements": "path", "required": True},
                "python": {"type": "str", "required": True},
                "machine": {"type": "str", "required": True},
                "cache": {"type": "path"},
            }
        )
        cache = Path(options["cache"] or cache_directory(os.environ).parent / "agent")
        requirements = [Path(path) for path in options["requirements"]]
        try:
            archive = Archive(SubprocessRunner(), cache, requirements, options["python"], options["machine"])
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (cache / ".lock").open("w") as lock:
                # All hosts ask at once, and most of them for the same one.
                fcntl.flock(lock, fcntl.LOCK_EX)
                outcome = reconcile(
                    "present", self._task.check_mode,
                    read=archive.read, want=archive.want, create=archive.create, remove=archive.remove,
                )  # fmt: skip
        except OkiagariError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(
            changed=outcome.changed, path=str(archive.path), version=archive.version, diff=outcome.diff()
        )  # fmt: skip
        return result
