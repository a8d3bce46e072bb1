# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a drill: read it here, let the engine run it, and say how it went."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.drill.permission import undertaking
from ..module_utils.drill.places import Device, Places, Power
from ..module_utils.drill.plan import plan_text, plans, timeline_text
from ..module_utils.drill.spec import MOST_SEED, parse
from ..module_utils.errors import BadInput, OkiagariError, Problem
from ..module_utils.proxy.described import KEYS, VARIABLE, Described, described
from ..module_utils.target.lab_host import FOLDER
from ..module_utils.values import Shape, mismatch
from ..plugin_utils.drill.gate import Gate
from ..plugin_utils.drill.launch import launch
from ..plugin_utils.project import in_project

_TESTBED: Shape = {"nodes": {"*": {"interfaces": list}}, "circuits": {"*": dict}, "sites": {"*": dict}}
_POWER: Shape = {"lab": str}
LAB = "lab@localhost"
"""What gives the nodes of an embedded lab their power. No node is called so."""
_CONNECTION_KEYS = (
    "ansible_connection",
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_become",
    "ansible_python_interpreter",
    "okiagari_directory",
)


class ActionModule(ActionBase):
    """The edge between Ansible and the drill's engine; nothing of a drill is decided here."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            return {**result, **self._drill(task_vars or {})}
        except BadInput as error:
            return {**result, "failed": True, "msg": f"The drill is refused, and nothing was done.\n{error}"}
        except OkiagariError as error:
            return {**result, "failed": True, "msg": str(error)}

    def _drill(self, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        arguments = _plain(self._task.args)
        testbed = arguments.pop("testbed", None) or _plain(task_vars.get("testbed"))
        if not isinstance(testbed, dict) or mismatch(testbed, _TESTBED):
            raise OkiagariError("there is no variable testbed: use the inventory plugin okiagari.testbed.testbed")
        hostvars = task_vars.get("hostvars") or {}
        power, powering = _power(testbed, hostvars)
        devices = _devices(testbed, hostvars)
        named = {
            node: Device(each.os, each.named(interface["name"] for interface in testbed["nodes"][node]["interfaces"]))
            for node, each in devices.items()
        }
        arguments["seed"] = _seed(arguments, task_vars)
        drill = parse(arguments, testbed, power, named)
        reports = in_project(self._loader.get_basedir(), arguments.get("reports") or "reports")
        plan = plans(drill, testbed, Places(testbed))
        folder = str(task_vars.get("testbed_consent") or "")
        # The engine asks again; what can't be read is told here, before there is anything to report.
        refused = Gate(undertaking(drill, plan, testbed), testbed, folder, reports)()
        if self._task.check_mode:
            text = plan_text(drill, plan, refused, shutil.get_terminal_size().columns)
            self._display.display(text)
            return {
                "changed": False,
                "plan": plan.programs,
                "seed": drill.seed,
                "refused": [str(problem) for problem in refused],
                "diff": {"prepared": text},
                "msg": f"{drill.name} was planned, and not run",
            }
        self._display.display(timeline_text(drill, shutil.get_terminal_size().columns))
        work = {
            "drill": arguments,
            "testbed": testbed,
            "power": {node: asdict(each) for node, each in power.items()},
            "devices": {node: asdict(each) for node, each in named.items()},
            "targets": {
                **_targets(testbed, hostvars),
                **{node: {VARIABLE: each.options} for node, each in devices.items()},
                **{by: powering[by] for by in sorted({fault.by for fault in drill.faults if fault.by})},
            },
            "reports": str(reports),
            "consent": folder,
            "parallel": int(task_vars.get("okiagari_parallel", 32)),
        }
        return _told(launch(work, self._progress))

    def _progress(self, phase: str, text: str) -> None:
        self._display.display(f"  {phase:>8}  {text}")


def _seed(arguments: Mapping[str, Any], task_vars: Mapping[str, Any]) -> Any:
    """The seed that is asked for, the variable before the drill's own, or one of this run."""
    asked = (_plain(task_vars.get("drill_seed")), arguments.get("seed"), secrets.randbelow(MOST_SEED + 1))
    return next(seed for seed in asked if seed is not None)


def _targets(testbed: Mapping[str, Any], hostvars: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The connection of every node: also those without a fault are compared before and after."""
    absent = sorted(node for node in testbed["nodes"] if node not in hostvars)
    if absent:
        raise OkiagariError(f"not in the inventory: {', '.join(absent)}; a drill compares every node of its testbed")
    return {
        node: {key: _plain(hostvars[node][key]) for key in _CONNECTION_KEYS if hostvars[node].get(key) is not None}
        for node in testbed["nodes"]
    }


def _power(
    testbed: Mapping[str, Any], hostvars: Mapping[str, Any]
) -> tuple[dict[str, Power], dict[str, dict[str, Any]]]:
    """What gives each node its power, by its variable `okiagari_power`; and the connections of what does."""
    power: dict[str, Power] = {}
    powering: dict[str, dict[str, Any]] = {}
    for node in testbed["nodes"]:
        given = _plain(hostvars[node].get("okiagari_power")) if node in hostvars else None
        if given is None:
            continue
        if mismatch(given, _POWER) or not Path(given["lab"]).is_absolute():
            raise OkiagariError(f"{node}: its variable okiagari_power isn't of the form {{lab: DIRECTORY}}")
        power[node] = Power(LAB, node)
        powering[LAB] = {
            "ansible_python_interpreter": sys.executable,
            "okiagari_directory": str(Path(given["lab"]) / FOLDER),
            "okiagari_lab": given["lab"],
        }
    return power, powering


def _devices(testbed: Mapping[str, Any], hostvars: Mapping[str, Any]) -> dict[str, Described]:
    """The nodes on which no program can run, by their variables."""
    found: dict[str, Described] = {}
    problems: list[Problem] = []
    for node, entry in testbed["nodes"].items():
        if node not in hostvars:
            continue
        known = {key: _plain(hostvars[node].get(key)) for key in KEYS}
        try:
            device = described(node, {**known, "testbed_node": entry})
        except BadInput as error:
            problems += error.problems
        else:
            found |= {node: device} if device else {}
    if problems:
        raise BadInput(problems)
    return found


def _told(result: dict[str, Any]) -> dict[str, Any]:
    where = f" The report is in {result['report']}." if result["report"] else ""
    return {
        **result,
        "changed": result["restored"] is False,
        "failed": result["verdict"] != "held",
        "msg": result["summary"] + where,
    }


def _plain(value: Any) -> Any:
    """A copy without Ansible's own types, whose templates are resolved by reading them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return None if value is None else str(value)
