# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.agent import Agent
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.credentials import check
from ansible_collections.okiagari.testbed.plugins.module_utils.certificates import Authority, Wish
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner

from .agents import authority, config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    authority(tmp_path_factory.mktemp("other"), "a").rename(folder := tmp_path_factory.mktemp("all") / "other")
    Authority(SubprocessRunner(), folder.parent / "own", ["a", "b"], Wish(days=100)).create()
    return folder.parent


@pytest.fixture
def files(issued: Path, tmp_path: Path) -> Path:
    for name in ("ca.pem", "a.pem", "a.key"):
        shutil.copy(issued / "own" / name, tmp_path / name)
    return tmp_path


def later(**time: float) -> datetime:
    return datetime.now(UTC) + timedelta(**time)


def refused(folder: Path, now: datetime | None = None) -> list[str]:
    with pytest.raises(BadInput) as raised:
        check(config(folder), now)
    return [str(problem).replace(f"{folder}/", "") for problem in raised.value.problems]


def test_a_good_one_has_nothing_to_say_until_its_last_month(files: Path) -> None:
    assert check(config(files)) == ""
    assert check(config(files), later(days=69)) == ""
    assert "a.pem expires in 29 days: run playbooks/agents.yml" in check(config(files), later(days=70, hours=1))


def test_times(files: Path) -> None:
    assert refused(files, later(days=101)) == [
        (f"a.pem: has expired on {later(days=100):%Y-%m-%d}: run playbooks/agents.yml, which makes and brings new ones")
    ]
    said = refused(files, later(days=-3))
    assert [text.partition(" before ")[0] for text in said] == ["ca.pem: is not valid", "a.pem: is not valid"]
    assert said[1].endswith("set this host's clock")


def test_another_authority_name_or_key(files: Path, issued: Path) -> None:
    shutil.copy(issued / "other" / "ca.pem", files / "ca.pem")
    (said,) = refused(files)
    assert said.startswith("a.pem: was not issued by ca.pem: run")
    shutil.copy(issued / "own" / "b.pem", files / "a.pem")
    first, second, third = refused(files)
    assert first == said
    assert second.startswith("a.pem: is for b, not for a: run")
    assert third.startswith("a.key: doesn't belong to a.pem: run")


@pytest.mark.parametrize("name", ["ca.pem", "a.pem", "a.key"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff"])
def test_one_file_that_is_none(files: Path, name: str, content: bytes) -> None:
    (files / name).write_bytes(content)
    (said,) = refused(files)
    assert said.startswith(f"{name}: is not what it should be (")
    (files / name).unlink()
    assert refused(files) == [f"{name}: is missing: run playbooks/agents.yml, which makes and brings new ones"]
    (files / name).mkdir()
    assert refused(files) == [f"{name}: can't be read: Is a directory"]


def test_all_is_told_at_once_before_anything_starts(files: Path) -> None:
    (files / "ca.pem").unlink()
    (files / "a.key").write_bytes(b"garbage")
    said = refused(files, later(days=101))
    assert [text.partition(":")[0] for text in said] == ["ca.pem", "a.key", "a.pem"]
    with pytest.raises(BadInput, match=r"ca\.pem: is missing"):
        Agent(config(files))
    assert not (files / "state").exists()


def test_an_encrypted_key(files: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (files / "a.key").write_bytes(key)
    (said,) = refused(files)
    assert said.startswith("a.key: is not what it should be (Password")
