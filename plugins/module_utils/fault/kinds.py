# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of fault. A new kind is one class in the file of its subject, and one word here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..values import choice
from .bgp_kinds import AsPath, BfdOff, BgpShutdown, LocalPreference, Metric, PrefixWithdrawn
from .disk_kinds import DiskFailing, DiskSlow
from .link_kinds import LinkDown, Mtu
from .load_kinds import CpuPressure, DiskFull, DiskPressure, MemoryPressure
from .netem_kinds import Corrupt, Delay, Duplicate, Loss, Rate, Reorder, Several
from .node_kinds import ClockStep, ServiceFreeze, ServiceStop
from .power_kinds import Pause, PowerCut, Reboot
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
    Metric,
    AsPath,
    PrefixWithdrawn,
    PowerCut,
    Reboot,
    Pause,
    CpuPressure,
    MemoryPressure,
    DiskPressure,
    DiskFull,
    DiskSlow,
    DiskFailing,
    ClockStep,
    ServiceStop,
    ServiceFreeze,
)
KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in _ALL}


def find_kind(name: object) -> type[Kind]:
    """Give the kind called `name`; raise `BadValue` that suggests the nearest one."""
    return KINDS[choice(KINDS, "kind of fault")(name)]
