# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as files for a host: its own sources, as the package `okiagari`, and the command `okiagari-agent`."""

from __future__ import annotations

import hashlib
import re
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError, shown
from ..runner import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..runner import Runner

PACKAGES = ("agent", "authority", "checkpoint", "election", "haproxy", "logpool", "paths", "watch")
MODULES = (
    "checksum", "errors", "guest/iso", "guest/machine", "guest/seed", "guest/template", "runner", "suggest", "values",
    "target/system",
)  # fmt: skip
_OF_THE_CONTROLLER = ("bundle.py", "describe.py")
COMMAND = "bin/okiagari-agent"
_PYTHON = re.compile(r"3\.1[1-9]")
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
_FETCH_S = 600.0
_CORE = Path(__file__).parent.parent
# Without the user's or the system's own packages, whatever they are; the sources don't change, so nothing is cached.
_START = b"""#!/usr/bin/python3 -IB
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from okiagari.agent.main import main

sys.exit(main())
"""


def sources() -> dict[str, bytes]:
    """Give the agent's files by their path below its folder; what it needs from others goes beside them into `lib`."""
    found = [path for package in PACKAGES for path in sorted((_CORE / package).glob("*.py"))]
    found = [path for path in found if path.name not in _OF_THE_CONTROLLER]
    found += [_CORE / f"{module}.py" for module in MODULES]
    packages = {path.relative_to(_CORE).parent for path in found} | {Path()}
    content = {f"lib/okiagari/{package / '__init__.py'}": b"" for package in packages}
    content |= {f"lib/okiagari/{path.relative_to(_CORE)}": path.read_bytes() for path in found}
    return {**content, COMMAND: _START}


def version(*requirements: bytes) -> str:
    """Give a name that is the same for the same sources with the same requirements."""
    digest = hashlib.sha256()
    for name, content in sorted(sources().items()):
        digest.update(name.encode() + b"\0" + content + b"\0")
    for each in requirements:
        digest.update(each)
    return digest.hexdigest()[:12]


class Archive:
    """The agent with what it needs from the package index, for one version of Python and one machine, in a cache.

    It is made once for the same sources and requirements: `python` is that of the hosts (`3.13`), `machine` as
    `uname -m` says it. `requirements` are files as pip reads them. Nothing is installed on the controller, and the
    hosts need no way to the index.
    """

    def __init__(self, runner: Runner, cache: Path, requirements: Sequence[Path], python: str, machine: str) -> None:
        if not _PYTHON.fullmatch(python):
            raise OkiagariError(
                f"{shown(python)} is no version of Python that an agent runs with; it needs 3.11 or newer"
            )
        self._runner, self._requirements, self._python, self._machine = runner, requirements, python, machine
        try:
            self.version = f"{version(*(path.read_bytes() for path in requirements))}-py{python}-{machine}"
        except OSError as error:
            raise OkiagariError(f"{error.filename} can't be read: {error.strerror}") from error
        self.path = cache / f"okiagari-agent-{self.version}.tar.gz"

    def read(self) -> dict[str, Any]:
        return self.want() if self.path.exists() else {}

    def want(self) -> dict[str, Any]:
        return {"version": self.version}

    def create(self) -> None:
        """Fetch what is needed and put all of it into one file, which gets its name when it is whole."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.path.parent) as work:
            folder = Path(work, "agent")
            for name, content in sources().items():
                file = folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            (folder / COMMAND).chmod(0o755)
            output(self._runner, self._pip(folder / "lib"), timeout=_FETCH_S)
            whole = Path(work, "archive")
            with tarfile.open(whole, "w:gz") as archive:
                archive.add(folder, ".", filter=_anonymous)
            whole.replace(self.path)

    def remove(self) -> None:
        """Nothing calls this: a cache is removed by its owner."""
        raise OkiagariError("an archive is not removed by this module: delete the cache")

    def _pip(self, folder: Path) -> list[str]:
        platforms = [word for tag in _PLATFORMS for word in ("--platform", f"{tag}_{self._machine}")]
        needed = [word for path in self._requirements for word in ("--requirement", str(path))]
        return [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
            "--target", str(folder), "--only-binary", ":all:", "--implementation", "cp",
            "--python-version", self._python, *platforms, *needed,
        ]  # fmt: skip


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
