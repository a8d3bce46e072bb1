# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report's files, each complete or absent: a reader never meets half a file, also while a drill is ending."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from .html import render_html
from .junit import render_junit
from .reading import Report, scrubbed


def write_reports(report: Report, directory: Path) -> None:
    """Write report.json, then report.html and junit.xml, into the directory, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    clean = scrubbed(report)
    replace(directory / "report.json", json.dumps(clean, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    replace(directory / "report.html", render_html(clean))
    replace(directory / "junit.xml", render_junit(clean))


def link_latest(root: Path, directory: Path) -> None:
    """Make `root/latest` a relative link to the directory.

    An existing link is replaced in one step; anything else of that name is refused (FileExistsError).
    """
    link = root / "latest"
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} exists and is not a link")
    root.mkdir(parents=True, exist_ok=True)
    aim = os.path.relpath(directory.resolve(), root.resolve())
    with tempfile.TemporaryDirectory(prefix=".latest-", dir=root) as scratch:
        fresh = Path(scratch) / "latest"
        fresh.symlink_to(aim, target_is_directory=True)
        fresh.replace(link)


def replace(path: Path, content: str) -> None:
    """Put the content there in one step, on the disk when this returns."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
