# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed as the tiny guest reads it: the writer and the reader share no code."""

from __future__ import annotations

import io
import json
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from ansible_collections.okiagari.testbed.plugins.module_utils.guest import Machine, Network
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.iso import SECTOR, iso_image
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.seed import seed
from ansible_collections.okiagari.testbed.roles.guest_image.files.guest.agent import commands, read_seed
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

CARDS = (
    Network("lan", "br100", "02:03:00:00:00:0a", "10.240.0.11/24", "10.240.0.1", 1400),
    Network("bare", "br101", "02:03:00:00:00:0b"),
)
MACHINE = Machine("exp1-web-1", networks=CARDS)
KEYS = ["ssh-ed25519 AAAA it's me", "ssh-ed25519 BBBB two"]


def test_the_guest_reads_what_was_written() -> None:
    found = read_seed(io.BytesIO(seed(MACHINE.name, MACHINE.networks, KEYS)))
    assert found["user-data"]["ssh_authorized_keys"] == KEYS
    assert found["meta-data"] == {"instance-id": "exp1-web-1", "local-hostname": "exp1-web-1"}
    assert found["network-config"]["ethernets"]["net0"]["addresses"] == ["10.240.0.11/24"]
    assert seed(MACHINE.name, MACHINE.networks, KEYS) == seed(MACHINE.name, MACHINE.networks, KEYS)


def test_cloud_init_reads_it_too(tmp_path: Path) -> None:
    image = seed(MACHINE.name, MACHINE.networks, KEYS)
    start = image.index(b"#cloud-config\n")
    text = image[start : image.index(b"\0", start)].decode()
    assert yaml.safe_load(text)["hostname"] == "exp1-web-1"
    assert image[16 * SECTOR + 40 :][:32] == b"cidata".ljust(32)


def test_commands_do_what_the_seed_says(tmp_path: Path) -> None:
    links = {"02:03:00:00:00:0a": "eth0", "02:03:00:00:00:0b": "eth1"}
    script = commands(read_seed(io.BytesIO(seed(MACHINE.name, MACHINE.networks, KEYS))), links)
    assert script[0] == "hostname 'exp1-web-1'"
    assert script[3:7] == [
        "ip address add '10.240.0.11/24' dev eth0",
        "ip link set eth0 mtu 1400 up",
        "ip route add 'default' via '10.240.0.1' dev eth0",
        "ip link set eth1 mtu 1500 up",
    ]
    folder = tmp_path / "root"
    folder.mkdir()
    keys = "\n".join(script[7:]).replace("/root/.ssh", str(folder))
    subprocess.run(["sh", "-c", keys], check=True)
    assert (folder / "authorized_keys").read_text().splitlines() == KEYS
    assert (folder / "authorized_keys").stat().st_mode & 0o777 == 0o600


def test_a_card_that_is_not_there_is_passed_over() -> None:
    image = io.BytesIO(seed(MACHINE.name, MACHINE.networks, []))
    assert not [line for line in commands(read_seed(image), {}) if line.startswith("ip ")]


@pytest.mark.parametrize("content", [b"", bytes(40 * SECTOR), iso_image("other", {"user-data": b"{}"})])
def test_what_is_no_seed(content: bytes) -> None:
    assert read_seed(io.BytesIO(content)) == {}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True), st.lists(st.integers(), max_size=900), max_size=12
    )
)
def test_any_files(files: dict[str, list[int]]) -> None:
    image = iso_image("cidata", {name: json.dumps(data).encode() for name, data in files.items()})
    assert len(image) % SECTOR == 0
    assert read_seed(io.BytesIO(image)) == files


def test_too_many_files() -> None:
    with pytest.raises(ValueError, match="too many files"):
        iso_image("cidata", {f"a-file-with-a-long-name-{number}": b"" for number in range(60)})
