# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of check. A new kind is one class in the file of its subject, and one word here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .connection_checks import Dns, Http, Tcp
from .host_checks import Command, File, Script, Service
from .reach_checks import Path, Ping
from .routing_checks import Bfd, Bgp, Route
from .storage_checks import Readback, Storage
from .throughput_checks import Throughput
from .traffic_checks import TrafficCheck
from .write_checks import WriteCheck

if TYPE_CHECKING:
    from .check import Check

_ALL: tuple[type[Check], ...] = (
    Ping,
    Path,
    Route,
    Tcp,
    Http,
    Dns,
    Throughput,
    Bgp,
    Bfd,
    Command,
    Script,
    Service,
    File,
    Storage,
    Readback,
    TrafficCheck,
    WriteCheck,
)
CHECKS: dict[str, type[Check]] = {kind.name: kind for kind in _ALL}
