# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRIU as a release of Debian has it, unpacked into the cache with its libraries; nothing is installed."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory

_MIRROR = "http://deb.debian.org/debian"
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def real_criu(suite: str) -> Path:
    """Give the program of a suite of Debian's."""
    cache = cache_directory(os.environ).with_name(f"criu-{suite}")
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache.parent) as work:
            _unpack(suite, Path(work), Path(work, "root"))
            _write_starter(Path(work, "root"), cache)
            with suppress(OSError):  # another test was faster
                Path(work, "root").rename(cache)
    return cache / "criu"


def _unpack(suite: str, work: Path, root: Path) -> None:
    sources = work / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYS}] {_MIRROR} {suite} main\n")
    for folder in ("state/lists/partial", "cache/archives/partial", "root"):
        (work / folder).mkdir(parents=True)
    settings = {
        "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "-", "Dir::State": work / "state",
        "Dir::State::Status": "/dev/null", "Dir::Cache": work / "cache", "Acquire::Languages": "none",
        "Acquire::Retries": 5, "APT::Sandbox::User": "root",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(f"--option={key}={value}" for key, value in settings.items())]
    subprocess.run([*apt, "update"], check=True, timeout=300)
    said = subprocess.run(
        [*apt, "--simulate", "--no-install-recommends", "install", "criu"], check=True, capture_output=True, text=True
    ).stdout
    packages = [words[1] for words in map(str.split, said.splitlines()) if words[:1] == ["Inst"]]
    subprocess.run([*apt, "download", *packages], cwd=work, check=True, timeout=300)
    for archive in work.glob("*.deb"):
        subprocess.run(["dpkg", "--extract", archive, root], check=True)


def _write_starter(root: Path, cache: Path) -> None:
    """Have CRIU started by its own release's loader; what CRIU itself starts must not get these libraries."""
    [loader] = root.glob("usr/lib/*-linux-gnu/ld-linux*.so.*")
    [libraries] = {loader.parent}
    at = [cache / path.relative_to(root) for path in (loader, libraries, root / "usr/sbin/criu")]
    starter = root / "criu"
    starter.write_text(f'#!/bin/sh\nexec {at[0]} --library-path {at[1]} {at[2]} "$@"\n')
    starter.chmod(0o755)
