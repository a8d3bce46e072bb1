# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process: reads its work file, runs the drill, and writes the report whatever happens.

Started as `python -m ...plugin_utils.drill WORKFILE PIPE`. The work file's directory is the engine's own, for its
connections too, and it removes it in the end. On stdout it gives one JSON object a line: progress
(`{"phase": ..., "text": ...}`), and at last `{"result": {...}}`. The end of the pipe means that Ansible is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...module_utils.drill.devices import watched
from ...module_utils.drill.permission import undertaking
from ...module_utils.drill.places import Device, Places, Power
from ...module_utils.drill.plan import plans
from ...module_utils.drill.spec import parse
from ...module_utils.drill.verdict import EXIT_CODES
from ...module_utils.errors import OkiagariError
from ...module_utils.target import bundle, name_of
from ..report import link_latest, write_reports
from ..summary import write_page
from . import history
from .account import iso
from .engine import Engine, RealPace
from .gate import Gate
from .lock import Lock
from .remote import DeviceRemote, Program, Remote, connect
from .watch import stop_file, watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...module_utils.drill.model import Drill


def main(arguments: list[str]) -> int:
    """Run the drill of the work file; give its exit code."""
    work_file = Path(arguments[0])
    scratch = work_file.parent
    try:
        result = _guarded(json.loads(work_file.read_text(encoding="utf-8")), int(arguments[1]), scratch)
    except OkiagariError as error:
        result = _refusal(str(error))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _tell({"result": result})
    return int(result["exit_code"])


def _guarded(work: Mapping[str, Any], pipe: int, scratch: Path) -> dict[str, Any]:
    reports, pace = Path(work["reports"]), RealPace()
    power = {node: Power(**each) for node, each in work["power"].items()}
    devices = {node: Device(**each) for node, each in work["devices"].items()}
    drill = parse(work["drill"], work["testbed"], power, devices)
    plan = plans(drill, work["testbed"], Places(work["testbed"]))
    gate = Gate(undertaking(drill, plan, work["testbed"]), work["testbed"], work["consent"], reports)
    user, host = history.user(), socket.gethostname()
    who = f"{user}@{host}, process {os.getpid()}"
    remotes = _remotes(work["targets"], scratch, drill)
    engine = Engine(drill, plan, work["testbed"], remotes, pace, _progress, work["parallel"], gate, who)
    started, until = engine.state.started, engine.state.started + drill.expected_s
    run = {"drill": drill.name, "run": engine.state.id, "user": user, "host": host, "sites": gate.asked.sites}
    times = {"since": iso(started), "until": iso(until)}
    lock = Lock(reports / ".lock", {**times, "pid": os.getpid(), "who": who, **run})
    try:
        if lock.left:
            killed = _killed(lock.left, pace.now())
            history.append(reports, killed)
            _progress(
                "check", f"the run before, {killed['drill']} of {killed['started']}, was killed; it is in the history"
            )
        _watch(engine, pipe, stop_file(reports))
        directory = _directory(reports / drill.name, engine.state.id)
        _progress("check", f"the report will be in {directory}")
        report = engine.run()
        try:
            write_reports(report, directory)
            link_latest(reports, directory)
        finally:
            kept = {**history.outcome(report), "report": f"{drill.name}/{directory.name}"}
            history.append(reports, {**run, **kept})
        try:
            write_page(reports, datetime.now(UTC))
        except OSError as error:
            _progress("report", f"the summary of all runs is as it was: {error}")
        _progress("report", str(directory))
        return _result(report, engine.state.refused, directory)
    finally:
        lock.release()


def _killed(left: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Give the history of a run whose engine was killed, from what it said when it began.

    How far it came isn't known, but by now, or at the latest when it would have, it has ended.
    """
    known = {key: left.get(key) for key in ("drill", "run", "user", "host", "sites")}
    ended = min(filter(None, (left.get("until"), iso(now))))
    return {**known, "started": left.get("since"), "ended": ended, "verdict": None, "armed": True}


def _remotes(targets: Mapping[str, Mapping[str, Any]], scratch: Path, drill: Drill) -> dict[str, Remote]:
    content = bundle()
    program = Program(content, name_of(content))
    found: dict[str, Remote] = {}
    for number, (name, variables) in enumerate(sorted(targets.items())):
        if name in drill.devices:
            found[name] = DeviceRemote(name, variables["okiagari_device"], watched(drill, name))
        else:
            found[name] = connect(name, variables, program, scratch, number)
    return found


def _watch(engine: Engine, pipe: int, stopped_by: Path) -> None:
    """Abort on the signals that ask for it, when Ansible, at the other end of the pipe, is gone, and on the file."""
    heard, told = os.pipe()

    def stop(number: int, _frame: object) -> None:
        # A handler may come while the engine holds any lock, so that all it does is to write.
        os.write(told, bytes([number]))

    threading.Thread(target=watch, args=(engine.abort, pipe, heard, stopped_by), daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _directory(parent: Path, run: str) -> Path:
    """Make the run's own directory. A second run within the same second has a number added."""
    for name in (run, *(f"{run}-{number}" for number in range(2, 100))):
        try:
            (parent / name).mkdir(parents=True)
            return parent / name
        except FileExistsError:
            continue
    raise OkiagariError(f"{parent} holds a hundred runs of this second")


def _result(report: Mapping[str, Any], refused: list[str], directory: Path) -> dict[str, Any]:
    keys = ("drill", "run", "verdict", "exit_code", "summary", "reason", "restored", "outage_ms", "timing")
    return {**{key: report[key] for key in keys}, "refused": refused, "report": str(directory)}


def _refusal(message: str) -> dict[str, Any]:
    """The result of a drill that could not even begin, and so left no report."""
    return {
        "verdict": "infrastructure",
        "exit_code": EXIT_CODES["infrastructure"],
        "summary": f"Infrastructure: {message}",
        "reason": [message],
        "restored": None,
        "outage_ms": None,
        "refused": [],
        "report": None,
    }


def _progress(phase: str, text: str) -> None:
    _tell({"phase": phase, "text": text})


def _tell(message: Mapping[str, Any]) -> None:
    """Nobody may be listening any more; the report is what counts then."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
