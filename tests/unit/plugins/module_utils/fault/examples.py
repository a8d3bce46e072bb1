# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults for the simulated target, at least one of every kind."""

from __future__ import annotations

from typing import Any

from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import Fault, parse_fault

Asked = tuple[str, dict[str, Any]]

DOWN_A: Asked = ("link_down", {"interface": "w-a"})
LOSS_A = ("loss", {"interface": "w-a", "percent": "30%"})
LOSS_B: Asked = ("loss", {"interface": "w-b", "percent": 100})
OVERRIDE = ("route_override", {"prefix": "10.2.0.0/16", "via": "10.254.0.0"})
OVERRIDE6 = ("route_override", {"prefix": "2001:db8:9::/48", "via": "2001:db8:a::2"})
BLACKHOLE = ("route_blackhole", {"prefix": "10.3.0.0/16"})
UNREACHABLE: Asked = ("route_unreachable", {"prefix": "10.4.0.0/16"})
NARROW_B: Asked = ("mtu", {"interface": "w-b", "mtu": 1400})
LATE_A: Asked = ("delay", {"interface": "w-a", "delay": "50ms", "jitter": "5ms", "distribution": "normal"})
TAGGED_B: Asked = ("rate", {"interface": "w-b", "rate": "10mbit", "only": {"s_tag": 101, "c_tag": 100}})
DNS_A: Asked = ("impairment", {
    "interface": "w-a", "loss": "3%", "delay": {"delay": "20ms"}, "seed": 42,
    "only": {"to": "10.2.0.0/24", "protocol": "udp", "port": 53, "dscp": "ef"},
})  # fmt: skip
SHUT_A: Asked = ("bgp_shutdown", {"neighbor": "10.254.0.0"})
UNWATCHED_S: Asked = ("bfd_off", {"neighbor": "10.254.0.0", "vrf": "storage"})
LESS_B: Asked = ("local_preference", {"neighbor": "10.254.1.2", "preference": 50})
DEARER_B: Asked = ("metric", {"neighbor": "10.254.1.2", "metric": 200})
LONGER_B: Asked = ("as_path", {"neighbor": "10.254.1.2", "prepend": 2})
WITHDRAWN: Asked = ("prefix_withdrawn", {"prefix": "10.1.0.0/24"})
DOWN_B: Asked = ("link_down", {"interface": "w-b"})
NARROW_ABOVE_B: Asked = ("mtu", {"interface": "s101.w-b", "mtu": 1300})
CORRUPT_A: Asked = ("corrupt", {"interface": "w-a", "percent": 1, "correlation": 25})
TWICE_B: Asked = ("duplicate", {"interface": "w-b", "percent": 5})
REORDER_A: Asked = ("reorder", {"interface": "w-a", "percent": 25, "delay": "10ms", "gap": 5})
FORBIDDEN: Asked = ("route_prohibit", {"prefix": "10.3.0.0/16"})
CPU: Asked = ("cpu_pressure", {"percent": "50%"})
MEMORY: Asked = ("memory_pressure", {"leave": "100mib"})
WRITING: Asked = ("disk_pressure", {"path": "/srv"})
FULL: Asked = ("disk_full", {"path": "/srv"})
SLOW: Asked = ("disk_slow", {"path": "/srv", "delay": "50ms"})
FAILING: Asked = ("disk_failing", {"path": "/srv", "up": 5, "down": 2})
LATE: Asked = ("clock_step", {"by": "-1h"})
STOPPED: Asked = ("service_stop", {"service": "web"})
FROZEN: Asked = ("service_freeze", {"service": "web"})
CUT_WEB: Asked = ("power_cut", {"machine": "web"})
PAUSE_WEB: Asked = ("pause", {"machine": "web"})
REBOOT_WEB: Asked = ("reboot", {"machine": "web"})
FAULTS: list[Asked] = [
    DOWN_A, LOSS_A, LOSS_B, OVERRIDE, OVERRIDE6, BLACKHOLE, UNREACHABLE, NARROW_B, LATE_A, TAGGED_B, DNS_A,
    SHUT_A, UNWATCHED_S, LESS_B, DEARER_B, LONGER_B, WITHDRAWN, DOWN_B, NARROW_ABOVE_B, CORRUPT_A, TWICE_B, REORDER_A,
    FORBIDDEN, CPU, MEMORY, WRITING, FULL, SLOW, FAILING, LATE, STOPPED, FROZEN, CUT_WEB, PAUSE_WEB, REBOOT_WEB,
]  # fmt: skip
# What these change can carry no mark: only the journal knows of it.
UNMARKED = (
    "link_down", "mtu", "bfd_off", "prefix_withdrawn", "clock_step", "service_stop", "service_freeze",
    "power_cut", "pause", "reboot",
)  # fmt: skip


def fault(of: tuple[str, dict[str, Any]], name: str = "", lease: float = 20.0) -> Fault:
    kind, params = of
    return parse_fault({"id": name or f"{kind}-{FAULTS.index(of)}", "kind": kind, "params": params, "lease_s": lease})
