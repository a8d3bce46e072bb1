# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action, run by Ansible itself, with a simulated pip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

PIP = """
import sys
from pathlib import Path

folder = Path(sys.argv[sys.argv.index("--target") + 1])
(folder / "package.py").touch()
with open("{calls}", "a") as calls:
    print(*sys.argv[1:], file=calls)
"""


class Controller:
    """A controller whose pip only writes down what it was asked for."""

    def __init__(self, path: Path) -> None:
        self._path, self.calls, self.cache = path, path / "calls", path / "cache"
        (path / "pip").mkdir()
        (path / "pip" / "__main__.py").write_text(PIP.format(calls=self.calls))
        (path / "pip" / "__init__.py").touch()
        (path / "requirements.txt").write_text("httpx\n")
        (path / "ansible.cfg").touch()

    def run(self, *arguments: str, **options: str) -> dict[str, Any]:
        given = {
            "requirements": str(self._path / "requirements.txt"), "python": "3.13", "machine": "x86_64",
            "cache": str(self.cache), **options,
        }  # fmt: skip
        environment = {
            **os.environ, "PYTHONPATH": str(self._path), "ANSIBLE_LOCAL_TEMP": str(self._path / "tmp"),
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
            "ANSIBLE_CONFIG": str(self._path / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline",
            "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[4] / ".collections"),
        }  # fmt: skip
        program = Path(sys.executable).with_name("ansible")
        argv = [str(program), "localhost", "-m", "okiagari.testbed.agent_bundle", "-a", json.dumps(given), *arguments]
        said = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment).stdout
        result: dict[str, Any] = json.loads(said[said.index("{") :])
        return result


def test_it_is_made_once_with_what_it_needs_and_nothing_is_made_in_check_mode(tmp_path: Path) -> None:
    controller = Controller(tmp_path)
    would = controller.run("--check")
    assert (would["changed"], controller.calls.exists(), Path(would["path"]).exists()) == (True, False, False)
    done = controller.run()
    assert (done["changed"], done["path"], done["version"]) == (True, would["path"], would["version"])
    said = controller.calls.read_text()
    assert "--only-binary :all:" in said
    assert "--python-version 3.13" in said
    assert "manylinux_2_28_x86_64" in said
    with tarfile.open(done["path"]) as archive:
        names = archive.getnames()
        assert archive.getmember("./bin/okiagari-agent").mode & 0o111
    assert {"./lib/package.py", "./lib/okiagari/agent/main.py"} <= set(names)
    again = controller.run()
    assert (again["changed"], again["path"], controller.calls.read_text()) == (False, done["path"], said)


def test_a_python_that_is_too_old_is_refused_with_what_it_takes(tmp_path: Path) -> None:
    assert "it needs 3.11 or newer" in Controller(tmp_path).run(python="3.9")["msg"]
