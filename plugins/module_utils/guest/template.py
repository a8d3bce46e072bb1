# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What machines are made from: a folder with a disk and a description, `template.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    """A template on the host. Without a kernel the guest boots from its disk."""

    path: str
    disk: str
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    chipset: str = "q35"

    @classmethod
    def from_json(cls, path: str, text: str) -> Template:
        """Read `template.json` of the folder `path`; file names in it are below that folder."""
        data = json.loads(text)
        files = {key: f"{path}/{data[key]}" for key in ("disk", "kernel", "initrd") if data.get(key)}
        return cls(path, **files, cmdline=data.get("cmdline"), chipset=data.get("chipset", "q35"))
