# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of Debian packages that nobody wants installed, since that would start a daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory


def debian_program(name: str, package: str) -> list[str]:
    """Give the words that run a program: this machine's, or one that is unpacked into the cache with what it needs."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found:
        return [found]
    cache = cache_directory(os.environ).with_name(name)
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache.parent) as work:
            subprocess.run(["apt-get", "--quiet", "--quiet", "download", *_missing(package)], cwd=work, check=True)
            for archive in Path(work).glob("*.deb"):
                subprocess.run(["dpkg", "--extract", archive, Path(work, name)], check=True)
            with suppress(OSError):  # another test was faster
                Path(work, name).rename(cache)
    [program] = [path for folder in ("bin", "sbin") if (path := cache / "usr" / folder / name).exists()]
    libraries = ":".join(str(path) for path in cache.glob("usr/lib/*-linux-gnu"))
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(program)]


def _missing(package: str) -> list[str]:
    """Give the package and those that it needs, without what is installed."""
    said = subprocess.run(
        ["apt-get", "--quiet", "--quiet", "--simulate", "--no-install-recommends", "install", package],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [words[1] for words in map(str.split, said.splitlines()) if words[:1] == ["Inst"]]
