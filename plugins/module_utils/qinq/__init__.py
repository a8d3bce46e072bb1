# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tagged networks of segments and projects: where each one goes, and what that is on a node."""

from __future__ import annotations

from .plan import (
    Bridge,
    CircuitPort,
    HostLink,
    HostPlan,
    Member,
    Routed,
    RoutedInterface,
    RouterPlan,
    plan,
    plan_hosts,
)

__all__ = [
    "Bridge",
    "CircuitPort",
    "HostLink",
    "HostPlan",
    "Member",
    "Routed",
    "RoutedInterface",
    "RouterPlan",
    "plan",
    "plan_hosts",
]
