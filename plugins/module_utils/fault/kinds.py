# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of fault. A new kind is one class in the file of its subject, and one word here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadInput
from ..suggest import nearest
from .bgp_kinds import BfdOff, BgpShutdown, LocalPreference, PrefixWithdrawn
from .link_kinds import LinkDown, Mtu
from .model import Problems
from .netem_kinds import Corrupt, Delay, Duplicate, Loss, Rate, Reorder, Several
from .route_kinds import RouteBlackhole, RouteOverride, RouteProhibit, RouteUnreachable

if TYPE_CHECKING:
    from .kind import Kind

_ALL: tuple[type[Kind], ...] = (
    LinkDown,
    Mtu,
    Loss,
    Delay,
    Rate,
    Corrupt,
    Duplicate,
    Reorder,
    Several,
    RouteOverride,
    RouteBlackhole,
    RouteUnreachable,
    RouteProhibit,
    BgpShutdown,
    BfdOff,
    LocalPreference,
    PrefixWithdrawn,
)
KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in _ALL}


def find_kind(name: object) -> type[Kind]:
    """Give the kind called `name`; raise `BadInput` that suggests the nearest one."""
    if isinstance(name, str) and name in KINDS:
        return KINDS[name]
    problems = Problems()
    problems.add("kind", f"{name!r} is not a kind of fault; there are {', '.join(KINDS)}", nearest(str(name), KINDS))
    raise BadInput(problems.found)
