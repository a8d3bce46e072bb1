# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes: short questions, asked from a target. A new type is one function in the file of its subject."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..fault.model import Problems, label
from ..values import choice
from . import connection_probes, host_probes, reach_probes, routing_probes, storage_probes, throughput_probes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..runner import Runner

TYPES = {
    **reach_probes.TYPES,
    **connection_probes.TYPES,
    **throughput_probes.TYPES,
    **routing_probes.TYPES,
    **storage_probes.TYPES,
    **host_probes.TYPES,
}


_OURS = ("id", "at", "every", "until")
"""What a probe has for whoever asks it."""


def ask(runner: Runner, probe: Mapping[str, Any]) -> dict[str, Any]:
    """Run one probe and give its result; a probe that can't be run is not ok and says why."""
    at = time.time()
    problems = Problems()
    try:
        typed = read(probe, problems, dict.fromkeys(_OURS, lambda value: value), optional=_OURS)
        problems.raise_if_any()
        ok, value, detail = TYPES[typed["type"]].ask(runner, typed)
    except OSError as error:
        ok, value, detail = False, {}, f"the probe could not be run: {error.strerror or error}"
    except OkiagariError as error:
        ok, value, detail = False, {}, f"the probe could not be run: {error}"
    return {"id": probe.get("id"), "ok": ok, "at": at, "value": value, "detail": detail}


def read(
    probe: object,
    problems: Problems,
    common: Mapping[str, Callable[[object], Any]],
    optional: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Give a probe with its parameters typed; `common` reads what it has besides them."""
    name = label("probe", probe)
    found = TYPES.get(probe["type"]) if isinstance(probe, Mapping) and isinstance(probe.get("type"), str) else None
    readers = {**common, "type": choice(TYPES, "type of probe"), **(found.parameters if found else {})}
    if found is None and isinstance(probe, Mapping):
        # Without its type nothing is known of its parameters.
        probe = {key: value for key, value in probe.items() if key in readers}
    return problems.read(name, probe, readers, (*optional, *(found.optional if found else ())))


def ask_all(runner: Runner, probes: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Run all probes at the same time and give their results in the given order."""
    if not probes:
        return []
    with ThreadPoolExecutor(min(len(probes), 32)) as pool:
        return list(pool.map(lambda probe: ask(runner, probe), probes))
