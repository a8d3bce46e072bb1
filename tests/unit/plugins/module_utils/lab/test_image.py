# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory, recipe_hash

OPTIONS = {"mirror": "http://mirror.example.org", "suite": "trixie"}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "overlay").mkdir()
    (tmp_path / "build").write_text("#!/bin/sh\n")
    (tmp_path / "build").chmod(0o755)
    (tmp_path / "overlay" / "motd").write_text("hello\n")
    return tmp_path


def test_the_same_recipe_has_the_same_name(recipe: Path) -> None:
    name = recipe_hash(recipe, OPTIONS)
    (recipe / "overlay" / "motd").touch()
    (recipe / "__pycache__").mkdir()
    (recipe / "__pycache__" / "agent.cpython-313.pyc").write_bytes(b"compiled")
    assert recipe_hash(recipe, dict(reversed(OPTIONS.items()))) == name
    assert len(name) == 16


def test_every_change_gives_another_name(recipe: Path) -> None:
    names = [recipe_hash(recipe, OPTIONS), recipe_hash(recipe, {**OPTIONS, "suite": "sid"})]
    (recipe / "overlay" / "motd").write_text("good day\n")
    names.append(recipe_hash(recipe, OPTIONS))
    (recipe / "overlay" / "motd").chmod(0o755)
    names.append(recipe_hash(recipe, OPTIONS))
    (recipe / "overlay" / "motd").rename(recipe / "overlay" / "issue")
    names.append(recipe_hash(recipe, OPTIONS))
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"HOME": "/home/a"}, "/home/a/.cache/okiagari/images"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/var/cache/a"}, "/var/cache/a/okiagari/images"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/var/cache/a", "OKIAGARI_CACHE": "/big"}, "/big/images"),
        ({}, "/root/.cache/okiagari/images"),
    ],
)
def test_the_cache_follows_the_environment(environment: dict[str, str], directory: str) -> None:
    assert cache_directory(environment) == Path(directory)
