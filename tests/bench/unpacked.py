# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs to compare with: installed ones, or Debian's packages unpacked beside, so that nothing is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory


class Unavailable(Exception):  # noqa: N818 - it says what there is
    """Something to compare with can't be had on this machine."""


def cache() -> Path:
    """Give the folder in which what the benchmarks compare with stays from run to run."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "okiagari" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def program(name: str, *packages: str) -> tuple[Path, str]:
    """Give a program, and where its libraries are if they aren't where all are.

    Where it isn't installed, Debian's `packages` are fetched once; the first is its own. Raises `Unavailable` if it
    can't be had.
    """
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if found:
        return Path(found), ""
    root = cache() / packages[0]
    if not (here := _in(root, name)):
        _unpack(name, packages, root)
        here = _in(root, name)
    if not here:
        raise Unavailable(f"there is no {name} in Debian's package {packages[0]}")
    libraries = {str(path.parent) for path in root.rglob("lib*.so.*")}
    return here, os.pathsep.join(sorted(libraries))


def last_line(said: str) -> str:
    """Give what a program says last: why it failed."""
    return (said.strip().splitlines() or ["it says nothing"])[-1][:300]


def _in(root: Path, name: str) -> Path | None:
    return next((path for path in (root / "usr/bin" / name, root / "usr/sbin" / name) if path.exists()), None)


def _unpack(name: str, packages: tuple[str, ...], root: Path) -> None:
    if not shutil.which("apt-get"):
        raise Unavailable(f"there is no {name}; install it")
    with TemporaryDirectory(dir=cache()) as folder:
        try:
            _run("apt-get", "--quiet", "download", *packages, cwd=folder)
            for package in Path(folder).glob("*.deb"):
                _run("dpkg-deb", "--extract", str(package), str(root), cwd=folder)
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"there is no {name}, and {error.cmd[0]} says: {last_line(error.stderr)}") from error


def _run(*argv: str, cwd: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True, cwd=cwd)
