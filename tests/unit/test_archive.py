# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's archive holds the product, all of it, and nothing else."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = {"changelogs", "docs", "examples", "inventory", "meta", "playbooks", "plugins", "roles", "scenarios"}
PAGES = {"CHANGELOG.rst", "LICENSE", "README.md"}
MADE_BY_THE_BUILD = {"FILES.json", "MANIFEST.json"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("archive")
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    (built,) = folder.glob("okiagari-testbed-*.tar.gz")
    with tarfile.open(built) as tar:
        return {member.name for member in tar.getmembers() if not member.isdir()}


def known_to_git() -> set[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return {name for name in listing.split("\0") if name and (ROOT / name).exists()}


def belongs(name: str) -> bool:
    return name in PAGES or name.split("/", maxsplit=1)[0] in PRODUCT


def test_it_holds_the_whole_product(archive: set[str]) -> None:
    kept_back = {name for name in known_to_git() if name.startswith("changelogs/fragments/")}
    assert {name for name in known_to_git() if belongs(name)} - kept_back <= archive


def test_it_holds_nothing_else(archive: set[str]) -> None:
    packed = archive - MADE_BY_THE_BUILD
    assert sorted(name for name in packed if not belongs(name)) == []
    assert sorted(packed - known_to_git()) == []
