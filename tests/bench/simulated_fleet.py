# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of simulated targets on one machine: the real target program, resident, over simulated kernels.

The start of the program and each of its commands take their time, as on a target, but asleep: on a real one it is
that target's processor. Each target is called through a stand-in for Python at a path of its own, which takes the
request to the process that the target lives in.
"""

from __future__ import annotations

import json
import multiprocessing
import socketserver
import threading
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.target.main import Commands
from ansible_collections.okiagari.testbed.plugins.module_utils.target.program import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.target.runtime import Runtime, Stopped
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Clock, Places
from ansible_collections.okiagari.testbed.plugins.module_utils.target.timers import Timers
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import SimulatedKernel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed

START_S = 0.1
"""The start of the program, as it takes in a node of the lab."""
COMMAND_S = 0.005
"""One `ip` or `tc`."""

PYTHON = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port}
printf '%s\\n%s\\n' "$5" "$(</dev/stdin)" >&3
exec cat <&3
"""


class SlowKernel(SimulatedKernel):
    """Its commands take as long as real ones."""

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        time.sleep(COMMAND_S)
        return super().run(argv, input, timeout)


class Ended(Stopped, SystemExit):
    """Stops a runner, and ends the threads that it has started."""


class RunnerClock(Clock):
    """The clock of a runner, which a unit's end interrupts."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def sleep(self, seconds: float) -> None:
        if self.ended.wait(max(0.0, seconds)):
            raise Ended


class ThreadTimers(Timers):
    """Leases and runners as threads."""

    unit_is = "thread"

    def __init__(self, target: ResidentTarget) -> None:
        self._target = target
        self._leases: dict[str, threading.Timer] = {}
        self._runners: dict[str, tuple[threading.Thread, RunnerClock]] = {}

    def available(self) -> bool:
        return True

    def arm(self, unit: str, delay: float, command: Sequence[str]) -> None:
        timer = self._leases[unit] = threading.Timer(delay, self._expire, (unit, command[-2]))
        timer.daemon = True
        timer.start()

    def _expire(self, unit: str, fault_id: str) -> None:
        self._target.expire(fault_id, unit)
        self._leases.pop(unit, None)

    def disarm(self, unit: str) -> None:
        if timer := self._leases.pop(unit, None):
            timer.cancel()

    def start(self, unit: str, command: Sequence[str]) -> None:
        clock = RunnerClock()
        thread = threading.Thread(target=self._target.work, args=(command[-1], clock), daemon=True)
        self._runners[unit] = (thread, clock)
        thread.start()

    def stop(self, unit: str) -> None:
        self.disarm(unit)
        if unit in self._runners:
            thread, clock = self._runners.pop(unit)
            clock.ended.set()
            thread.join()

    def units(self) -> list[str]:
        return sorted([*self._leases, *(unit for unit, (thread, _clock) in self._runners.items() if thread.is_alive())])


class ResidentTarget(Commands):
    """The target program, started once, with its own places and its own kernel."""

    def __init__(self, home: Path, interfaces: Sequence[Mapping[str, Any]]) -> None:
        kernel = SlowKernel()
        for interface in interfaces:
            kernel.add_link(interface["name"], *filter(None, [interface.get("address")]))
        places = Places(str(home / "state"), str(home / "state" / "run"))
        super().__init__(places, kernel, Clock(), ("okiagari",), ThreadTimers(self))

    def work(self, drill: str, clock: Clock) -> None:
        """Do as `run`, which asks for signals that no thread gets."""
        time.sleep(START_S)
        folder = self.places.drill(drill)
        program = parse({"target": self.host, **json.loads((folder / "program.json").read_text())})
        Runtime(program, self.keeper, self.runner, clock, folder, self.look).run()

    def asked(self, command: str, request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(START_S)
        try:
            answer: dict[str, Any] = getattr(self, command)(request)
        except OkiagariError as error:
            return {"error": str(error)}
        return answer


def start(directory: Path, nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Start a target for each node, each a process, as each has processors of its own; give their inventory variables.

    The processes end with this one.
    """
    variables = {}
    for name in sorted(nodes):
        ours, theirs = multiprocessing.Pipe()
        (directory / name).mkdir()
        arguments = (directory / name, nodes[name]["interfaces"], theirs)
        multiprocessing.Process(target=_serve, args=arguments, daemon=True).start()
        variables[name] = _stand_in(directory / name, ours.recv())
    return variables


def _stand_in(home: Path, port: int) -> dict[str, Any]:
    python = home / "python"
    python.write_text(PYTHON.format(port=port))
    python.chmod(0o755)
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": str(python),
        "okiagari_directory": str(home / "run"),
    }


def _serve(home: Path, interfaces: Sequence[Mapping[str, Any]], told: Any) -> None:
    # How a runner's threads end is no news.
    threading.excepthook = lambda _raised: None
    target = ResidentTarget(home, interfaces)

    class Call(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            command = self.rfile.readline().decode().strip()
            answer = target.asked(command, json.loads(self.rfile.readline() or b"{}"))
            self.wfile.write(json.dumps(answer).encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Call) as server:
        told.send(server.server_address[1])
        server.serve_forever()
