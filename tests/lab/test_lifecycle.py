# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab comes up from nothing, stays as it is, and goes without a trace, whatever was killed in between."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import providers
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.provider import choose
from ansible_collections.okiagari.testbed.tests.lab.small_lab import (
    PROJECT,
    SmallLab,
    changed,
    kill_group,
    without_a_trace,
)
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.lab

EVERYTHING = {"localhost", "a-r1", "x"}


def test_from_nothing_and_again(small_lab: SmallLab) -> None:
    assert changed(small_lab.play("lab_up", "--check")) == EVERYTHING
    assert small_lab.remains() == {}
    assert changed(small_lab.play("lab_up")) == EVERYTHING
    assert [small_lab.say(node, "hostname").strip() for node in small_lab.nodes] == small_lab.nodes
    for node in small_lab.nodes:
        before = time.time()
        assert before - 0.5 < float(small_lab.say(node, "date +%s.%N")) < time.time() + 0.5, f"{node}'s clock is wrong"
    assert changed(small_lab.play("lab_up")) == set()
    assert changed(small_lab.play("lab_up", "--check")) == set()
    status = small_lab.play("lab_status")
    assert "Lab one in" in status
    assert status.count("running") == 2


@pytest.mark.soak
def test_down_is_down(small_lab: SmallLab) -> None:
    assert changed(small_lab.play("lab_down")) == set()
    small_lab.play("lab_up")
    assert changed(small_lab.play("lab_down", "--check")) == {"localhost"}
    assert small_lab.answers("x")
    assert changed(small_lab.play("lab_down")) == {"localhost"}
    assert changed(small_lab.play("lab_down")) == set()


@pytest.mark.soak
def test_two_labs_side_by_side(running_lab: SmallLab, tmp_path_factory: pytest.TempPathFactory) -> None:
    with without_a_trace(SmallLab(tmp_path_factory.mktemp("state"), "two")) as other:
        other.play("lab_up")
        running_lab.say("x", "touch /root/mine")
        assert other.ssh("x", "test -e /root/mine").returncode == 1
        assert running_lab.namespace() != other.namespace()
    assert running_lab.say("x", "ls /root/mine") == "/root/mine\n"


@pytest.mark.soak
def test_a_power_cut_keeps_the_disk(running_lab: SmallLab) -> None:
    running_lab.say("x", "echo precious > /root/file; sync /root/file")
    assert running_lab.lab.space.kill_node("x")
    assert running_lab.state("x") == "stopped"
    assert not running_lab.answers("x")
    assert changed(running_lab.play("lab_up")) == {"x"}
    assert running_lab.say("x", "cat /root/file") == "precious\n"


@pytest.mark.soak
def test_a_frozen_node_goes_on(running_lab: SmallLab) -> None:
    running_lab.say("x", "touch /run/same-boot")
    running_lab.lab.pause("x", stop=True)
    assert running_lab.state("x") == "paused"
    assert not running_lab.answers("x")
    assert running_lab.answers("a-r1")
    assert changed(running_lab.play("lab_up")) == {"x"}
    running_lab.say("x", "ls /run/same-boot")


@pytest.mark.soak
def test_an_orderly_stop_ends_services_first(running_lab: SmallLab) -> None:
    running_lab.say(
        "x", "systemd-run --quiet --property=RemainAfterExit=yes --property=ExecStop='touch /root/orderly' true"
    )
    provider = choose("uml", providers(running_lab.image(), "uml"))
    running_lab.lab.stop("x", provider, 60)
    assert running_lab.state("x") == "stopped"
    assert changed(running_lab.play("lab_up")) == {"x"}
    running_lab.say("x", "ls /root/orderly")


@pytest.mark.soak
def test_a_reboot_inside(running_lab: SmallLab) -> None:
    boot = "cat /proc/sys/kernel/random/boot_id"
    before = running_lab.say("x", boot)
    running_lab.say("x", "systemd-run --quiet --on-active=1 systemctl reboot")
    wait_for("the node to be back", lambda: running_lab.ssh("x", boot).stdout not in ("", before), 180)
    wait_for("the node to be up", lambda: running_lab.say("x", "systemctl is-system-running --wait"), 120)
    assert "netem" in running_lab.say("x", "tc qdisc show dev w-a-r1")
    assert running_lab.testbed["nodes"]["x"]["management"] in running_lab.say("x", "ip -br address show mgmt0")
    assert changed(running_lab.play("lab_up")) == set()


VICTIMS: dict[str, Callable[[str], bool]] = {
    "the keeper": lambda node: node == "keeper",
    "everything but one node": lambda node: node != "x",
    "everything": lambda node: True,
}
IN_CI = ("everything but one node",)


@pytest.mark.parametrize(
    "victims",
    [pytest.param(each, id=name, marks=() if name in IN_CI else pytest.mark.soak) for name, each in VICTIMS.items()],
)
def test_what_was_killed_comes_back_and_goes(small_lab: SmallLab, victims: Callable[[str], bool]) -> None:
    def cut() -> None:
        for pid, node in small_lab.lab.space.processes().items():
            if victims(node):
                os.kill(pid, signal.SIGKILL)

    small_lab.play("lab_up")
    cut()
    small_lab.play("lab_up")
    assert all(small_lab.answers(node) for node in small_lab.nodes)
    cut()


@pytest.mark.parametrize("begun", [pytest.param("keeper", marks=pytest.mark.soak), "x"])
def test_down_while_the_tasks_of_a_killed_start_go_on(small_lab: SmallLab, begun: str) -> None:
    process = subprocess.Popen(
        small_lab.command("lab_up"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=small_lab.environment,
        cwd=PROJECT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(begun, lambda: begun in small_lab.lab.space.processes().values(), 60)
        process.kill()
        process.wait()
        small_lab.play("lab_down")
        wait_for("its tasks to end", lambda: not _group_lives(process.pid), 30)
        assert small_lab.remains() == {}
    finally:
        kill_group(process)


def _group_lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.soak
def test_without_any_virtualisation_qemu_translates(tmp_path_factory: pytest.TempPathFactory) -> None:
    with without_a_trace(SmallLab(tmp_path_factory.mktemp("state"), OKIAGARI_PROVIDER="qemu")) as lab:
        lab.play("lab_up", "--limit", "localhost,x", timeout=600)
        assert lab.say("x", "hostname") == "x\n"
        assert "netem" in lab.say("x", "tc qdisc show dev w-a-r1")
        lab.lab.stop("x", choose("qemu", providers(lab.image(), "qemu")), 120)
        assert lab.state("x") == "stopped"
