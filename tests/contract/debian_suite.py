# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs as a suite of Debian's has them, unpacked into the cache with their libraries; nothing is installed."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MIRROR = "http://deb.debian.org/debian"
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PATIENCE_S = 300


def programs(
    name: str, suite: str, packages: Sequence[str], starters: Mapping[str, str],
    needed: Callable[[str], bool] = lambda _package: True,
) -> Path:  # fmt: skip
    """Give the folder of programs of a suite's `packages`, and of what those depend on, as far as it is `needed`.

    Each of the `starters` is a line of the shell by the program's name: `{program}` in it is the program, run by its
    own release's loader, and `{root}` is where its files are. What it starts itself doesn't get these libraries.
    Raises `RuntimeError` where they can't be had.
    """
    cache = cache_directory(os.environ).with_name(f"{name}-{suite}")
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache.parent) as work:
            root = Path(work, "root")
            try:
                _unpack(suite, packages, needed, Path(work), root)
            except subprocess.SubprocessError as error:
                said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
                why = " ".join(said.split()) or str(error)
                raise RuntimeError(
                    f"{' and '.join(packages)} of Debian's {suite} can't be had for the tests: {why}; "
                    f"let apt-get reach {_MIRROR}"
                ) from error
            for program, line in starters.items():
                _write_starter(root, cache, program, line)
            with suppress(OSError):  # another test was faster
                root.rename(cache)
    return cache


def _unpack(
    suite: str, packages: Sequence[str], needed: Callable[[str], bool], work: Path, root: Path
) -> None:  # fmt: skip
    sources = work / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYS}] {_MIRROR} {suite} main\n")
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    settings = {
        "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "-", "Dir::State": work / "state",
        "Dir::State::Status": "/dev/null", "Dir::Cache": work / "cache", "Acquire::Languages": "none",
        "Acquire::Retries": 5, "APT::Sandbox::User": "root", "APT::Update::Error-Mode": "any",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(f"--option={key}={value}" for key, value in settings.items())]
    _run([*apt, "update"], work)
    said = _run([*apt, "--simulate", "--no-install-recommends", "install", *packages], work).splitlines()
    found = [words[1] for words in map(str.split, said) if words[:1] == ["Inst"]]
    _run([*apt, "download", *filter(needed, found)], work)
    for archive in work.glob("*.deb"):
        _run(["dpkg", "--extract", str(archive), str(root)], work)


def _run(argv: Sequence[str], work: Path) -> str:
    return subprocess.run(argv, cwd=work, check=True, capture_output=True, text=True, timeout=_PATIENCE_S).stdout


def _write_starter(root: Path, cache: Path, name: str, line: str) -> None:
    # Up to bookworm the C library is in /lib.
    folders = [path for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu") for path in root.glob(pattern)]
    [loader] = [path for folder in folders for path in folder.glob("ld-linux*.so.*")]
    [program] = [path for folder in ("bin", "sbin") if (path := root / "usr" / folder / name).exists()]
    libraries = ":".join(str(_at(path, root, cache)) for path in folders)
    run = f"{_at(loader, root, cache)} --library-path {libraries} {_at(program, root, cache)}"
    starter = root / name
    starter.write_text(f"#!/bin/sh\n{line.format(program=run, root=cache)}\n")
    starter.chmod(0o755)


def _at(path: Path, root: Path, cache: Path) -> Path:
    """Give where a file is in the end."""
    return cache / path.relative_to(root)
