# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import bundle
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.bundle import COMMAND, Archive, sources, version
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import CommandFailed, Completed

if TYPE_CHECKING:
    from collections.abc import Sequence


class Pip:
    """Puts one package where it is told, or fails."""

    def __init__(self, rc: int = 0) -> None:
        self.calls: list[list[str]] = []
        self._rc = rc

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        self.calls.append(list(argv))
        (Path(argv[argv.index("--target") + 1]) / "package.py").write_text("")
        return Completed(self._rc, "", "no matching distribution" if self._rc else "")


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("httpx==0.28.1\n")
    return path


def write(folder: Path) -> Path:
    for name, content in sources().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def test_the_sources_are_whole_without_any_package(tmp_path: Path) -> None:
    """Each of the agent's rooms is imported by a Python that has nothing else."""
    folder = write(tmp_path)
    rooms = sorted(path.stem for path in (folder / "lib" / "okiagari" / "agent").glob("*.py"))
    names = [f"okiagari.agent.{room}" for room in rooms]
    assert "okiagari.agent.agent" in names
    assert not {"bundle", "describe"} & set(rooms)
    script = f"import sys; sys.path.insert(0, {str(folder / 'lib')!r}); import {', '.join(names)}"
    subprocess.run([sys.executable, "-ISB", "-c", script], check=True)
    said = subprocess.run([sys.executable, "-ISB", folder / COMMAND, "--help"], check=True, capture_output=True)
    assert b"supervise" in said.stdout


def test_the_version_is_another_one_with_any_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before, files = version(b"x"), sources()
    assert version(b"x") == before
    found = {before, version(b"y"), version()}
    for name in files:
        monkeypatch.setattr(bundle, "sources", lambda name=name: {**files, name: files[name] + b"#"})
        found.add(version(b"x"))
    monkeypatch.setattr(bundle, "sources", lambda: {**files, "lib/new.py": b""})
    found.add(version(b"x"))
    assert len(found) == len(files) + 4


def test_an_archive_is_made_once(tmp_path: Path, requirements: Path) -> None:
    pip = Pip()
    archive = Archive(pip, tmp_path / "cache", [requirements], "3.13", "x86_64")
    assert archive.read() == {}
    archive.create()
    assert archive.read() == archive.want() == {"version": archive.version}
    (argv,) = pip.calls
    assert argv[:4] == [sys.executable, "-m", "pip", "install"]
    options = dict(itertools.pairwise(argv))
    assert (options["--python-version"], options["--only-binary"]) == ("3.13", ":all:")
    assert options["--requirement"] == str(requirements)
    assert [word for word in argv if word.endswith("_x86_64")] == [
        "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64",
    ]  # fmt: skip
    assert [path.name for path in archive.path.parent.iterdir()] == [archive.path.name]
    with tarfile.open(archive.path) as found:
        entries = {entry.name: entry for entry in found}
    assert {entry.uid for entry in entries.values()} == {0}
    assert entries[f"./{COMMAND}"].mode & 0o777 == 0o755
    assert {"./lib/package.py", "./lib/okiagari/agent/main.py", "./lib/okiagari/__init__.py"} <= set(entries)
    assert Archive(pip, tmp_path / "cache", [requirements], "3.13", "x86_64").read()
    for python, machine in (("3.11", "x86_64"), ("3.13", "aarch64")):
        assert not Archive(pip, tmp_path / "cache", [requirements], python, machine).read()


def test_a_failure_leaves_nothing_behind(tmp_path: Path, requirements: Path) -> None:
    archive = Archive(Pip(1), tmp_path / "cache", [requirements], "3.13", "x86_64")
    with pytest.raises(CommandFailed, match="no matching distribution"):
        archive.create()
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(OkiagariError, match="delete the cache"):
        archive.remove()


@pytest.mark.parametrize("python", ["3.10", "3", "2.7", "3.13.1", "3.9"])
def test_pythons_that_are_too_old(tmp_path: Path, requirements: Path, python: str) -> None:
    with pytest.raises(OkiagariError, match=r"needs 3\.11 or newer"):
        Archive(Pip(), tmp_path, [requirements], python, "x86_64")


def test_requirements_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(OkiagariError, match="can't be read: No such file"):
        Archive(Pip(), tmp_path, [tmp_path / "none"], "3.13", "x86_64")
