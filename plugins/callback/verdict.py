# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a playbook that ran drills: one clear block, and the drill's exit code."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verdict
type: aggregate
short_description: Shows how drills went, and leaves with their exit code
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - After a playbook that ran M(okiagari.testbed.drill), prints the verdict of each drill, its outage, whether
    everything was restored, and where the report is.
  - Makes C(ansible-playbook) leave with the exit code of the worst verdict, from 0 for C(held) to 5 for
    C(nothing_tested). The worst is C(not_restored), then C(infrastructure), C(aborted), C(failed), C(nothing_tested).
  - Where every drill held, or there was none, Ansible's own exit code stays as it is. A drill whose failure the
    playbook ignores (C(ignore_errors), C(failed_when)) is shown, but doesn't decide.
options:
  refused_exit_code:
    description:
      - What to leave with when a drill may not run now; the testbed's windows, blackouts, pause and consent decide.
        Nobody was contacted then.
      - Where nobody watches, a code of its own tells this from what is wrong with the drill or the testbed.
    type: int
    default: 2
    env:
      - name: OKIAGARI_REFUSED_EXIT_CODE
    ini:
      - section: callback_verdict
        key: refused_exit_code
requirements:
  - To be enabled in the configuration, C(callbacks_enabled = okiagari.testbed.verdict).
"""

import atexit
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from ansible.plugins.callback import CallbackBase

from ..module_utils.drill.verdict import EXIT_CODES, worst

if TYPE_CHECKING:
    from collections.abc import Mapping

_DRILL_ACTIONS = ("okiagari.testbed.drill", "drill")
_COLOURS = {"held": "green", "failed": "red", "not_restored": "bright red", "aborted": "yellow"}
_OTHER_COLOUR = "bright purple"


class CallbackModule(CallbackBase):
    """Collects the results of drills."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "okiagari.testbed.verdict"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Ansible doesn't flush: in a pipe or a log nobody would see how a drill goes before it is over.
            sys.stdout.reconfigure(line_buffering=True)
        self._results: list[Mapping[str, Any]] = []
        self._deciding: list[Mapping[str, Any]] = []

    def v2_runner_on_ok(self, result: Any) -> None:
        self._keep(result, decides=False)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._keep(result, decides=not ignore_errors)

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002
        for result in self._results:
            self._display.display(block(result), color=_COLOURS.get(result["verdict"], _OTHER_COLOUR))
        if self._deciding and (code := self._exit_code()):
            atexit.register(_leave, code)

    def _exit_code(self) -> int:
        verdict = worst([result["verdict"] for result in self._deciding])
        if all(result.get("refused") for result in self._deciding if result["verdict"] == verdict):
            return int(self.get_option("refused_exit_code"))
        return EXIT_CODES[verdict]

    def _keep(self, result: Any, decides: bool) -> None:
        found = result.result
        if result.task.action not in _DRILL_ACTIONS or found.get("verdict") not in EXIT_CODES:
            return
        self._results.append({"drill": result.task.args.get("name", "drill"), **found})
        if decides:
            self._deciding.append(found)


def block(result: Mapping[str, Any]) -> str:
    """Give the lines that say how a drill went."""
    outage, restored = result.get("outage_ms"), result.get("restored")
    lines = [
        "",
        f"DRILL {result['drill']}: {str(result['verdict']).replace('_', ' ').upper()}",
        f"  outage    {'not measured' if outage is None else f'{outage:g} ms'}",
        f"  restored  {'not known' if restored is None else 'yes' if restored else 'NO'}",
        *(f"  because   {reason}" for reason in result.get("reason") or ()),
        f"  report    {result.get('report') or 'none'}",
        "",
    ]
    return "\n".join(lines)


def _leave(code: int) -> None:
    """End the process with our code: Ansible has none of its own for this, and asks no plugin for one."""
    atexit.unregister(_leave)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)
