# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which sites approve drills."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.permission import Approval, Approvals
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.consent import read

if TYPE_CHECKING:
    from pathlib import Path

SITES = ("hiroshima", "kanazawa")
GOOD = '- {drill: circuit_cut, by: A. Person, until: 2026-12-31}\n- {drill: "*", by: A. Person, until: "2026-10-31"}\n'


def test_what_is_there_is_read(tmp_path: Path) -> None:
    (tmp_path / "kanazawa.yml").write_text(GOOD)
    (tmp_path / "README.md").write_text("Each site changes its own file only.")
    (tmp_path / ".kanazawa.yml.swp").write_text("")
    approved = (
        Approval("circuit_cut", "A. Person", date(2026, 12, 31)),
        Approval("*", "A. Person", date(2026, 10, 31)),
    )
    assert read(str(tmp_path), SITES) == Approvals(str(tmp_path), {"kanazawa": approved})


def test_a_folder_that_is_not_there_approves_nothing(tmp_path: Path) -> None:
    assert read(str(tmp_path / "consent"), SITES).of == {}


def test_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "hiroshima.yml").write_text("- {drill: Circuit Cut, by: , until: soon}\n- {by: x}\n")
    (tmp_path / "kanazawa.yml").write_text("drill: circuit_cut\n")
    (tmp_path / "kanasawa.yml").write_text(GOOD)
    (tmp_path / "kanazawa.yaml").write_text(GOOD)
    (tmp_path / "tokyo.yml").write_text(GOOD)
    with pytest.raises(BadInput) as raised:
        read(str(tmp_path), SITES)
    told = str(raised.value).replace(f"{tmp_path}/", "").splitlines()
    no_name = "is not a name: up to 40 of a-z, 0-9, _ and -, and it starts with a letter or digit"
    others = "is not the file of a site: there are hiroshima.yml, kanazawa.yml"
    assert told == [
        f"hiroshima.yml:1: [0].drill: {no_name}",
        "hiroshima.yml:1: [0].by: nothing is not a text",
        "hiroshima.yml:1: [0].until: is not a date such as 2026-12-24",
        "hiroshima.yml:2: [1]: the key drill is missing",
        "hiroshima.yml:2: [1]: the key until is missing",
        f"kanasawa.yml: {others}; did you mean kanazawa.yml?",
        f"kanazawa.yaml: {others}; did you mean kanazawa.yml?",
        "kanazawa.yml:1: must be a list such as - {drill: circuit_cut, by: A. Person, until: 2026-12-31}",
        f"tokyo.yml: {others}",
    ]
