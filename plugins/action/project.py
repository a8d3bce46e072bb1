# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a project's request on the controller, where its file and lines are known; the registrar decides on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.errors import BadInput, OkiagariError
from ..module_utils.project.request import plain, read
from ..module_utils.topology.load import parse_file
from ..module_utils.topology.schema import Problems

_NEEDS_TESTBED = ("present", "moved")
_FILE = re.compile(r".*(?:/|\.ya?ml$|\.json$).*")


class ActionModule(ActionBase):
    """`okiagari.testbed.project`: see the module of this name for its documentation."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        state = arguments.get("state", "present")
        try:
            if state in _NEEDS_TESTBED and not arguments.get("testbed"):
                arguments["testbed"] = _testbed(task_vars or {})
            project = arguments.get("project")
            if isinstance(project, str) and _FILE.fullmatch(project):
                arguments["project"] = _request(project, arguments.get("testbed") or _testbed(task_vars or {}), state)
        except BadInput as error:
            return {**result, "failed": True, "msg": f"The request is refused, and nothing was done.\n{error}"}
        except OkiagariError as error:
            return {**result, "failed": True, "msg": str(error)}
        done = self._execute_module(
            module_name="okiagari.testbed.project", module_args=arguments, task_vars=task_vars or {}
        )
        return {**result, **done}


def _testbed(task_vars: Mapping[str, Any]) -> dict[str, Any]:
    testbed = task_vars.get("testbed")
    if not isinstance(testbed, Mapping):
        raise OkiagariError("there is no variable testbed: use the inventory plugin okiagari.testbed.testbed")
    return dict(testbed)


def _request(file: str, testbed: Mapping[str, Any], state: str) -> Any:
    """Give what the file asks for; raise `BadInput` with all that is wrong with it, unless it is only to be removed."""
    problems = Problems(file)
    root = parse_file(file, problems)
    if root is not None and state == "present":
        read(root, problems, testbed)
    if problems.found:
        raise BadInput(sorted(problems.found, key=lambda problem: problem.line or 0))
    return plain(root) if root is not None else None
