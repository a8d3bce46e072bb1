# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target program as one file."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from ansible_collections.okiagari.testbed.plugins.module_utils.target import bundle, name_of, pack
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Places

HERE = Path(pack.__file__).parents[1]


def test_same_bytes_every_time() -> None:
    assert bundle() == bundle()
    assert name_of(b"x") == "okiagari-2d711642b726.pyz"


def test_every_module_of_the_core_is_in_it() -> None:
    """But for the back-ends of devices, which are reached from elsewhere."""
    devices = {
        "fault/able",
        "fault/device",
        "fault/netconf",
        "fault/ios",
        "fault/ios_state",
        "fault/ios_words",
        "fault/netconf_state",
        "fault/vyos",
        "fault/vyos_state",
    }
    files = {f"{folder}/{path.stem}" for folder in ("fault", "target") for path in (HERE / folder).glob("*.py")}
    assert set(pack.MODULES) == {
        *(files - devices - {"fault/__init__", "target/__init__", "target/edge"}),
        "agent/client", "errors", "runner", "suggest", "units", "values", "lab/button", "lab/node", "lab/space",
    }  # fmt: skip


def test_it_runs_and_reports_errors_as_json(tmp_path: Path) -> None:
    path = tmp_path / "okiagari.pyz"
    path.write_bytes(bundle())
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(path), "hallo"], capture_output=True, text=True, check=False,
        env={"OKIAGARI_RUN": str(tmp_path), "OKIAGARI_STATE": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert list(json.loads(done.stdout)) == ["error"]


def test_it_can_be_made_from_inside_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "modules.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("agent", "fault", "lab", "target"):
            archive.writestr(f"core/{folder}/__init__.py", "")
        archive.writestr("core/__init__.py", "")
        for module in pack.MODULES:
            archive.writestr(f"core/{module}.py", (HERE / f"{module}.py").read_bytes())
    code = "import sys; from core.target.pack import bundle; sys.stdout.buffer.write(bundle())"
    done = subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(path)!r}); {code}"],
                          capture_output=True, check=True)  # fmt: skip
    assert done.stdout == bundle()


def test_install_lays_it_down_once(tmp_path: Path) -> None:
    places = Places(str(tmp_path / "state"), str(tmp_path / "run"))
    path = pack.install(places)
    assert path.read_bytes() == bundle()
    assert path.stat().st_mode & 0o777 == 0o600
    assert pack.install(places) == path
