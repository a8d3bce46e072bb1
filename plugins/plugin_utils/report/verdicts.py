# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each verdict is called, and what the reader should do about it."""

from __future__ import annotations

from dataclasses import dataclass

from .reading import Report, entries, mapping, number, sentences, text
from .wording import UNKNOWN, milliseconds, plain, several


@dataclass(frozen=True)
class Verdict:
    """A verdict as the banner shows it; `icon` and `tone` are names that the page's template and style know."""

    name: str
    word: str
    icon: str
    tone: str
    meaning: str


_VERDICTS = {
    "held": Verdict("held", "Held", "check", "good", "The hypothesis held, and everything is as it was before."),
    "failed": Verdict("failed", "Failed", "cross", "bad", "The hypothesis didn't hold."),
    "aborted": Verdict("aborted", "Aborted", "stop", "caution", "The drill was stopped before its end."),
    "not_restored": Verdict(
        "not_restored", "Not restored", "alert", "bad", "Something is not as it was before the drill."
    ),
    "infrastructure": Verdict(
        "infrastructure",
        "Couldn't run",
        "plug",
        "neutral",
        "The testbed wasn't fit for the drill; this says nothing about the hypothesis.",
    ),
    "nothing_tested": Verdict(
        "nothing_tested", "Nothing tested", "empty", "neutral", "No fault was measured by any probe or stream."
    ),
}


def verdict_of(report: Report) -> Verdict:
    """The report's verdict; one that isn't known is shown as it is named, and never as a success."""
    name = text(report.get("verdict"), "unknown")
    return _VERDICTS.get(name) or Verdict(
        name, plain(name).capitalize() or "Unknown", "empty", "neutral", "There is no verdict."
    )


def summary_of(report: Report) -> str:
    """The report's own sentence, else what the verdict means."""
    return text(report.get("summary")) or verdict_of(report).meaning


def reasons_of(report: Report) -> list[str]:
    """Why not held, one sentence each, without repeating the summary."""
    return [reason for reason in sentences(report.get("reason")) if reason != text(report.get("summary"))]


def standing(report: Report) -> list[dict[str, object]]:
    """The faults that were injected and of which no undoing is known."""
    return [
        fault
        for fault in entries(report.get("faults"))
        if number(fault.get("injected")) is not None
        and number(fault.get("undone")) is None
        and fault.get("state") != "undone"
    ]


def injected(report: Report) -> bool:
    """Whether any fault is known to have been injected."""
    return any(number(fault.get("injected")) is not None for fault in entries(report.get("faults")))


def next_steps(report: Report) -> list[str]:
    """What to do now, most urgent first; empty after a drill that held and restored everything."""
    name = verdict_of(report).name
    steps: list[str] = []
    left = standing(report)
    if left:
        where = ", ".join(sorted({text(fault.get("target"), UNKNOWN) for fault in left}))
        steps.append(
            f"{several(len(left), 'fault')} may still stand on {where}. Each ends by itself with its lease; "
            "to end it now, run the playbook heal_all, which needs no memory of this drill."
        )
    elif report.get("restored") is False or name == "not_restored":
        steps.append(
            "Run the playbook heal_all; then set right by hand what the differences below still show, "
            "and run the drill again."
        )
    unreached = sorted(
        target for target, seen in mapping(report.get("targets")).items() if mapping(seen).get("reached") is False
    )
    if unreached:
        steps.append(
            f"Look at why {', '.join(unreached)} could not be reached: power, management network, SSH, Python 3."
        )
    if name in ("aborted", "infrastructure") and not injected(report):
        steps.append("No fault is known to have been injected. Remove the cause named above, and run the drill again.")
    elif name == "aborted" and not left:
        steps.append("Every fault that was injected is undone. Remove the cause named above, and run the drill again.")
    elif name == "infrastructure" and not left:
        steps.append(
            "Set the testbed right, then run the drill again: a drill that couldn't run proves nothing either way."
        )
    elif name == "failed":
        steps.append(
            f"Start at the longest outage ({milliseconds(report.get('outage_ms'))}) and at the failed probes below; "
            "they name the place and the second."
        )
    elif name == "nothing_tested":
        steps.append("Add a probe or a stream to the drill that the fault should touch, then run it again.")
    return steps
