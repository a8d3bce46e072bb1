# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target program's command line: JSON in, one JSON object out, and no traceback."""

from __future__ import annotations

import json
import os
import socket
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError
from ..values import from_json
from .system import Clock, Places, SubprocessRunner, WaitingProcess, be_punctual, boot_id, command, write_safely

# What only some commands need they import themselves: nothing is cached, so on a slow target each import is felt.
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ..fault.backend import Backend
    from ..runner import Runner
    from .maker import Maker
    from .timers import Timers

Answer = dict[str, Any]
_AGENT_S = 4.0


class Commands:
    """The commands, each from the JSON on stdin to the JSON on stdout. Units call `run`, `expire`, `load`."""

    needs_root = True
    expected = frozenset({"link", "mtu", "netem", "drop", "flower", "route"})
    here = True
    """Whether the target is the host on which this runs, whose agent is then the target's."""

    def __init__(
        self, places: Places, runner: Runner, clock: Clock, program: Sequence[str], timers: Timers | None = None
    ) -> None:
        self.places = places
        self.runner = runner
        self.clock = clock
        self.program = tuple(program)
        self.host = socket.gethostname()
        if timers:
            self.timers = timers

    @cached_property
    def timers(self) -> Timers:
        from .timers import SystemdTimers

        return SystemdTimers(self.runner)

    @cached_property
    def backend(self) -> Backend:
        from ..fault.linux import LinuxBackend
        from ..fault.node import resources

        start = WaitingProcess if isinstance(self.runner, SubprocessRunner) else None
        return LinuxBackend(self.runner, resources(self.runner, self.program, str(self.places.journal)), start)

    @cached_property
    def keeper(self) -> Maker:
        from .keeper import Keeper
        from .store import Store

        return Keeper(self.backend, Store(self.places), self.timers, self.clock, boot_id(), self.program)

    def hello(self, _request: Mapping[str, Any]) -> Answer:
        """Give the clock first: the caller halves the time of this answer."""
        now = self.clock.now()
        systemd = self.timers.available()
        missing = sorted(self.expected - self.backend.capabilities())
        return {
            "time": now,
            "boot_id": boot_id(),
            "hostname": self.host,
            "systemd": systemd,
            "missing": missing if systemd else [*missing, "lease"],
            # Whoever isn't root can't look there.
            "agent": self.here and os.path.exists(self.places.agent / "agent.sock"),  # noqa: PTH110
        }

    def snapshot(self, _request: Mapping[str, Any]) -> Answer:
        return self.look()

    def look(self, parts: Collection[str] = ()) -> Answer:
        """Give the target's state, or what some parts of it need."""
        from .snapshot import take

        return take(self.runner, parts)

    def inject(self, request: Mapping[str, Any]) -> Answer:
        from ..fault.model import parse_fault

        return self.keeper.inject(parse_fault({"target": self.host, **request})).receipt()

    def undo(self, request: Mapping[str, Any]) -> Answer:
        """Give the receipts of all faults asked for, also of those that were over before."""
        from ..values import items, text

        asked = _asked("undo", request, {"ids": items, "by": text}, optional=("by",))
        ids = [_check_id(each) for each in asked["ids"]]
        self.keeper.undo(ids, asked.get("by", "module"))
        return {"receipts": [record.receipt() for record in self.keeper.records() if record.fault.id in ids]}

    def probe(self, request: Mapping[str, Any]) -> Answer:
        from ..values import items, mapping
        from .probes import ask_all

        asked = _asked("probe", request, {"probes": items}, optional=("probes",))
        return {"results": ask_all(self.runner, [mapping(each) for each in asked.get("probes", ())])}

    def claim(self, request: Mapping[str, Any]) -> Answer:
        """Take the target for a drill's run; if another has it, say which, and for how long at most."""
        from ..units import duration
        from ..values import text

        asked = _asked("claim", request, {"drill": _check_id, "who": text, "seconds": duration})
        granted, claim = self.keeper.claim(asked["drill"], asked["who"], asked["seconds"])
        left = self.keeper.claims.left(claim)
        return {"claimed": granted, "drill": claim.drill, "who": claim.who, "seconds": left if left > 0 else None}

    def release(self, request: Mapping[str, Any]) -> Answer:
        from ..values import text

        asked = _asked("release", request, {"drill": _check_id, "who": text})
        self.keeper.release(asked["drill"], asked["who"])
        return {}

    def arm(self, request: Mapping[str, Any]) -> Answer:
        """Arm the same program as often as you like: a caller that lost the first answer may ask again."""
        from ..fault.lease import drill_unit
        from ..units import DAY_S
        from .program import parse
        from .writers import log_of, refusal

        program = parse({"target": self.host, **request})
        unit = drill_unit(program.drill)
        folder = self.places.drill(program.drill)
        if self.timers.running(unit):
            if self._program(folder) == request:
                return {"armed": True, "unit": unit, "time": self.clock.now()}
            raise OkiagariError(f"the drill {program.drill} is already running on this target: abort it first")
        self._mind_others(program.drill)
        refused = [f"writer {spec['id']}: {why}" for spec in program.writers if (why := refusal(spec))]
        if refused:
            raise OkiagariError("; ".join(refused))
        begins = min((planned.at for planned in program.faults), default=program.ends)
        until_t0 = program.t0 - self.clock.now()
        if until_t0 > DAY_S:
            raise OkiagariError("T0 is more than a day away: nothing was armed; compare the clocks and arm again")
        if until_t0 + begins <= 0:
            raise OkiagariError("T0 is in the past: nothing was armed; compare the clocks and arm again")
        faults = [(planned.fault, until_t0 + planned.until + 1.0) for planned in program.faults]
        self.keeper.arm(program.drill, faults)
        try:
            stale = [log_of(folder, spec["id"]) for spec in program.writers]
            for path in (folder / "events.jsonl", folder / "streams.json", *stale):
                path.unlink(missing_ok=True)
            write_safely(folder / "program.json", json.dumps(request).encode())
            self.timers.start(unit, (*self.program, "run", program.drill))
        except (OkiagariError, OSError):
            for fault, _delay in faults:
                self.keeper.give_up(fault.id, "the drill's runner could not be started")
            raise
        try:
            self._mind_others(program.drill)
        except OkiagariError:
            self.timers.stop(unit)
            raise
        return {"armed": True, "unit": unit, "time": self.clock.now()}

    def _mind_others(self, drill: str) -> None:
        """Whoever ends a drill, or has the target by now, may have overtaken the one who arms it."""
        holder = self.keeper.claims.holder()
        if holder and holder.drill != drill:
            raise OkiagariError(f"this target is that of the drill {holder.drill} ({holder.who})")
        if by := self.keeper.store.stopped(drill):
            raise OkiagariError(f"the drill {drill} was stopped by {by}: start it anew")

    def run(self, drill: str) -> Answer:
        import signal

        from .program import parse
        from .runtime import Runtime, Stopped

        folder = self.places.drill(_check_id(drill))
        program = parse({"target": self.host, **self._program(folder)})

        def stop(_signal: int, _frame: object) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Stopped

        signal.signal(signal.SIGTERM, stop)
        Runtime(program, self.keeper, self.runner, self.clock, folder, self.look).run()
        return {}

    def status(self, request: Mapping[str, Any]) -> Answer:
        from ..fault.lease import drill_unit
        from ..values import items

        asked = _asked("status", request, {"drill": _check_id, "probes": items}, optional=("probes",))
        drill, events = asked["drill"], self._events(asked["drill"])
        return {
            "running": self.timers.running(drill_unit(drill)),
            "stopped": self.keeper.store.stopped(drill),
            "events": len(events),
            "faults": self._receipts(drill),
            "probes": [result for result in _results(events) if result["id"] in asked.get("probes", ())],
        }

    def collect(self, request: Mapping[str, Any]) -> Answer:
        drill = _drill("collect", request)
        events = self._events(drill)
        folder = self.places.drill(drill)
        streams = folder / "streams.json"
        return {
            "stopped": self.keeper.store.stopped(drill),
            "events": [event for event in events if event["event"] != "probe"],
            "faults": self._receipts(drill),
            "streams": json.loads(streams.read_text(encoding="utf-8")) if streams.exists() else [],
            "writers": self._written(folder),
            "probes": _results(events),
        }

    def abort(self, request: Mapping[str, Any]) -> Answer:
        """End one drill, or with `all` every one that runs here."""
        from ..values import flag, text

        readers = {"drill": _check_id, "by": text, "all": flag}
        asked = _asked("abort", request, readers, optional=("by", "all", *(("drill",) if request.get("all") else ())))
        drills = self.keeper.drills() if asked.get("all") else [asked["drill"]]
        for drill in drills:
            self.keeper.abort(drill, asked.get("by", "its controller"))
        return {"drills": drills, "faults": [receipt for drill in drills for receipt in self._receipts(drill)]}

    def heal(self, request: Mapping[str, Any]) -> Answer:
        from ..values import flag

        asked = _asked("heal", request, {"check": flag}, optional=("check",))
        return dict(self.keeper.heal(asked.get("check", False)))

    def log(self, request: Mapping[str, Any]) -> Answer:
        """Put events into the log of this host's agent, and give the rows that a query has there."""
        from ..agent.client import Connection
        from ..values import items, text

        asked = _asked("log", request, {"tell": items, "query": text})
        with Connection(self.places.agent, _AGENT_S) as agent:
            list(agent.ask({"op": "tell", "events": asked["tell"]}))
            found = agent.ask({"op": "query", "text": asked["query"]})
            return {"rows": [said["row"] for said in found if "row" in said]}

    def expire(self, fault_id: str, unit: str) -> Answer:
        receipts = [record.receipt() for record in self.keeper.expire(_check_id(fault_id), unit)]
        if any(receipt["undone_at"] is None for receipt in receipts):
            raise OkiagariError(receipts[0]["error"] or "not undone")
        return {"receipts": receipts}

    def load(self, document: str) -> Answer:
        """Be a load, until the unit is stopped. The command is written by the back-end of this very program."""
        from .load import carry, notify

        carry(json.loads(document), notify)
        return {}

    def _written(self, folder: Path) -> list[Answer]:
        from .writers import results

        return results(self._program(folder).get("writers", ()), self.host, folder)

    def _program(self, folder: Path) -> Answer:
        path = folder / "program.json"
        found: Answer = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return found

    def _events(self, drill: str) -> list[Answer]:
        path = self.places.drill(drill) / "events.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def _receipts(self, drill: str) -> list[Answer]:
        return [record.receipt() for record in self.keeper.of_drill(drill)]


