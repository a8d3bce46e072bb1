# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action, run by Ansible itself over a recipe that takes a moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BUILD = """#!/bin/sh
echo "step: from $2 $3"
mkdir "$1"
echo built >> "$1/../count"
"""


class Recipe:
    """A recipe in a folder, and a cache of its own."""

    def __init__(self, path: Path) -> None:
        self.folder, self.images = path / "recipe", path / "cache" / "images"
        self.folder.mkdir()
        self._environment = {
            **os.environ, "OKIAGARI_CACHE": str(path / "cache"), "ANSIBLE_LOCAL_TEMP": str(path / "tmp"),
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_CONFIG": str(path / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline",
            "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[4] / ".collections"),
        }  # fmt: skip
        (path / "ansible.cfg").touch()
        programs = path / "programs"
        programs.mkdir()
        for program in ("mmdebstrap", "mkfs.ext4", "patchelf", "cpio", "fakeroot", "newuidmap"):
            (programs / program).touch(mode=0o755)
        self._environment["PATH"] += f":{programs}"

    def write(self, build: str) -> None:
        (self.folder / "build").write_text(build)
        (self.folder / "build").chmod(0o755)

    def run(self, *arguments: str, **options: Any) -> tuple[str, dict[str, Any]]:
        """Give what was shown before the result, and the result."""
        given = json.dumps({"recipe": str(self.folder), **options})
        program = Path(sys.executable).with_name("ansible")
        argv = [str(program), "localhost", "-m", "okiagari.testbed.lab_image", "-a", given, *arguments]
        done = subprocess.run(
            argv,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        shown, _host, result = done.stdout.rpartition("localhost | ")
        return shown, json.loads(result.partition("=> ")[2])


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)


def test_an_image_is_built_once(recipe: Recipe) -> None:
    recipe.write(BUILD)
    _shown, would = recipe.run("--check")
    assert would["changed"]
    assert not recipe.images.exists()
    shown, done = recipe.run(mirror="http://mirror.example.org")
    assert "node image:    0 s  from http://mirror.example.org trixie" in shown
    assert done["changed"]
    assert Path(done["path"]).is_dir()
    shown, again = recipe.run(mirror="http://mirror.example.org")
    assert (again["changed"], again["path"], shown) == (False, done["path"], "")
    _shown, other = recipe.run(mirror="http://mirror.example.org", suite="sid")
    assert (other["changed"], other["path"] != done["path"]) == (True, True)
    assert (recipe.images / "count").read_text() == "built\nbuilt\n"


def test_a_build_that_fails_shows_the_end_of_its_log(recipe: Recipe) -> None:
    recipe.write("#!/bin/sh\nseq 1 100\necho 'E: no space left' >&2\nexit 3\n")
    _shown, result = recipe.run()
    assert result["msg"].startswith("the node image could not be built")
    assert result["msg"].splitlines()[1:] == [*map(str, range(87, 101)), "E: no space left"]
    (log,) = recipe.images.glob("*.log")
    assert str(log) in result["msg"]
    assert len(log.read_text().splitlines()) == 101


def test_a_folder_without_a_program_is_no_recipe(recipe: Recipe) -> None:
    _shown, result = recipe.run()
    assert "is not an image recipe: it has no program 'build'" in result["msg"]


def test_another_image_has_its_own_title_and_needs(recipe: Recipe) -> None:
    recipe.write(BUILD)
    shown, done = recipe.run(title="guest image", programs={"cpio": "cpio"})
    assert "  guest image:    0 s  from" in shown
    assert done["changed"]
    _shown, refused = recipe.run(title="guest image", programs={"no-such-program": "the-package"}, suite="sid")
    assert refused["msg"].startswith("building the guest image needs Debian packages that are missing")
    assert "the-package" in refused["msg"]
