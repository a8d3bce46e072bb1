# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between two snapshots, for people and as a gate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Difference = dict[str, Any]

_ABSENT = object()


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Compare snapshots by target. Give `{"target", "path", "before", "after"}` for each thing that isn't as before.

    A target that one side lacks is left out: nothing is known about it. Of a list only the items that aren't on both
    sides are given; what is absent is None.
    """
    return [
        {"target": target, "path": path, "before": one, "after": other}
        for target in sorted(before.keys() & after.keys())
        for path, one, other in _compare("", before[target], after[target])
    ]


def _compare(path: str, before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    if before == after:
        return []
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return [
            difference
            for key in sorted(before.keys() | after.keys())
            for difference in _compare(
                f"{path}.{key}" if path else str(key), before.get(key, _ABSENT), after.get(key, _ABSENT)
            )
        ]
    if isinstance(before, list) and isinstance(after, list):
        gone, come = _less(before, after), _less(after, before)
        return [(path, gone, come)] if gone or come else [(path, before, after)]
    return [(path, None if before is _ABSENT else before, None if after is _ABSENT else after)]


def _less(these: list[Any], those: list[Any]) -> list[Any]:
    """The items of `these` that `those` lacks; an item that stands twice has to stand twice."""
    others = [_key(item) for item in those]
    left = []
    for item in these:
        if (key := _key(item)) in others:
            others.remove(key)
        else:
            left.append(item)
    return left


def _key(item: Any) -> str:
    return json.dumps(item, sort_keys=True)
