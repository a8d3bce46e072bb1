# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts are to keep copies of what runs here, so that no one failure takes several of them (P1.13)."""

from __future__ import annotations

from itertools import combinations, islice
from typing import TYPE_CHECKING

from .sharing import Verdict, on_all, pairs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .path import Path

_TRIED = 20_000
"""More choices than five of twenty."""
_FAR = 256
"""How far a host is whose path isn't known: farther than any other."""


def placed(
    hosts: Mapping[str, str], count: int, *, here: str = "", paths: Mapping[str, Path] | None = None,
    away: Collection[str] = (), keeping: Collection[str] = (),
) -> tuple[str, ...]:  # fmt: skip
    """Choose `count` of these hosts, by name with their failure domains, or all there are.

    In this order: as few as can be are `away`; they are in as many failure domains besides `here` as can be; as few
    pairs of their `paths` as can be surely meet, where what is on all paths doesn't count; as many as can be are
    `keeping` copies already, which need not be brought to them; of as few pairs as can be it isn't known whether they
    meet; and they are near. Of what is equal so far, the hosts that come first are chosen. Of a great many choices not
    all are tried: those with the first hosts are.
    """
    known = {name: path for name, path in (paths or {}).items() if name in hosts}
    verdicts = {names: sharing.verdict for names, sharing in pairs(known, on_all(known.values())).items()}
    routers = {name: len(path.hops) if path.arrived else _FAR for name, path in known.items()}

    def cost(names: tuple[str, ...]) -> tuple[int, ...]:
        meet = [verdicts.get((a, b)) or verdicts.get((b, a)) or Verdict.UNKNOWN for a, b in combinations(names, 2)]
        return (
            sum(name in away for name in names),
            -len({hosts[name] for name in names} - {here}),
            meet.count(Verdict.SHARED),
            sum(name not in keeping for name in names),
            meet.count(Verdict.UNKNOWN),
            sum(routers.get(name, _FAR) for name in names),
        )

    return min(islice(combinations(hosts, min(count, len(hosts))), _TRIED), key=cost)
