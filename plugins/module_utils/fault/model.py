# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fault as everybody passes it around, and the state that a back-end reads and restores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadInput, BadValue, Problem
from ..suggest import nearest
from ..units import seconds

# One entry for each thing a fault touches or reads: {"link:w-osaka": {...}, "route:10.2.0.0/16": {...}}. Plain JSON.
State = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_KEYS = ("id", "kind", "target", "params", "lease_s")
_PROGRAM_KEYS = ("at", "for")


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

    def unknown_keys(self, where: str, data: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in data:
            if key not in known:
                self.add(where, f"unknown key {key}, not one of {', '.join(known)}", nearest(str(key), known))

    def raise_if_any(self) -> None:
        if self.found:
            raise BadInput(self.found)


def check_id(value: object) -> str:
    """Give `value` if it can name a fault or a drill, and so a file and a systemd unit; else raise `BadValue`."""
    if isinstance(value, str) and _ID.fullmatch(value) and not value.endswith((".service", ".timer")):
        return value
    raise BadValue(
        f"{value!r} is not an id: use up to 100 letters, digits, '_', '-' and '.', beginning with a letter or digit"
    )


def parse_fault(data: object, in_program: bool = False) -> Fault:
    """Give the fault that `data` describes, its parameters typed. Raises `BadInput` with all that is wrong.

    In a program the lease isn't given but follows from `for`; `at` and `for` are only checked here.
    """
    from .kinds import find_kind

    problems = Problems()
    if not isinstance(data, Mapping):
        problems.add("fault", "is not a mapping with id, kind, params and lease_s")
        raise BadInput(problems.found)
    name = str(data.get("id", "fault"))
    problems.unknown_keys(name, data, _KEYS + (_PROGRAM_KEYS if in_program else ()))
    lease = 0.0
    params: dict[str, Any] = {}
    try:
        check_id(data.get("id"))
    except BadValue as error:
        problems.add(name, error.message)
    try:
        if in_program:
            seconds(data.get("at"))
            lease = seconds(data.get("for")) + 1.0
        else:
            lease = seconds(data.get("lease_s"))
            if not 1 <= lease <= 86400:
                problems.add(name, f"a lease of {lease:g} s is not between 1 s and a day")
    except BadValue as error:
        problems.add(name, "at and for" if in_program else f"lease_s: {error.message}", error.suggestion)
    try:
        params = find_kind(data.get("kind")).parse(name, data.get("params") or {})
    except BadInput as error:
        problems.found.extend(error.problems)
    problems.raise_if_any()
    return Fault(data["id"], data["kind"], params, lease, str(data.get("target") or ""))
