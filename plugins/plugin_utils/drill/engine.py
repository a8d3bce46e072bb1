# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of a drill, from the check to the comparison."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from ...module_utils.drill import compile as compiler
from ...module_utils.drill import expectations
from ...module_utils.drill.blast import without_majority
from ...module_utils.drill.check import Asked
from ...module_utils.drill.compare import differences
from ...module_utils.drill.model import READY_S, Drill
from ...module_utils.drill.places import Places
from ...module_utils.drill.verdict import NOTHING
from ...module_utils.errors import BadInput, Problem
from ...module_utils.fault.kinds import KINDS
from . import account, log
from .asking import Asking
from .fleet import Answers, Fleet, Interrupted
from .lock import BusyError
from .run import Run
from .wording import announcements, many

if TYPE_CHECKING:
    from ...module_utils.drill.model import Probe
    from ...module_utils.drill.plan import Plan
    from .remote import Answer, Remote

_MOST_UNCERTAIN_S = 0.5
_LEAD_S = 2.0
# What a slow and busy target takes to arm one fault more.
_FAULT_S = 0.5
_POLL_S = 2.0
_CALM_S = 1.0
_RECOVER_POLL_S = 0.5
_QUICK_S = 5.0
_SETTLE_S = 30.0
_SETTLE_POLL_S = 1.0
_ABORT_TRIES = 3
_LAST_ANSWER_S = 3.0
_STALE_KEYS = ("leases", "qdiscs", "routes")

Progress = Callable[[str, str], None]
Gate = Callable[[], Sequence[Problem]]


class Pace(Protocol):
    """The engine's time."""

    def now(self) -> float:
        """Epoch seconds."""

    def wait(self, seconds: float, unless: threading.Event) -> None:
        """Wait, but not longer than until the event is set."""


class RealPace:
    """This machine's clock."""

    def now(self) -> float:
        return time.time()

    def wait(self, seconds: float, unless: threading.Event) -> None:
        unless.wait(max(0.0, seconds))


class Halt(Exception):  # noqa: N818
    """The drill doesn't go on; why is in the run's facts."""


