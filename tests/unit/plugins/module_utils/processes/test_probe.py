# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.probe import Probe
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Places
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.processes.simulated_criu import SimulatedCriu

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Runner


class Place:
    """A host on which trials end as `plain` and `tcp` say; empty for a success."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runner = folder, SimulatedCriu()
        self.plain = self.tcp = ""
        self.trials: list[bool] = []
        (folder / "proc/sys/kernel").mkdir(parents=True)
        (folder / "proc/sys/kernel/ns_last_pid").touch()
        (folder / "proc/self").mkdir()
        self.capabilities("1ffffffffff")

    def capabilities(self, mask: str) -> None:
        (self.folder / "proc/self/status").write_text(f"Name:\tx\nCapEff:\t{mask}\n")

    def try_out(self, runner: Runner, program: str, tcp: bool) -> str:
        assert (runner, program) == (self.runner, "criu")
        self.trials.append(tcp)
        return self.tcp if tcp else self.plain

    def probe(self) -> Probe:
        places = Places(run=str(self.folder / "run"))
        return Probe(self.runner, "criu", places, self.folder / "proc", self.try_out)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return Place(tmp_path)


def test_where_it_is_possible(place: Place) -> None:
    found = place.probe().look().to_dict()
    assert (found["possible"], found["why"], found["criu"], found["pre_dump"]) == (True, "", "4.1.1", False)
    assert found["established_tcp"] == {"possible": True, "why": ""}
    assert place.trials == [False, True]
    place.probe().assure(tcp=True)
    assert place.trials == [False, True], "what was seen since the boot is tried once more"
    place.runner.version = "4.2"
    place.probe().assure(tcp=False)
    assert place.trials == [False, True, False], "another CRIU is trusted without a trial"
    place.probe().assure(tcp=True)
    place.probe().assure(tcp=False)
    assert place.trials == [False, True, False, True]


def test_where_only_connections_are_not(place: Place) -> None:
    place.tcp = "it has a socket"
    found = place.probe().look().to_dict()
    assert found["possible"]
    assert found["established_tcp"]["why"].endswith("couldn't do it: it has a socket")
    place.probe().assure(tcp=False)
    with pytest.raises(OkiagariError, match=r"not here, because CRIU 4\.1\.1 on Linux .* couldn't do it: it has"):
        place.probe().assure(tcp=True)


def test_what_is_wrong_is_said_with_what_to_do(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> str:
        found = place.probe().look().to_dict()
        assert (found["possible"], found["established_tcp"]["possible"], found["pre_dump"]) == (False, False, False)
        with pytest.raises(OkiagariError) as error:
            place.probe().assure(tcp=False)
        assert str(error.value) == found["why"]
        assert found["why"].startswith("not here, because ")
        return str(found["why"])

    place.plain, place.runner.checks = "it went wrong", "Error (criu/vdso.c:381): vdso: Bad\n"
    assert "couldn't do it: it went wrong; CRIU itself says vdso: Bad" in refused()
    place.capabilities("1ffffd7ffff")
    assert "it lacks CAP_SYS_PTRACE and CAP_SYS_ADMIN, which its container would need" in refused()
    place.runner.version = ""
    assert "CRIU isn't installed (criu: No such file or directory): install the package criu" in refused()
    (place.folder / "proc/sys/kernel/ns_last_pid").unlink()
    assert "was built without CONFIG_CHECKPOINT_RESTORE, as User-Mode Linux is: use a host" in refused()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert refused() == "not here, because it needs root: use become"
