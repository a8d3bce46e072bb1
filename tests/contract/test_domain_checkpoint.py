# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains of a real libvirt are captured while they run, and begun again by libvirt itself, exactly there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.contract.real_libvirt import NODE, Domain, RealLibvirt, number

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKETS = "/proc/net/unix"
EPOCHS = int(os.environ.get("EPOCHS", "3"))


@pytest.fixture(scope="module", params=["background", "stop_stream"])
def libvirt(request: pytest.FixtureRequest) -> Iterator[RealLibvirt]:
    """Give a libvirt in whose QEMU that way is the best one."""
    if request.param == "background" and os.geteuid():
        pytest.skip("needs root, to let QEMU note where a guest writes to its memory")
    with RealLibvirt(watched=request.param == "background") as libvirt:
        said = libvirt.module(state="probed")
        assert (said["possible"], said["way"], said["why"]) == (True, request.param, "")
        yield libvirt


@pytest.fixture
def folder(libvirt: RealLibvirt, request: pytest.FixtureRequest) -> str:
    return str(libvirt.folder / f"epochs-{abs(hash(request.node.name))}")


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_every_epoch_is_begun_by_libvirt_where_it_was(libvirt: RealLibvirt, folder: str, form: str) -> None:
    domain = libvirt.domain(f"tally-{form}", form)
    before = domain.traces()
    for epoch in range(1, EPOCHS + 1):
        said = libvirt.module(state="captured", name=domain.name, folder=folder, keep=EPOCHS)
        assert (said["changed"], said["checkpoint"]["epoch"]) == (True, epoch)
        assert epoch == 1 or said["checkpoint"]["bytes"] < 65536
        assert domain.traces() == before
        domain.wait_for(2)
    here = domain.numbers()
    assert here == list(range(1, len(here) + 1))
    refused = libvirt.module(state="restored", folder=folder, disks=f"{folder}-disks")
    assert "runs here already: there must never be two of it" in refused["msg"]
    libvirt.virsh("destroy", domain.name)
    reached = 0
    for epoch in (*range(1, EPOCHS + 1), 1):
        options = {"state": "restored", "folder": folder, "disks": f"{folder}-disks", "epoch": epoch}
        if reached:
            assert "is there already: name another folder by disks" in libvirt.module(**options)["msg"]
        said = libvirt.module(**options, overwrite=True, paused=True)
        assert said["changed"], said
        assert domain.state() == "paused"
        disk = number(libvirt.folder / said["restored"]["disks"]["vda"], libvirt.folder)
        libvirt.virsh("resume", domain.name)
        went_on = domain.wait_for(3)
        # Written, bumped, said: what comes next is the number after the disk's, or after the one that it said.
        assert went_on[0] in (disk + 1, disk + 2)
        assert went_on[:3] == list(range(went_on[0], went_on[0] + 3))
        assert (disk > reached) == (epoch > 1 or not reached)
        reached = disk
        assert not libvirt.module(**options, overwrite=True)["changed"]
        libvirt.virsh("destroy", domain.name)
    found = libvirt.module(state="query", folder=folder)
    assert [epoch["epoch"] for epoch in found["epochs"]] == list(range(1, EPOCHS + 1))
    assert found["epochs"][0]["disks"] == {"vda": 1024 * 1024}


def test_what_libvirt_began_is_captured_again(libvirt: RealLibvirt, folder: str) -> None:
    """It was persistent, and is so where it goes on."""
    domain = libvirt.domain("again", "qcow2", persistent=True)
    libvirt.module(state="captured", name=domain.name, folder=folder)
    for _time in range(2):
        libvirt.virsh("destroy", domain.name)
        libvirt.virsh("undefine", domain.name)
        said = libvirt.module(state="restored", folder=folder, disks=f"{folder}-disks", overwrite=True)
        assert said["changed"], said
        domain.wait_for(2)
        said = libvirt.module(state="captured", name=domain.name, folder=folder)
        assert said["checkpoint"]["bytes"] < 65536
    libvirt.virsh("destroy", domain.name)
    libvirt.virsh("start", domain.name)
    assert domain.wait_for(3)[0] == 1
    libvirt.virsh("undefine", domain.name)


