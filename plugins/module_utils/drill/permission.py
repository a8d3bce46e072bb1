# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a drill may run at an instant: the testbed's windows, blackouts and pause, and what its sites say to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, Problem
from ..topology.timetable import DAYS, Blackout, Rules, SiteRules, day, zone
from ..values import text
from .blast import edge_of
from .reader import name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..topology.schema import Item, Problems
    from .model import Drill
    from .plan import Plan

_FORESEEN = timedelta(days=366)
_ANY = "*"

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Undertaking:
    """What a drill asks permission for: to touch `sites`, for at most `lasts_s` seconds from now on."""

    drill: str
    sites: tuple[str, ...]
    lasts_s: float


@dataclass(frozen=True)
class Approval:
    """A site approves a drill, or all of them (`*`), until the end of that date."""

    drill: str
    by: str
    until: date


@dataclass(frozen=True)
class Approvals:
    """What the sites have approved. `folder` is where their files are, for people to look at."""

    folder: str = "consent"
    of: Mapping[str, Sequence[Approval]] = field(default_factory=dict)


def read_approvals(item: Item, problems: Problems) -> tuple[Approval, ...]:
    """Read what one site has approved; what is wrong with it goes to `problems`."""

    def entries(whole: Item) -> list[Item]:
        if not isinstance(whole.value, list):
            raise BadValue("must be a list such as - {drill: circuit_cut, by: A. Person, until: 2026-12-31}")
        return whole.value

    readers = {
        "drill": lambda child: _ANY if child.value == _ANY else name(child.value),
        "by": lambda child: text(child.value),
        "until": lambda child: day(child.value),
    }
    found = [problems.fields(entry, readers, required=readers) for entry in problems.read(item, entries) or ()]
    return tuple(Approval(**values) for values in found if values.keys() == readers.keys())


def undertaking(drill: Drill, plan: Plan, testbed: Mapping[str, Any]) -> Undertaking:
    """Give what the drill undertakes. It touches the sites that docs/reference/drill.md says."""
    # What gives the nodes their power is no node itself.
    nodes = set(plan.programs) & testbed["nodes"].keys() | {fault.target for fault in drill.faults}
    edges = {edge_of(fault, testbed) for fault in drill.faults}
    edges |= {edge for radius in plan.radii for edge in radius.cut}
    for circuit in map(testbed["circuits"].get, edges):
        nodes |= {circuit["a"], circuit["b"]} if circuit else set()
    sites = {testbed["nodes"][node].get("site") for node in nodes}
    sites |= {site for radius in plan.radii for site in radius.isolated}
    for prefix in (ip_network(fault.params["prefix"]) for fault in drill.faults if "prefix" in fault.params):
        theirs = {site: ip_network(each["prefix"]) for site, each in testbed["sites"].items()}
        sites |= {site for site, own in theirs.items() if own.version == prefix.version and own.overlaps(prefix)}
    return Undertaking(drill.name, tuple(site for site in testbed["sites"] if site in sites), drill.expected_s)


def refusals(
    asked: Undertaking, testbed: Mapping[str, Any], approvals: Approvals, at: datetime, last: datetime | None = None
) -> list[Problem]:
    """Give all that stands against the drill at the aware instant `at`; `last` is when the drill before it ended."""
    rules = Rules.from_dict(testbed["drills"])
    sites = {site: SiteRules.from_dict(testbed["sites"][site]["drills"]) for site in asked.sites}
    return [*_calendar(asked, rules, sites, at, last), *_consent(asked, rules, sites, approvals, at)]


def _calendar(
    asked: Undertaking, rules: Rules, sites: Mapping[str, SiteRules], at: datetime, last: datetime | None
) -> Iterator[Problem]:
    at, local, lasts = at.astimezone(UTC), zone(rules.timezone), timedelta(seconds=asked.lasts_s)
    rested = max(at, last.astimezone(UTC) + timedelta(seconds=rules.pause_s)) if last else at
    named: dict[str, Rules | SiteRules] = {"": rules, **sites}
    horizon = (at, rested + lasts + _FORESEEN)
    spans = {site: _spans(own, local, horizon) for site, own in named.items()}
    common = [horizon]
    for each in spans.values():
        common = list(_both(common, each))
    start = next((max(begin, rested) for begin, end in common if max(begin, rested) + lasts <= end), None)
    when = (
        f"it may run from {_instant(start, local)} on"
        if start
        else f"there is no time within a year for the {asked.lasts_s / 60:.0f} min that it may take"
    )
    if last and rested > at:
        message = f"the drill before it ended at {_instant(last, local)}, and the pause is {rules.pause_s / 60:g} min"
        yield Problem("", None, "drills.pause", f"{message}: {when}")
    for site, own in named.items():
        if not any(begin <= at and at + lasts <= end for begin, end in spans[site]):
            key, why = _reason(own, local, spans[site], at, lasts, site or "the testbed")
            place = f"sites.{site}.drills" if site else "drills"
            yield Problem("", None, f"{place}.{key}", f"{why}: {when}")