class Engine:
    """Runs one drill. `abort` may be called from any thread or signal handler; `run` always comes to its report.

    `gate` says what stands against the drill now, or raises `BadInput`; it is asked before anybody is contacted.
    `plan` is the drill's own; `who` runs it, for people.
    """

    def __init__(
        self,
        drill: Drill,
        plan: Plan,
        testbed: Mapping[str, Any],
        remotes: Mapping[str, Remote],
        pace: Pace,
        progress: Progress,
        parallel: int = 32,
        gate: Gate = tuple,
        who: str = "",
    ) -> None:
        self._drill = drill
        self._plan = plan
        self._gate = gate
        self._who = who
        self._claimed_until: float | None = None
        self._places = Places(testbed)
        self._fleet = Fleet(remotes, parallel)
        self._pace = pace
        self._say = progress
        self._stop = threading.Event()
        self._never = threading.Event()
        self._closing = False
        self._armed: dict[str, dict[str, Any]] = {}
        self._agents: list[str] = []
        self._slowest_s = 0.0
        self._patience = 0.0
        started = pace.now()
        self.state = Run(drill, testbed, f"{datetime.fromtimestamp(started, UTC):%Y%m%dT%H%M%SZ}", started)
        self._asking = Asking(self.state, self._places, self._fleet, pace.now, self._wait)

    def abort(self, reason: str) -> None:
        """End the drill now: faults are undone, the state is compared, and the report is made."""
        if not self._stop.is_set():
            self.state.abort_reason = reason
            self._stop.set()
            self._fleet.interrupt()

    def run(self) -> dict[str, Any]:
        """Go through all phases and give the report."""
        try:
            for name in ("check", "gather", "before", "arm", "run", "recover", "after", "compare"):
                self._phase(name)
        except Halt:
            self._close_down()
        except Exception as error:  # noqa: BLE001 - whatever it is, the faults must end and the report be made
            self.state.facts.infrastructure.append(f"the engine failed: {type(error).__name__}: {error}")
            self._close_down()
        self._fleet.persist()
        self._release()
        self.state.ended = self._pace.now()
        report = account.report(self.state, self._places)
        self._log(report)
        self._fleet.close()
        return report

    def _log(self, report: dict[str, Any]) -> None:
        """Exchange with the testbed's agents, where it has some: they hear of the drill, and the report of them."""
        if self._agents:
            try:
                report["log"] = log.exchange(self._fleet, self._agents, self.state, report)
            except Exception as error:  # noqa: BLE001 - the report is there, and nothing may cost it
                self._say("compare", f"nothing is known of the agents' log: {type(error).__name__}: {error}")

    def _close_down(self) -> None:
        """Nothing interrupts this: it is what an abort is for."""
        self._closing = True
        self._fleet.persist()
        if not self._armed:
            return
        for name in ("recover", "compare"):
            try:
                self._phase(name)
            except Halt:
                continue

    def _phase(self, name: str) -> None:
        phase: dict[str, Any] = {"name": name, "started": account.iso(self._pace.now()), "outcome": "ok", "detail": ""}
        self.state.phases.append(phase)
        steps: dict[str, Callable[[], str]] = {
            "check": self._check,
            "gather": self._gather,
            "before": self._before,
            "arm": self._arm,
            "run": self._run,
            "recover": self._recover,
            "after": self._after,
            "compare": self._compare,
        }
        try:
            self._mind_abort()
            try:
                phase["detail"] = steps[name]()
            except Interrupted:
                self._mind_abort()
                raise
            if phase["detail"]:
                self._say(name, phase["detail"])
            if name != "compare":
                self._mind_abort()
        except Halt as halt:
            phase["outcome"], phase["detail"] = "halted", str(halt)
            self._say(name, str(halt))
            raise
        finally:
            phase["ended"] = account.iso(self._pace.now())

    def _mind_abort(self) -> None:
        if self._stop.is_set() and not self._closing:
            self.state.aborted_at = self._pace.now()
            self._halt("aborted", [f"the drill was aborted: {self.state.abort_reason}"])

    def _mind_stopped(self, answers: Mapping[str, Answer]) -> None:
        """Halt if somebody ended the drill on its targets."""
        stopped = next(((target, by) for target, each in sorted(answers.items()) if (by := each.get("stopped"))), None)
        if stopped and not self._closing:
            self.state.aborted_at = self._pace.now()
            self.state.abort_reason = "stopped on {} by {}".format(*stopped)
            self._halt("aborted", [f"the drill was {self.state.abort_reason}"])

    def _halt(self, fact: str, reasons: list[str]) -> NoReturn:
        getattr(self.state.facts, fact).extend(reasons)
        raise Halt("; ".join(reasons))

    def _check(self) -> str:
        if not self._drill.tests_something:
            self.state.facts.tests_something = False
            raise Halt(NOTHING)
        try:
            refused = self._gate()
        except BadInput as error:
            refused = error.problems
        self.state.refused = [str(problem) for problem in refused]
        if refused:
            self._halt("aborted", self.state.refused)
        most = max((len(radius.cut) for radius in self._plan.radii), default=0)
        targets = len({fault.maker for fault in self._drill.faults})
        faults = many(len(self._drill.faults), "fault")
        return f"{faults} on {many(targets, 'target')}, at most {many(most, 'circuit')} cut at once"

    def _gather(self) -> str:
        hello = self._fleet.call("hello")
        self.state.reached = {name: name in hello.of for name in self._fleet.remotes}
        # Those that no fault strikes first: they have not been away.
        struck = {fault.target for fault in self._drill.faults}
        agents = [name for name, answer in hello.of.items() if answer.get("agent")]
        self._agents = sorted(agents, key=lambda name: (name in struck, name))
        if hello.failed:
            self._halt("infrastructure", hello.reasons)
        self._claim()
        clocks = self._fleet.each(self._fleet.remotes, lambda remote: remote.clock())
        if clocks.failed:
            self._halt("infrastructure", clocks.reasons)
        self.state.clocks = clocks.of
        taken = self._steady()
        self.state.before = taken.of
        problems = taken.reasons + self._unfit(hello.of)
        if problems:
            self._halt("infrastructure", problems)
        members = [target for target, snapshot in taken.of.items() if "storage" in snapshot]
        if refused := without_majority(self._drill, self._plan.radii, self.state.testbed, members):
            self._halt("aborted", [str(problem) for problem in refused])
        worst = max((clock.uncertainty for clock in clocks.of.values()), default=0.0)
        return f"{many(len(hello.of), 'target')} reached, clocks known to {1000 * worst:.1f} ms"

    def _claim(self) -> None:
        """Have all targets for this run alone, for as long as it may take; a controller that dies holds up nobody."""
        start, lasts = self._pace.now(), self._drill.expected_s
        self._claimed_until = start + lasts
        request = {"drill": self.state.name, "who": self._who, "seconds": lasts}
        answers = self._fleet.call("claim", dict.fromkeys(self._fleet.remotes, request))
        holders: dict[tuple[Any, ...], list[str]] = {}
        for target, answer in sorted(answers.of.items()):
            if not answer["claimed"]:
                holders.setdefault((answer["drill"], answer["who"]), []).append(target)
        busy = []
        for (drill, who), targets in holders.items():
            left = max((answers.of[target]["seconds"] or 0.0 for target in targets), default=0.0)
            until = account.iso(self._pace.now() + left) if left else None
            busy.append(f"{targets[0]}: {BusyError(drill, who, until=until)}")
        if busy or answers.failed:
            self._halt("infrastructure", busy + answers.reasons)

    def _release(self) -> None:
        """Let go of the targets. One that doesn't hear it lets go by itself."""
        if self._claimed_until is not None:
            request = {"drill": self.state.name, "who": self._who}
            self._fleet.call("release", dict.fromkeys(self._fleet.remotes, request), timeout=_QUICK_S)

    def _steady(self) -> Answers[Answer]:
        """Take snapshots until two running are equal: what still moves can't be compared with itself later."""
        deadline = self._pace.now() + _SETTLE_S
        earlier: dict[str, Answer] | None = None
        while True:
            start = self._pace.now()
            taken = self._fleet.call("snapshot")
            self._slowest_s = self._pace.now() - start
            moved = differences(earlier, taken.of) if earlier is not None else []
            if taken.failed or (earlier is not None and not moved):
                return taken
            if moved and self._pace.now() > deadline:
                places = sorted({f"{item['target']}: {item['path']}" for item in moved})
                self._halt(
                    "infrastructure", [f"not steady for {_SETTLE_S:g} s, {place} still changes" for place in places]
                )
            if moved:
                self._say("gather", f"waiting for the testbed to settle ({many(len(moved), 'change')})")
            earlier = taken.of
            self._pace.wait(_SETTLE_POLL_S, self._stop)
            self._mind_abort()

    def _unfit(self, hello: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Why the testbed isn't fit for this drill now."""
        found = [
            f"{target}: its clock is only known to {clock.uncertainty:.2f} s"
            for target, clock in sorted(self.state.clocks.items())
            if clock.uncertainty > _MOST_UNCERTAIN_S
        ]
        for fault in self._drill.faults:
            missing = {*KINDS[fault.kind].needs(fault.params), "lease"} & set(
                hello.get(fault.maker, {}).get("missing", ())
            )
            found += [f"{fault.maker}: {fault.kind} needs {name}, which the target lacks" for name in sorted(missing)]
        for target, snapshot in sorted(self.state.before.items()):
            left = [item for key in _STALE_KEYS for item in snapshot.get("okiagari", {}).get(key, ())]
            if left:
                found.append(
                    f"{target}: an earlier fault still stands ({', '.join(map(str, left))}); run heal_all first"
                )
        return found

    def _before(self) -> str:
        failed = self._asking.ask("before") + self._asking.remember()
        if failed:
            self._halt("aborted", [f"before the faults: {text}" for text in failed])
        return self._asking.held("before")

    def _arm(self) -> str:
        most = max(Counter(fault.maker for fault in self._drill.faults).values(), default=0)
        lead = _LEAD_S + 2 * self._slowest_s + _FAULT_S * most
        if self._pace.now() + lead + self._drill.expected_s - READY_S > (self._claimed_until or 0.0):
            self._claim()
        start = self._pace.now()
        t0 = start + lead
        offsets = {target: clock.offset for target, clock in self.state.clocks.items()}
        self._armed = compiler.programs(self._drill, self.state.name, self._places, t0, offsets)
        for target, program in self._armed.items():
            program["target"] = target
            if program["faults"]:
                program["before"] = self.state.before[target]
        self.state.t0 = t0
        answers = self._fleet.call("arm", self._armed)
        now = self._pace.now()
        self.state.arm_s = now - start
        if answers.failed:
            self._mind_stopped(self._fleet.call("status", self._of_run()).of)
            self._halt("infrastructure", answers.reasons)
        if now > t0:
            self._halt("infrastructure", [f"arming took {now - start:.1f} s, and T0 passed meanwhile"])
        return f"{many(len(self._armed), 'target')} armed in {now - start:.1f} s, T0 in {t0 - now:.1f} s"

    def _run(self) -> str:
        t0 = self.state.t0 or self._pace.now()
        words = announcements(self._drill)
        asked, peeked = t0, not self._drill.faults
        stops = [probe for probe in self._drill.of_phase("on_fault") if probe.stop]
        halfway = min((fault.latest + fault.lasts / 2 for fault in self._drill.faults), default=0.0)
        while (since := self._pace.now() - t0) < self._drill.ends + 0.3:
            self._mind_abort()
            while words and words[0][0] <= since:
                self._say("run", words.pop(0)[1])
            if not peeked and since >= halfway:
                peeked = True
                self.state.during = self._ask_all("snapshot", self._fleet.remotes.keys() - self._drill.silenced(since))
            elif since + t0 >= asked + _POLL_S and not self._about_to_change(since):
                asked = since + t0
                self._look_in(since)
            stops = [probe for probe in stops if not self._mind_stop(probe, since)]
            following = words[0][0] if words else self._drill.ends + 0.3
            self._pace.wait(min(max(0.01, following - since), 1.0), self._stop)
        return ""

    def _about_to_change(self, since: float) -> bool:
        """Say whether a fault comes or goes so soon that a question now would make it late on a slow target."""
        return any(0 <= instant - since < _CALM_S for fault in self._drill.faults for instant in (fault.at, fault.ends))

    def _look_in(self, since: float) -> None:
        """Ask one target after the other how it goes, gently, and end early if a fault couldn't be injected."""
        targets = sorted(self._armed.keys() - self._drill.silenced(since))
        if not targets:
            return
        target = targets[int(since / _POLL_S) % len(targets)]
        answer = self._fleet.call("status", {target: {"drill": self.state.name}}, timeout=_QUICK_S).of.get(target)
        if answer is None:
            return
        self._mind_stopped({target: answer})
        failed = [fault for fault in answer.get("faults", ()) if fault.get("state") == "failed"]
        if failed:
            self._halt("infrastructure", [f"{target}: {fault['id']}: {fault.get('error')}" for fault in failed])
        if not answer.get("running") and 0 < since < self._drill.ends - 1:
            self._halt("infrastructure", [f"{target}: its runner ended early"])

    def _mind_stop(self, probe: Probe, since: float) -> bool:
        """End the drill if the probe doesn't hold; say whether that is settled."""
        check, asked_for = probe.check, since - (probe.at or 0.0)
        if not isinstance(check, Asked) or asked_for < 0:
            return False
        request = {check.source: {"drill": self.state.name, "probes": [probe.id]}}
        answer = self._fleet.call("status", request, timeout=_QUICK_S).of.get(check.source, {})
        first = min(fault.at for fault in self._drill.faults)
        outcomes = account.judged(self.state, self._places, probe, check, answer.get("probes", ()), first)
        right = [bool(outcome["ok"]) for outcome in outcomes]
        if not outcomes or not probe.patience.settled(right, asked_for - _LAST_ANSWER_S):
            return False
        outcome = expectations.repeated(probe, outcomes)
        if not outcome["ok"]:
            self.state.cut_short = True
            self._halt("failed", [f"{outcome['name']}: {outcome['detail']}; the drill was ended for it"])
        return True

    def _recover(self) -> str:
        silenced = self._silenced()
        if self._closing:
            self._abort_targets(self._armed.keys() - silenced)
        start = self._pace.now()
        self._patience = start + self._drill.recover_timeout_s
        self._await_back(silenced)
        if self._closing:
            self._abort_targets(self._armed.keys() & silenced)
        self._collect(silenced)
        self._mind_stopped(self.state.collected)
        taken = self._await_restored()
        if self._left(taken):
            return f"after {self._drill.recover_timeout_s:g} s not everything is as before"
        return f"everything is as before after {self._pace.now() - start:.1f} s"

    def _silenced(self) -> set[str]:
        """Give the targets that a fault has silenced by now."""
        return set() if self.state.t0 is None else self._drill.silenced(self._pace.now() - self.state.t0)

    def _await_back(self, silenced: Collection[str]) -> None:
        """Wait, as long as patience allows, until all that were silenced answer again."""
        gone = set(silenced)
        if gone:
            self._say("recover", f"waiting for {', '.join(sorted(gone))} to answer again")
        while gone and self._pace.now() < self._patience:
            gone -= self._ask_all("hello", gone).keys()
            if gone:
                self._pace.wait(_RECOVER_POLL_S, self._never if self._closing else self._stop)
                self._mind_abort()

    def _ask_all(self, command: str, targets: Collection[str]) -> dict[str, Answer]:
        """Give the answers of those targets that answer soon."""
        return self._fleet.call(command, {target: {} for target in targets}, timeout=_QUICK_S).of

    def _await_restored(self) -> Answers[Answer]:
        """Give the first snapshots that are as before, or the last ones that patience allows."""
        while True:
            taken = self._fleet.call("snapshot", timeout=_QUICK_S, tries=_ABORT_TRIES)
            if not self._left(taken):
                self.state.restored_at = self._pace.now()
                return taken
            if self._pace.now() >= self._patience:
                return taken
            self._pace.wait(_RECOVER_POLL_S, self._never if self._closing else self._stop)
            self._mind_abort()

    def _left(self, taken: Answers[Answer]) -> list[str]:
        """In what the testbed isn't as before, in words."""
        found = differences(self.state.before, taken.of)
        left = [f"{item['target']}: {item['path']} is not as before" for item in found]
        return left + [f"not known whether it is as before: {reason}" for reason in taken.reasons]

    def _of_run(self) -> dict[str, dict[str, Any]]:
        """Give the request that names this run, for each target that has a part in it."""
        return {target: {"drill": self.state.name} for target in self._armed}

    def _abort_targets(self, targets: Collection[str]) -> None:
        if not targets:
            return
        self._say("recover", f"aborting on {many(len(targets), 'target')}")
        asked = {target: request for target, request in self._of_run().items() if target in targets}
        answers = self._fleet.call("abort", asked, timeout=_QUICK_S, tries=_ABORT_TRIES, urgent=True)
        for reason in answers.reasons:
            self.state.facts.infrastructure.append(f"{reason}; its faults end by themselves with their leases")

    def _collect(self, silenced: Collection[str]) -> None:
        answers = self._fleet.call("collect", self._of_run(), tries=_ABORT_TRIES)
        self.state.collected = answers.of
        # One that was silenced and isn't back is told below, as something that isn't as before.
        self.state.facts.infrastructure += [
            f"nothing collected: {error}" for target, error in sorted(answers.failed.items()) if target not in silenced
        ]

    def _after(self) -> str:
        self.state.facts.failed += [f"after the faults: {text}" for text in self._asking.ask("after")]
        return self._asking.held("after")

    def _compare(self) -> str:
        facts = self.state.facts
        # Something may have changed once more since it was as before, a session under load for example.
        taken = self._await_restored()
        self.state.after = taken.of
        facts.left += self._left(taken)
        check = self._fleet.call("heal", {target: {"check": True} for target in taken.of}, tries=2)
        marks = {target: answer["found"] for target, answer in check.of.items() if answer.get("found")}
        facts.left += [f"{target}: a fault was still standing, and is healed now" for target in sorted(marks)]
        facts.left += [f"not known whether a fault still stands: {reason}" for reason in check.reasons]
        if marks:
            self._fleet.call("heal", {target: {"check": False} for target in marks}, tries=2)
        facts.restored = not facts.left
        return "everything is as before" if facts.restored else "; ".join(facts.left)

    def _wait(self, seconds: float) -> None:
        self._pace.wait(seconds, self._stop)
        self._mind_abort()
