# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fault as everybody passes it around, and the state that a back-end reads and restores."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadInput, BadValue, Problem, shown
from ..suggest import nearest
from ..units import DAY_S, duration, seconds
from ..values import mapping, text

# One entry for each thing a fault touches or reads: {"link:w-osaka": {...}, "route:10.2.0.0/16": {...}}. Plain JSON.
State = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Fault:
    """One fault on one target. `lease_s`: seconds after which the target ends it by itself."""

    id: str
    kind: str
    params: Mapping[str, Any]
    lease_s: float
    target: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "target": self.target,
            "params": dict(self.params),
            "lease_s": self.lease_s,
        }


@dataclass
class Problems:
    """Gathers everything that is wrong with an input, so that a person can correct it in one go."""

    found: list[Problem] = field(default_factory=list)

    def add(self, key: str, message: str, suggestion: str | None = None) -> None:
        self.found.append(Problem("", None, key, message, suggestion))

    def read(
        self,
        where: str,
        data: object,
        readers: Mapping[str, Callable[[object], Any]],
        optional: Collection[str] = (),
    ) -> dict[str, Any]:
        """Give the values of the mapping `data`, each by its reader, without those that are absent or wrong."""
        if not isinstance(data, Mapping):
            self.add(where, f"{shown(data)} is not a mapping with {', '.join(readers)}")
            return {}
        for key in data:
            if key not in readers:
                near = nearest(str(key), readers)
                self.add(where, f"unknown key {shown(key)}, not one of {', '.join(readers)}", near)
        values = {}
        for key, read in readers.items():
            if data.get(key) is None:
                if key not in optional:
                    self.add(where, f"{key} is missing")
                continue
            try:
                values[key] = read(data[key])
            except BadValue as error:
                self.add(where, f"{key}: {error.message}", error.suggestion)
            except BadInput as error:
                for each in error.problems:
                    self.add(where, f"{key}: {each.message}", each.suggestion)
        return values

    def raise_if_any(self) -> None:
        if self.found:
            raise BadInput(self.found)


def check_id(value: object) -> str:
    """Give `value` if it can name a fault or a drill, and so a file and a systemd unit; else raise `BadValue`."""
    if isinstance(value, str) and _ID.fullmatch(value) and not value.endswith((".service", ".timer")):
        return value
    rule = "use up to 100 letters, digits, '_', '-' and '.', beginning with a letter or digit"
    raise BadValue(f"{shown(value)} is not an id: {rule}")


def lease(value: object) -> float:
    """Give a lease in seconds."""
    found = seconds(value)
    if not 1 <= found <= DAY_S:
        raise BadValue(f"a lease of {found:g} s is not between 1 s and a day")
    return found


def span(value: object) -> float:
    """Give how long a fault of a drill is on, in seconds."""
    found = duration(value)
    if found < 1:
        raise BadValue(f"{shown(value)} is less than 1 s, which no lease can guard")
    return found


def parse_fault(data: object, in_program: bool = False) -> Fault:
    """Give the fault that `data` describes, its parameters typed. Raises `BadInput` with all that is wrong.

    In a program the lease isn't given but follows from `for`; `at` and `for` are only checked here.
    """
    from .kinds import find_kind

    spans: dict[str, Callable[[object], float]] = {"at": duration, "for": span} if in_program else {"lease_s": lease}
    problems = Problems()
    name = label("fault", data)
    readers = {"id": check_id, "kind": find_kind, "target": _target, "params": mapping, **spans}
    found = problems.read(name, data, readers, ("target", "params"))
    try:
        params = found["kind"].parse(name, found.get("params", {})) if "kind" in found else {}
    except BadInput as error:
        problems.found.extend(error.problems)
    problems.raise_if_any()
    lasts = found["for"] + 1.0 if in_program else found["lease_s"]
    return Fault(found["id"], found["kind"].name, params, lasts, found.get("target", ""))


def _target(value: object) -> str:
    return "" if value == "" else text(value)


def label(what: str, data: object) -> str:
    """Give what a part of an input is called in a message: by its id, if it has one."""
    return f"{what} {shown(data['id'])}" if isinstance(data, Mapping) and data.get("id") is not None else what
