# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target program as one file: a zipapp of the core, the same bytes wherever and whenever it is made."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import zipfile
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from .system import Places, write_safely

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("", "agent", "fault", "lab", "target")
MODULES = (
    "agent/client", "errors", "runner", "suggest", "units", "values",
    "fault/backend", "fault/bgp_kinds", "fault/classify", "fault/clock", "fault/disk_kinds", "fault/frr",
    "fault/journal", "fault/kind", "fault/kinds", "fault/lab_power", "fault/lease", "fault/libvirt_power",
    "fault/link_kinds", "fault/linux", "fault/load", "fault/load_kinds", "fault/mapper", "fault/match", "fault/model",
    "fault/netem", "fault/netem_kinds", "fault/node", "fault/node_kinds", "fault/owned", "fault/parameters",
    "fault/power", "fault/power_kinds", "fault/resource", "fault/route_kinds", "fault/routes", "fault/service",
    "lab/button", "lab/node", "lab/space",
    "target/claims", "target/connection_probes", "target/dns", "target/events", "target/execute",
    "target/host_probes", "target/icmp", "target/keeper", "target/lab_host", "target/lab_timers", "target/load",
    "target/main", "target/maker", "target/pack", "target/probe", "target/probes", "target/program",
    "target/reach_probes", "target/routing_probes", "target/runtime", "target/snapshot", "target/storage",
    "target/storage_probes", "target/store", "target/streams", "target/system", "target/throughput_probes",
    "target/timeline", "target/timers", "target/writers",
)  # fmt: skip

_START = "import sys\n\nfrom okiagari.target.main import main\n\nsys.exit(main())\n"
_CORE = __name__.rpartition(".")[0].rpartition(".")[0]


def bundle() -> bytes:
    """Give the program's bytes. Works from a file system and from inside the zip that Ansible ships modules in."""
    content = {f"okiagari/{package}/__init__.py".replace("//", "/"): b"" for package in PACKAGES}
    content |= {f"okiagari/{module}.py": _source(module) for module in MODULES}
    content["__main__.py"] = _START.encode()
    buffer = io.BytesIO()
    # Stored, not deflated: what deflate makes depends on the version of zlib.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content[name])
    return buffer.getvalue()


def name_of(program: bytes) -> str:
    """Give the file name that a program of these bytes has on every target."""
    return f"okiagari-{hashlib.sha256(program).hexdigest()[:12]}.pyz"


def install(places: Places) -> Path:
    """Lay this very program down on the target, if it isn't there yet, and give its path."""
    program = bundle()
    path = places.run / name_of(program)
    if not path.exists():
        write_safely(path, program)
    return path


def _source(module: str) -> bytes:
    name = f"{_CORE}.{module.replace('/', '.')}"
    spec = importlib.util.find_spec(name)
    # Each kind of loader that may have loaded us (file, zip, Ansible's own) has this method, though some give bytes.
    source = getattr(spec.loader, "get_source", lambda _name: None)(name) if spec else None
    if not source:
        raise OkiagariError(f"the target program can't be made: the source of {module} is not there")
    return source if isinstance(source, bytes) else str(source).encode()
