# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of a user without any privilege, if the machine lets it have `/dev/net/tun` and a user namespace."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import PROJECT, SmallLab, changed, without_a_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")]

NOBODY = 65534
BECOME = [
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--no-new-privs"
]  # fmt: skip
TUN = Path("/dev/net/tun")
CACHE = Path("/var/tmp/okiagari-test-cache")
"""An image of its own, kept for the next time: root's is out of this user's sight, and an image can't be moved.

Root builds it, as building needs subordinate user ids, which nobody has.
"""


@contextmanager
def tun_mode(mode: int) -> Iterator[None]:
    before = stat.S_IMODE(TUN.stat().st_mode)
    TUN.chmod(mode)
    try:
        yield
    finally:
        TUN.chmod(before)


@pytest.fixture
def nobodys_lab() -> Iterator[SmallLab]:
    for needed in (Path(sys.executable), PROJECT / "ansible.cfg"):
        if subprocess.run([*BECOME, "test", "-r", str(needed)], check=False).returncode:
            pytest.skip(f"{needed} can't be read by another user")
    home = Path(tempfile.mkdtemp(prefix="okiagari-", dir="/var/tmp"))
    os.chown(home, NOBODY, NOBODY)
    # Ansible asks the user database for the home, and nobody's doesn't exist.
    environment = {"HOME": str(home), "ANSIBLE_REMOTE_TEMP": str(home / "tmp"), "OKIAGARI_CACHE": str(CACHE)}
    _build_image()
    try:
        with without_a_trace(SmallLab(home, prefix=BECOME, **environment)) as lab:
            yield lab
    finally:
        shutil.rmtree(home)


def _build_image() -> None:
    ansible = [str(Path(sys.executable).with_name("ansible")), "localhost", "--connection", "local"]
    role = ["--module-name", "include_role", "--args", "name=okiagari.testbed.node_image"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "OKIAGARI_CACHE": str(CACHE)}
    done = subprocess.run([*ansible, *role], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_tun_it_says_what_to_do(nobodys_lab: SmallLab) -> None:
    with tun_mode(0o600):
        said = nobodys_lab.play("lab_up", fails=True)
    assert f"no access to {TUN}: run as root, or 'chmod 0666 {TUN}'" in said
    assert nobodys_lab.remains() == {}


@pytest.mark.soak
def test_with_tun_the_lab_comes_up(nobodys_lab: SmallLab) -> None:
    with tun_mode(0o666):
        assert changed(nobodys_lab.play("lab_up")) == {"localhost", "a-r1", "x"}
        assert changed(nobodys_lab.play("lab_up")) == set()
        assert nobodys_lab.say("x", "hostname") == "x\n"
        assert nobodys_lab.lab.space.kill_node("x")
        assert changed(nobodys_lab.play("lab_up")) == {"x"}
        assert all(nobodys_lab.answers(node) for node in nobodys_lab.nodes)
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in nobodys_lab.lab.space.processes()}
    assert owners == {NOBODY}
