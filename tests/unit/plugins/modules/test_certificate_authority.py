# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.modules import certificate_authority
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_authority(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = certificate_authority.main
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    options: dict[str, Any] = {"directory": str(tmp_path / "a"), "names": ["x", "y"]}
    would = run_module(main, capsys, check=True, **options)
    assert (would["changed"], would["issued"]) == (True, {"x": "there is none", "y": "there is none"})
    done = run_module(main, capsys, **options)
    assert (done["changed"], done["names"], done["diff"]) == (True, ["x", "y"], would["diff"])
    again = run_module(main, capsys, **options)
    assert (again["changed"], again["issued"]) == (False, {})
    options["revoked"] = ["y", "nobody"]
    would = run_module(main, capsys, check=True, renew=["x"], **options)
    done = run_module(main, capsys, renew=["x"], **options)
    assert done == would
    assert (done["names"], done["issued"]) == (["x"], {"x": "another one was asked for"})
    assert done["diff"]["before"]["certificates"] == done["issued"]
    assert warnings == ["nobody has never had a certificate of this authority"] * 2
    assert not run_module(main, capsys, **options)["changed"]


def test_what_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    refused = run_module(certificate_authority.main, capsys, directory=str(tmp_path), names=["/"])
    assert "/ is not a host's name" in refused["msg"]
