# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records an Ansible run in the log of the agents: what changed, what failed, where, and how long it took."""

from __future__ import annotations

DOCUMENTATION = r"""
name: record
type: notification
short_description: Records a run of Ansible in the log of the agents
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Tells the agent of this machine when a playbook and its plays begin, each task that changed something or failed at a
    host, and how the run ended. The agents hold it as they hold what they tell themselves, so that a query shows both.
  - All events of a run have one trace, which is shown at its end.
  - Of a result there is its message, and nothing at all where C(no_log) is set.
  - Where this machine has no agent nothing is recorded, and a warning says so; M(okiagari.testbed.log_tell) tells an
    agent of another host. A run never fails for its record, and doesn't wait for an agent that is away.
options:
  run:
    description: The folder with the agent's local socket.
    type: path
    default: /run/okiagari-agent
    env:
      - name: OKIAGARI_AGENT_RUN
    ini:
      - section: callback_record
        key: run
requirements:
  - To be enabled in the configuration, C(callbacks_enabled = okiagari.testbed.record).
"""

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible import context
from ansible.plugins.callback import CallbackBase

from ..module_utils.agent.client import Away, Connection
from ..module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWER_S = 2.0
_RETRY_S = 10.0
_MOST = 10_000
_BATCH = 500
_LETTERS = 1000
_HOSTS = 100


class Recorder:
    """Tells an agent what happens, in few requests, and keeps it while the agent is away, as long as it isn't much."""

    def __init__(self, connect: Callable[[], Connection], trace: str, warn: Callable[[str], object]) -> None:
        self.told = 0
        self._connect, self._trace, self._warn = connect, trace, warn
        self._connection: Connection | None = None
        self._events: list[dict[str, Any]] = []
        self._count = self._lost = 0
        self._off = False
        self._not_before = 0.0

    def add(self, values: dict[str, Any], *, important: bool = False) -> None:
        if self._off:
            return
        self._count += 1
        if len(self._events) >= _MOST:
            self._lost += 1
            return
        # By its number an event counts once, also if an answer is lost and it is told again.
        self._events.append({
            "source": "ansible", "trace": self._trace, "values": values, "important": important, "time": time.time(),
            "id": [self._trace, self._count],
        })  # fmt: skip

    def tell(self, *, last: bool = False) -> None:
        """Tell what has gathered."""
        if self._off or (time.monotonic() < self._not_before and not last):
            return
        try:
            while self._events:
                if self._connection is None:
                    self._connection = self._connect()
                for _said in self._connection.ask({"op": "tell", "events": self._events[:_BATCH]}):
                    pass
                self.told += len(self._events[:_BATCH])
                del self._events[:_BATCH]
        except Away as error:
            self._disconnect()
            self._not_before = time.monotonic() + _RETRY_S
            if not self.told:
                self._end(f"this run is not recorded: {error}")
        except OkiagariError as error:
            self._end(f"this run is not recorded any further: {error}")
        if last:
            lost = self._lost + len(self._events)
            self._end(f"{lost} events of this run are not recorded" if lost else "")

    def _end(self, why: str) -> None:
        self._disconnect()
        self._events = []
        if why and not self._off:
            self._warn(why)
        self._off = True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class CallbackModule(CallbackBase):
    """Turns what Ansible says into events."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "okiagari.testbed.record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.trace = f"ansible-{secrets.token_hex(6)}"
        self._recorder = Recorder(self._connect, self.trace, self._display.warning)
        self._begun: dict[tuple[str, str], float] = {}
        self._started = time.monotonic()

    def v2_playbook_on_start(self, playbook: Any) -> None:
        values = {"event": "playbook_started", "playbook": str(playbook._file_name)}
        self._recorder.add({**values, "check": bool(context.CLIARGS.get("check"))}, important=True)
        self._recorder.tell()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._recorder.add({"event": "play_started", "play": play.get_name().strip()})
        self._recorder.tell()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        self._recorder.tell()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._begun[host.get_name(), task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.is_changed():
            self._note(result, "changed")
        self._begun.pop(_key(result), None)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._note(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._note(result, "unreachable")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._begun.pop(_key(result), None)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        of = {host: stats.summarize(host) for host in sorted(stats.processed)}
        sums = {
            key: sum(one[key] for one in of.values())
            for key in ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")
        }
        bad = [host for host, one in of.items() if one["failures"] or one["unreachable"]]
        values = {"event": "playbook_ended", "hosts": len(of), **sums, "failed_hosts": bad[:_HOSTS]}
        self._recorder.add({**values, "ms": _since(self._started)}, important=True)
        self._recorder.tell(last=True)
        if self._recorder.told:
            self._display.display(f"\nRECORDED as trace {self.trace}")

    def _connect(self) -> Connection:
        return Connection(Path(self.get_option("run")), _ANSWER_S)

    def _note(self, result: Any, status: str) -> None:
        values = {
            "event": f"task_{status}", "target": result.host.get_name(), "task": result.task.get_name()[:_LETTERS],
            "action": result.task.action,
        }  # fmt: skip
        begun = self._begun.pop(_key(result), None)
        values |= {} if begun is None else {"ms": _since(begun)}
        said = result.result
        if "censored" not in said and not result.task.no_log:
            values |= {"message": str(said["msg"])[:_LETTERS]} if said.get("msg") else {}
            values |= {"rc": said["rc"]} if isinstance(said.get("rc"), int) else {}
        self._recorder.add(values, important=status in ("failed", "unreachable"))


def _key(result: Any) -> tuple[str, str]:
    return result.host.get_name(), result.task._uuid


def _since(begun: float) -> float:
    return round(1000 * (time.monotonic() - begun), 1)
