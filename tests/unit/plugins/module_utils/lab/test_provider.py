# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import NodePlan, lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import providers
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.provider import Provider, choose

if TYPE_CHECKING:
    from collections.abc import Sequence


def provider(called: str, *lacks: str) -> Provider:
    class Fake(Provider):
        name = called

        def missing(self) -> list[str]:
            return list(lacks)

        def prepare(self, node: NodePlan, directory: Path) -> list[Sequence[str]]:
            raise NotImplementedError

        def command(self, node: NodePlan, directory: Path) -> list[str]:
            raise NotImplementedError

    return Fake(Path("image"))


@pytest.mark.parametrize(
    ("wanted", "able", "chosen"),
    [
        ("auto", [("a",), ("b",)], "a"),
        ("auto", [("a", "no a"), ("b",)], "b"),
        ("b", [("a",), ("b",)], "b"),
    ],
)
def test_the_first_that_the_machine_can_run(wanted: str, able: list[tuple[str, ...]], chosen: str) -> None:
    assert choose(wanted, [provider(*one) for one in able]).name == chosen


@pytest.mark.parametrize(
    ("wanted", "reasons"),
    [("auto", ["a: no a", "a: no a at all", "b: no b"]), ("b", ["b: no b"])],
)
def test_all_reasons_when_there_is_none(wanted: str, reasons: list[str]) -> None:
    with pytest.raises(OkiagariError) as caught:
        choose(wanted, [provider("a", "no a", "no a at all"), provider("b", "no b")])
    assert str(caught.value).splitlines() == ["this machine can't run the lab:", *reasons]


@pytest.mark.parametrize(
    ("wanted", "boots", "order"),
    [
        ("auto", True, ["qemu", "uml"]),
        ("auto", False, ["uml", "qemu"]),
        ("qemu", True, ["qemu", "uml"]),
    ],
)
def test_kvm_comes_first_if_it_boots(
    monkeypatch: pytest.MonkeyPatch, wanted: str, boots: bool, order: list[str]
) -> None:
    monkeypatch.setattr(lab, "kvm_boots", lambda image: boots)
    assert [provider.name for provider in providers(Path("image"), wanted)] == order


def test_kvm_is_not_tried_for_uml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "kvm_boots", lambda image: pytest.fail("tried"))
    assert providers(Path("image"), "uml")[0].name == "uml"