def _reason(
    own: Rules | SiteRules, local: tzinfo, spans: Sequence[Span], at: datetime, lasts: timedelta, whose: str
) -> tuple[str, str]:
    """Give the key, and in words why none of these spans holds the whole drill."""
    dark = [(each, *_dates(each, local)) for each in own.blackouts]
    if ends := next((end for begin, end in spans if begin <= at < end), None):
        key = "blackouts" if ends in [begin for _each, begin, _end in dark] else "windows"
        late = _instant(at + lasts, local)
        return key, f"the time of {whose} ends at {_instant(ends, local)}, and the drill may take until {late}"
    for each, begin, end in dark:
        if begin <= at < end:
            days = each.first if each.first == each.last else f"{each.first} to {each.last}"
            return "blackouts", f"{days} is a blackout of {whose}"
    return "windows", f"outside the windows of {whose}"


def _consent(
    asked: Undertaking, rules: Rules, sites: Mapping[str, SiteRules], approvals: Approvals, at: datetime
) -> Iterator[Problem]:
    ends = (at + timedelta(seconds=asked.lasts_s)).astimezone(zone(rules.timezone)).date()
    for site, own in sites.items():
        place = f"sites.{site}.drills.consent"
        if own.consent == "never":
            message = f"{site} takes part in no drill: choose faults, traffic and probes that don't touch it"
            yield Problem("", None, place, message)
        if own.consent != "ask":
            continue
        given = [approval for approval in approvals.of.get(site, ()) if approval.drill in (asked.drill, _ANY)]
        if not any(ends <= approval.until for approval in given):
            over = f" (it did so until {max(approval.until for approval in given)})" if given else ""
            line = f"{{drill: {asked.drill}, by: ..., until: ...}}"
            message = f"{site} must approve{over}: add {line} to {approvals.folder}/{site}.yml"
            yield Problem("", None, place, message)


def _spans(own: Rules | SiteRules, local: tzinfo, horizon: Span) -> list[Span]:
    """Give when these rules alone let drills run, in order and apart, as far as the horizon."""
    free = [horizon]
    if own.windows:
        free = list(_both(free, _merged(sorted(_windows(own, local, horizon)))))
    for dark in own.blackouts:
        begin, end = _dates(dark, local)
        free = list(_both(free, [(min(begin, horizon[0]), begin), (end, max(end, horizon[1]))]))
    return free


def _windows(own: Rules | SiteRules, local: tzinfo, horizon: Span) -> Iterator[Span]:
    # A window that is open at the horizon's begin may have opened on the day before.
    first, last = (instant.astimezone(local).date() for instant in horizon)
    for offset in range(-1, (last - first).days + 1):
        opens_on = first + timedelta(days=offset)
        for window in own.windows:
            if opens_on.weekday() in window.days:
                # Where the clock on the wall shows a time twice or never, the window is the shorter one.
                begin = max(_both_folds(opens_on, window.opens, local))
                end = min(_both_folds(opens_on, window.closes, local))
                if begin < end:
                    yield begin, end


def _dates(dark: Blackout, local: tzinfo) -> Span:
    """Give a blackout's whole dates; where midnight comes twice they are the longer ones."""
    begin = min(_both_folds(date.fromisoformat(dark.first), 0, local))
    return begin, max(_both_folds(date.fromisoformat(dark.last) + timedelta(days=1), 0, local))


def _both_folds(on: date, minutes: int, local: tzinfo) -> tuple[datetime, datetime]:
    wall = datetime.combine(on, time(), local) + timedelta(minutes=minutes)
    return wall.replace(fold=0).astimezone(UTC), wall.replace(fold=1).astimezone(UTC)


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Give the union of spans that are in the order of their beginnings."""
    found: list[Span] = []
    for begin, end in spans:
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _both(one: Sequence[Span], other: Sequence[Span]) -> Iterator[Span]:
    """Give what two lists of spans, each in order and apart, have in common."""
    i = j = 0
    while i < len(one) and j < len(other):
        begin, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if begin < end:
            yield begin, end
        i, j = (i + 1, j) if one[i][1] <= other[j][1] else (i, j + 1)


def _instant(at: datetime, local: tzinfo) -> str:
    """Write an instant for people, never an earlier one."""
    there = at.astimezone(local)
    if there.microsecond:
        there = (at + timedelta(seconds=1)).astimezone(local)
    clock = f"{there:%H:%M:%S}" if there.second else f"{there:%H:%M}"
    return f"{DAYS[there.weekday()].capitalize()} {there:%Y-%m-%d} {clock} {there:%Z}"