ASKED = (
    "hello", "snapshot", "inject", "undo", "probe",
    "claim", "release", "arm", "status", "collect", "abort", "heal", "log",
)  # fmt: skip
CALLED_BY_UNITS = {"run": 1, "expire": 2, "load": 1}
PUNCTUAL = ("run", "expire")


def main() -> int:
    """Run the command of `sys.argv`; give 0, or 1 after printing `{"error": ...}`.

    With `--lab DIRECTORY` before it, it is about the power of that lab's nodes.
    """
    program, argv = Path(sys.argv[0]).absolute(), sys.argv[1:]
    lab = argv[:1] == ["--lab"] and len(argv) > 1
    if lab:
        from .lab_host import LabCommands

        commands: Commands = LabCommands(Path(argv[1]), program)
        argv = argv[2:]
    else:
        commands = Commands(Places(), SubprocessRunner(), Clock(), command(program))
    if argv and argv[0] in PUNCTUAL:
        be_punctual(inherited=not lab)
    return answer(commands, argv, sys.stdin.read)


def answer(commands: Commands, argv: Sequence[str], read: Callable[[], str]) -> int:
    """Run one command and print its answer; `read` gives the standard input, and is only called where there is one."""
    return tell(lambda: _dispatch(commands, argv, read))


def tell(ask: Callable[[], Answer]) -> int:
    """Print what `ask` answers, or why it doesn't; give the exit code."""
    try:
        result = ask()
    except OkiagariError as error:
        result, code = {"error": str(error)}, 1
    except OSError as error:
        result, code = {"error": f"{error.filename or 'the target'}: {error.strerror}"}, 1
    except Exception as error:  # noqa: BLE001 -- the caller can only read JSON, whatever goes wrong
        result, code = {"error": f"an error inside Okiagari, please report it: {type(error).__name__}: {error}"}, 1
    else:
        code = 0
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    return code


