# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's output in a benchmark: when each task began, by play, and what went wrong, as JSON into a file."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_times
type: stdout
short_description: when each task began
description: Writes the times at which tasks began, and the last one ended, to the file that C(TASK_TIMES) names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "task_times"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._plays: list[list[float]] = []
        self._wrong: list[str] = []

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._end()
        self._plays.append([])

    def v2_playbook_on_task_start(self, task: Any, is_conditional: Any) -> None:
        self._end()

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._wrong.append(str(result._result.get("msg")))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._wrong.append(str(result._result.get("msg")))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end()
        Path(os.environ["TASK_TIMES"]).write_text(json.dumps({"plays": self._plays, "wrong": self._wrong}))

    def _end(self) -> None:
        if self._plays:
            self._plays[-1].append(time.monotonic())
