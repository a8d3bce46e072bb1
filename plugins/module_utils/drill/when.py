# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of the event that a fault waits for, from the testbed's words to those of its target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..target.events import pattern, unit
from ..units import duration
from ..values import file_path, flag
from .model import When
from .reader import Reader

if TYPE_CHECKING:
    from .places import Places


def read_when(entry: Reader, target: str, places: Places) -> When | None:
    """Give the event that `target` waits for; what is wrong with it is a problem of the entry."""
    within = entry.need("within", duration)
    given = [key for key in ("route", "log") if entry.has(key)]
    if len(given) != 1:
        entry.problem("", "has to have exactly one of route and log")
        return None
    reader = {"route": _route, "log": _log}[given[0]]
    found = reader(entry, target, places)
    return None if found is None or within is None else When(found[0], within, found[1])


def _route(entry: Reader, target: str, places: Places) -> tuple[dict[str, Any], str] | None:
    route = Reader(entry.values["route"], f"{entry.where}.route", ("to", "via", "changed"), entry.problems)
    prefix = route.need("to", places.prefix)
    via = route.maybe("via", lambda value: places.neighbours(target, value))
    changed = route.take("changed", flag, default=False)
    if route.has("via") == changed:
        route.problem("", "says either via, or changed: true")
    if prefix is None or (via is None and not changed):
        return None
    way = "changes" if via is None else f"leads via {route.values['via']}"
    event = {"type": "route", "prefix": prefix, **({} if via is None else {"via": list(via)})}
    return event, f"its route to {route.values['to']} {way}"


def _log(entry: Reader, _target: str, _places: Places) -> tuple[dict[str, Any], str] | None:
    log = Reader(entry.values["log"], f"{entry.where}.log", ("unit", "file", "matches"), entry.problems)
    matches, of_unit, of_file = log.need("matches", pattern), log.maybe("unit", unit), log.maybe("file", file_path)
    if log.has("unit") == log.has("file"):
        log.problem("", "says either unit or file")
        return None
    if matches is None or (of_unit is None and of_file is None):
        return None
    source = {"unit": of_unit} if of_unit else {"file": of_file}
    return {"type": "log", "matches": matches, **source}, f"{of_unit or of_file} logs {matches}"
