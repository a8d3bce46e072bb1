# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target in network namespaces of the test's own, r1 and r2, joined by two links, each with a LAN; and the QEMUs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import STOP_COPY, WAYS
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capturer import Capturer
from ansible_collections.okiagari.testbed.tests.contract.real_qemu import ENGINES, OWN, use

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).with_name("namespaced_target.py")


class Target:
    """One namespace with the target program in it."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self.environment = {
            **os.environ, "OKIAGARI_STATE": str(folder / "state"), "OKIAGARI_RUN": str(folder / "run"),
        }  # fmt: skip
        self.folder = folder

    def sh(self, command: str) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, "sh", "-ec", command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def call(self, command: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, sys.executable, "-B", str(PROGRAM), command],
            input=json.dumps(request or {}), capture_output=True, text=True, check=False, env=self.environment,
        )  # fmt: skip
        assert not done.stderr, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        assert ("error" in result and done.returncode == 1) or done.returncode == 0
        return result

    def ok(self, command: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        result = self.call(command, request)
        assert set(result) != {"error"}, result
        return result


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have a test run with each QEMU, and give the release that this one is of."""
    release = str(request.param)
    use(release, monkeypatch)
    return release


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have guests captured in each way, and give it; the better one is taken where nobody says so."""
    if request.param == STOP_COPY:
        monkeypatch.setattr(f"{Capturer.__module__}.way_of", lambda *_said: STOP_COPY)
    return str(request.param)


@pytest.fixture
def epochs(engine: str) -> int:
    """Give how many epochs to try with this QEMU: `$EPOCHS`, or so few that nobody waits for it."""
    return int(os.environ.get("EPOCHS", "4" if engine == OWN else "2"))


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[tuple[Target, Target]]:
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and iproute2, to make network namespaces")
    names = [f"okiagari-{uuid.uuid4().hex[:6]}-{number}" for number in (1, 2)]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        one, two = (Target(name, tmp_path / name) for name in names)
        for link in ("w-a", "w-b"):
            one.sh(f"ip link add {link} type veth peer name {link} netns {two.namespace}")
        for number, target in ((1, one), (2, two)):
            target.sh(f"""
                ip link set lo up; ip link add lan0 type bridge; ip link set lan0 up
                ip addr add 10.{number}.0.1/24 dev lan0
                ip link set w-a up; ip link set w-b up
                ip addr add 10.254.0.{number}/24 dev w-a; ip addr add 10.254.1.{number}/24 dev w-b
                ip addr add 2001:db8:a::{number}/64 dev w-a nodad; ip addr add 2001:db8:b::{number}/64 dev w-b nodad
                echo 1 > /proc/sys/net/ipv4/ip_forward
            """)
        one.sh("ip route add 10.2.0.0/24 via 10.254.1.2 metric 20 proto bgp; ip route add 10.8.0.0/16 via 10.254.0.2")
        one.sh(
            "ip route add 10.9.0.0/16 dev w-a proto static metric 5;"
            "ip route add 10.7.0.0/16 via 10.9.0.9 proto static onlink dev w-a"
        )
        one.sh("ip -6 route add 2001:db8:99::/48 via 2001:db8:a::2 proto static")
        two.sh("ip route add 10.1.0.0/24 via 10.254.0.1 metric 20 proto bgp")
        # Link-local addresses come about two seconds late; a snapshot before that would not be the last word.
        one.sh("for _ in $(seq 50); do ip -6 addr show tentative | grep -q inet6 || break; sleep 0.1; done")
        yield one, two
    finally:
        for name in names:
            subprocess.run(f"ip netns pids {name} | xargs -r kill", shell=True, check=False)
            subprocess.run(["ip", "netns", "del", name], check=True)
