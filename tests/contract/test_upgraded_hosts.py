# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest goes on where QEMU is another version than where it was captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.tests.contract.captured_machine import CARD, Host, on_disk, shipped
from ansible_collections.okiagari.testbed.tests.contract.counting_guest import boot_disk
from ansible_collections.okiagari.testbed.tests.contract.real_qemu import NEWER, OLDER, use

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return boot_disk(tmp_path / "disk")


@pytest.mark.parametrize("chipset", ["pc", "q35"])
def test_a_guest_goes_on_under_a_newer_qemu_and_back_again(
    tmp_path: Path, disk: Path, way: str, chipset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As hosts are upgraded one by one: its machine stays the one of its first boot, which both of them know."""
    replica, reached = Host(tmp_path / "replica", disk).replica(), 0
    for term, release in enumerate((OLDER, NEWER, NEWER, OLDER, NEWER), 1):
        use(release, monkeypatch)
        host = Host(tmp_path / str(term), disk, *CARD, type=chipset)
        with host.running(replica if replica.head else None, term) as capturer:
            assert host.said.numbers()[0] in (reached + 1, reached + 2)
            for _epoch in range(2):
                label, _size = shipped(capturer, replica)
            assert capturer.way == way
            reached = on_disk(replica)
        assert label.machine["qemu"][0] == {OLDER: 7, NEWER: 10}[release]
    replica.close()


def test_a_newer_machine_is_refused_by_an_older_qemu_and_nothing_is_lost(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Host(tmp_path / "replica", disk).replica()
    use(NEWER, monkeypatch)
    with Host(tmp_path / "a", disk).running() as capturer:
        shipped(capturer, replica)
    use(OLDER, monkeypatch)
    with (
        pytest.raises(OkiagariError, match="unsupported machine type") as refused,
        Host(tmp_path / "b", disk).running(replica, term=2),
    ):
        pass
    assert "QEMU 10.0 has captured of a machine pc-i440fx-10.0 (have QEMU 10.0 or newer here" in str(refused.value)
    use(NEWER, monkeypatch)
    with Host(tmp_path / "c", disk).running(replica, term=2):
        pass
    replica.close()
