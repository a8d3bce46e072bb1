# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects from the request to the last trace: several at once, the same inner addresses, nothing left behind."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import PROJECT, SmallLab, changed, without_a_trace
from ansible_collections.okiagari.testbed.tests.lab.traces import REGISTRY, traces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.soak]

HOSTS = ("a-kvm1", "b-kvm1")
# The longest time from the request to all machines answering that a user of the lab shall ever see.
PROMISED_S = 180


class Projects(SmallLab):
    """A lab of two sites with a KVM host each."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, testbed="qinq")
        self._requests = state

    def request(self, name: str, text: str) -> str:
        """Write a request, and give it as an argument of the playbook."""
        file = self._requests / f"{name}.yml"
        file.write_text(f"project: {name}\n{text}")
        return f"project={file}"

    def records(self, host: str = "a-kvm1") -> dict[str, Any]:
        """Give the records that a host has."""
        said = self.say(host, f"cd {REGISTRY} 2>/dev/null && cat *.json 2>/dev/null || true")
        decoder, found = json.JSONDecoder(), {}
        while said.strip():
            record, end = decoder.raw_decode(said.lstrip())
            found[record["name"]] = record
            said = said.lstrip()[end:]
        return found

    def running(self) -> set[str]:
        """Give the machines that run, wherever."""
        return {name for host in HOSTS for name in self.say(host, "virsh list --name").split()}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Projects]:
    with without_a_trace(Projects(tmp_path_factory.mktemp("state"))) as lab:
        lab.play("lab_up")
        lab.play("site")
        yield lab


@pytest.fixture(scope="module")
def before(lab: Projects) -> dict[str, list[str]]:
    return traces(lab)


SAME_PREFIX = """
networks: {lan: {sites: all, prefix: 192.168.7.0/24}}
machines: {web: {count: 2, memory: 96mib}}
"""


def seconds(said: str) -> int:
    """Give the time that a run says it took until all machines answered."""
    found = re.search(r"From the request to all (\d+) machines answering: (\d+) s", said)
    assert found, said
    return int(found[2])


def test_a_request_becomes_machines_that_answer(lab: Projects, before: dict[str, list[str]]) -> None:
    asked = lab.request("exp1", SAME_PREFIX)
    assert "exp1-web-2  b-kvm1" in lab.play("project", "-e", asked, "--check")
    assert traces(lab) == before
    said = lab.play("project", "-e", asked)
    print(f"from request to answer: {seconds(said)} s")
    assert seconds(said) < PROMISED_S
    assert lab.running() == {"exp1-web-1", "exp1-web-2"}
    record = lab.records()["exp1"]
    assert {machine["site"] for machine in record["machines"].values()} == {"a", "b"}
    assert lab.records("b-kvm1") == lab.records("a-kvm1"), "there is a copy"


def test_the_same_request_again_changes_nothing(lab: Projects) -> None:
    assert changed(lab.play("project", "-e", lab.request("exp1", SAME_PREFIX))) == set()


def test_two_at_once_with_the_same_inner_addresses(lab: Projects) -> None:
    first = lab.records()["exp1"]
    runs = [
        subprocess.Popen(
            lab.command("project", "-e", lab.request(name, SAME_PREFIX)),
            env=lab.environment,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("exp2", "exp3")
    ]
    said = [run.communicate(timeout=600)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    print(f"two at once: {[seconds(each) for each in said]} s")
    records = lab.records()
    assert records["exp1"] == first
    assert len({record["networks"]["lan"]["vlan"] for record in records.values()}) == 3
    assert {record["networks"]["lan"]["prefix"] for record in records.values()} == {"192.168.7.0/24"}
    # All have machines with the same addresses, and each is heard in its own network only.
    said_again = lab.play("project", "-e", lab.request("exp1", SAME_PREFIX))
    assert changed(said_again) == set()
    assert seconds(said_again)


def test_the_site_playbook_keeps_what_projects_hold(lab: Projects) -> None:
    assert changed(lab.play("site")) == set()
    assert len(lab.running()) == 6


def test_a_machine_that_moves_stays_the_projects(lab: Projects) -> None:
    for to, site in (("b-kvm1", "b"), ("a-kvm1", "a")):
        lab.play("migrate", "-e", "machine=exp1-web-1", "-e", f"to={to}")
        assert "exp1-web-1" in lab.say(to, "virsh list --name").split()
        machine = lab.records()["exp1"]["machines"]["exp1-web-1"]
        assert (machine["host"], machine["site"]) == (to, site)
        assert lab.records("b-kvm1") == lab.records("a-kvm1")
        assert changed(lab.play("project", "-e", lab.request("exp1", SAME_PREFIX))) == set()


def test_what_does_not_fit_is_refused_by_name(lab: Projects) -> None:
    held = traces(lab)
    vlan = lab.records()["exp1"]["networks"]["lan"]["vlan"]
    much = f"networks: {{lan: {{vlan: {vlan}}}}}\nmachines: {{big: {{count: 2, sites: [a], memory: 2gib}}}}\n"
    said = lab.play("project", "-e", lab.request("exp4", much), fails=True)
    assert re.search(r"networks\.lan: the VLAN 1\d\d is held by exp1", said)
    assert "machines.big: there is no room for 2 of 2 new machines" in said
    assert re.search(r"machines\.big: a-kvm1: \d+ of \d+ MiB of memory are free, 2048 asked", said)
    assert traces(lab) == held


def test_a_copy_takes_over(lab: Projects) -> None:
    said = lab.play("projects", "-e", "projects_registrar=b-kvm1")
    assert all(f"exp{number}-web-{count}" in said for number in (1, 2, 3) for count in (1, 2))
    less = SAME_PREFIX.replace("count: 2", "count: 1")
    lab.play("project", "-e", lab.request("exp2", less), "-e", "projects_registrar=b-kvm1")
    assert lab.running() == {f"exp{number}-web-{count}" for number in (1, 2, 3) for count in (1, 2)} - {"exp2-web-2"}
    assert list(lab.records("a-kvm1")["exp2"]["machines"]) == ["exp2-web-1"], "the former registrar has a copy"
    # An old registrar would give out again what is held.
    lab.say("a-kvm1", f"echo 1 > {REGISTRY}/serial")
    said = lab.play("project", "-e", lab.request("exp5", SAME_PREFIX), fails=True)
    assert "the registrar's records are old" in said
    lab.play("project", "-e", lab.request("exp2", less), "-e", "projects_registrar=b-kvm1")


def test_removal_leaves_no_trace(lab: Projects, before: dict[str, list[str]]) -> None:
    said = lab.play("project", "-e", "project=exp1", "-e", "state=absent")
    assert "exp1 holds nothing any more" in said
    assert lab.running() == {"exp2-web-1", "exp3-web-1", "exp3-web-2"}
    for name in ("exp2", "exp3"):
        lab.play("project", "-e", f"project={name}", "-e", "state=absent")
    assert traces(lab) == before
    assert changed(lab.play("project", "-e", "project=exp1", "-e", "state=absent")) == set()
    assert "No project holds anything." in lab.play("projects")