def test_what_others_have_in_its_qemu_stays(libvirt: RealLibvirt, folder: str) -> None:
    domain = libvirt.domain("others")
    libvirt.monitor(domain.name, "block-dirty-bitmap-add", node=NODE, name="theirs")
    before = domain.traces()
    assert (NODE, ["theirs"]) in before["nodes"]
    assert libvirt.module(state="captured", name=domain.name, folder=folder)["changed"]
    assert domain.traces() == before


def test_a_capture_that_fails_leaves_the_domain_as_it_was(libvirt: RealLibvirt, folder: str) -> None:
    domain = libvirt.domain("failing")
    before = domain.traces()
    # The disk's copy is smaller than that, and the pack isn't.
    with libvirt.begin(
        "prlimit", "--fsize=230000", state="captured", name=domain.name, folder=folder
    ) as process:  # fmt: skip
        assert "File too large" in process.communicate(timeout=240)[0]
    assert (domain.state(), domain.traces()) == ("running", before)
    domain.wait_for(2)
    assert libvirt.module(state="captured", name=domain.name, folder=folder)["checkpoint"]["epoch"] == 1


def test_a_capture_that_is_killed_leaves_the_domain_as_it_was(libvirt: RealLibvirt, folder: str) -> None:
    """While the domain stands still, and soon after."""
    domain = libvirt.domain("killed")
    before = domain.traces()
    for later in (0.0, 0.05, 0.2):
        with standing_still(libvirt, domain, folder) as process:
            time.sleep(later)
            process.send_signal(signal.SIGKILL)
        settled(domain, before)
        domain.wait_for(2)
    said = libvirt.module(state="captured", name=domain.name, folder=folder)
    assert said["changed"], said
    assert domain.traces() == before
    here = domain.wait_for(2)
    assert here == list(range(1, len(here) + 1))


def test_when_libvirt_is_back_the_domain_goes_on(libvirt: RealLibvirt, folder: str) -> None:
    """libvirt's daemon dies while the domain stands still: nobody can tell it anything then."""
    domain = libvirt.domain("orphaned")
    before = domain.traces()
    with standing_still(libvirt, domain, folder) as process:
        libvirt.kill()
        libvirt.start_again()
        assert json.loads(process.communicate(timeout=240)[0])["failed"]
    settled(domain, before)
    domain.wait_for(2)


@contextmanager
def standing_still(libvirt: RealLibvirt, domain: Domain, folder: str) -> Iterator[subprocess.Popen[str]]:
    """Give a module that captures a domain, at the moment in which that has stopped."""
    with subprocess.Popen(
        ["virsh", "--quiet", "--connect", libvirt.uri, "event", domain.name, "--event", "lifecycle", "--loop"],
        stdout=subprocess.PIPE, text=True,
    ) as events:  # fmt: skip
        assert events.stdout
        with libvirt.begin(state="captured", name=domain.name, folder=folder) as process:
            assert "Suspended" in events.stdout.readline()
            events.terminate()
            yield process


def settled(domain: Domain, before: dict[str, Any]) -> None:
    end = time.monotonic() + 60
    while (domain.state(), domain.traces()) != ("running", before) or "@okiagari-domain-" in Path(SOCKETS).read_text():
        assert time.monotonic() < end, (domain.state(), domain.traces(), before)
        time.sleep(0.1)


def test_a_domain_that_stands_still_is_left_alone(libvirt: RealLibvirt, folder: str) -> None:
    domain = libvirt.domain("still")
    libvirt.virsh("suspend", domain.name)
    said = libvirt.module(state="captured", name=domain.name, folder=folder)
    assert "still is paused, and only a domain that runs is captured" in said["msg"]
    assert domain.state() == "paused"
    assert "there is no domain nobody here" in libvirt.module(state="captured", name="nobody", folder=folder)["msg"]