def _dispatch(commands: Commands, argv: Sequence[str], read: Callable[[], str]) -> Answer:
    name, arguments = (argv[0], argv[1:]) if argv else ("", ())
    if commands.needs_root and os.geteuid() != 0 and name not in ("hello", "snapshot"):
        raise OkiagariError("this needs root on the target: use become")
    if name in CALLED_BY_UNITS and len(arguments) == CALLED_BY_UNITS[name]:
        result: Answer = getattr(commands, name)(*arguments)
        return result
    if name not in ASKED or arguments:
        from ..suggest import nearest

        near = nearest(name, ASKED)
        raise OkiagariError(
            f"{name!r} is not a command: there are {', '.join(ASKED)}" + (f"; did you mean {near}?" if near else "")
        )
    text = read() if name not in ("hello", "snapshot") else ""
    try:
        request = from_json(text) if text.strip() else {}
    except BadValue as error:
        raise OkiagariError(f"{name}: the input {error}") from error
    if not isinstance(request, dict):
        raise OkiagariError(f"{name}: the input is not a JSON object")
    answered: Answer = getattr(commands, name)(request)
    return answered


def _check_id(value: object) -> str:
    from ..fault.model import check_id

    return check_id(value)


def _results(events: Sequence[Answer]) -> list[Answer]:
    return [event["result"] for event in events if event["event"] == "probe"]


def _drill(name: str, request: Mapping[str, Any]) -> str:
    return str(_asked(name, request, {"drill": _check_id})["drill"])


def _asked(
    name: str,
    request: Mapping[str, Any],
    readers: Mapping[str, Callable[[object], Any]],
    optional: Sequence[str] = (),
) -> Answer:
    """Give what the command `name` is asked for. Raises `BadInput` with all that is wrong."""
    from ..fault.model import Problems

    problems = Problems()
    asked = problems.read(name, request, readers, optional)
    problems.raise_if_any()
    return asked
