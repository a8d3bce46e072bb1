# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible_collections.okiagari.testbed.plugins.inventory.testbed import InventoryModule
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

ROOT = Path(__file__).parents[4]
LAB = ROOT / "inventory" / "lab" / "testbed.yml"


@pytest.fixture
def inventory():
    data = InventoryData()
    InventoryModule().parse(data, DataLoader(), str(LAB))
    data.reconcile_inventory()
    return data


@pytest.mark.parametrize(
    ("name", "valid"),
    [("testbed.yml", True), ("testbed.yaml", True), ("other.yml", False), ("testbed.json", False)],
)
def test_only_testbed_files_are_taken(tmp_path, name, valid):
    path = tmp_path / name
    path.write_text("")
    assert InventoryModule().verify_file(str(path)) is valid
    assert not InventoryModule().verify_file(str(tmp_path / "missing" / name))


def test_the_groups_are_those_of_the_testbed(inventory):
    def hosts(group):
        return sorted(host.name for host in inventory.groups[group].get_hosts())

    routers = ["hiroshima-r1", "kanazawa-r1", "naist-r1", "osaka", "otemachi"]
    kvm_hosts = ["hiroshima-kvm1", "kanazawa-kvm1", "naist-kvm1"]
    assert hosts("routers") == routers
    assert hosts("kvm_hosts") == kvm_hosts
    assert hosts("core") == ["osaka", "otemachi"]
    assert hosts("hiroshima") == ["hiroshima-kvm1", "hiroshima-r1"]
    assert sorted(group.name for group in inventory.groups["sites"].child_groups) == ["hiroshima", "kanazawa", "naist"]
    assert hosts("all") == sorted(routers + kvm_hosts)


def test_hosts_know_themselves_and_all_know_the_testbed(inventory):
    testbed = load(LAB).to_dict()
    assert inventory.groups["all"].vars["testbed"] == testbed
    node = testbed["nodes"]["naist-kvm1"]
    assert inventory.hosts["naist-kvm1"].vars["testbed_node"] == {"name": "naist-kvm1", **node}
    assert inventory.hosts["naist-kvm1"].vars["ansible_host"] == "172.31.0.203"


def test_hyphens_become_underscores_in_groups(tmp_path):
    path = tmp_path / "testbed.yml"
    path.write_text("plugin: okiagari.testbed.testbed\nname: t\nsites: {san-diego: {number: 1}}\n")
    data = InventoryData()
    InventoryModule().parse(data, DataLoader(), str(path))
    assert [host.name for host in data.groups["san_diego"].hosts] == ["san-diego-r1", "san-diego-kvm1"]


def test_all_problems_are_in_the_error(tmp_path):
    path = tmp_path / "testbed.yml"
    path.write_text("plugin: okiagari.testbed.testbed\nnam: t\nsites: {a: {number: 0}}\n")
    with pytest.raises(AnsibleParserError) as caught:
        InventoryModule().parse(InventoryData(), DataLoader(), str(path))
    assert "has 3 problems" in str(caught.value)
    assert f"{path}:2: nam: unknown key" in str(caught.value)
    assert f"{path}:3: sites.a.number: must be from 1 to 99" in str(caught.value)


def test_the_implicit_localhost_sees_the_testbed(tmp_path):
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(
        json.dumps(
            [
                {
                    "hosts": "localhost",
                    "connection": "local",
                    "gather_facts": False,
                    "tasks": [
                        {"ansible.builtin.debug": {"msg": "{{ testbed.name }} has {{ testbed.nodes | length }}"}}
                    ],
                }
            ]
        )
    )
    configuration = tmp_path / "ansible.cfg"
    configuration.write_text("")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CONFIG": str(configuration),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(LAB), str(playbook)]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "lab has 8" in run.stdout, run.stderr
    assert run.returncode == 0


def test_the_folder_of_consent_is_beside_the_testbed_and_holds_no_hosts(tmp_path):
    home = tmp_path / "inventory"
    (home / "consent").mkdir(parents=True)
    (home / "consent/kanazawa.yml").write_text("- {drill: circuit_cut, by: A. Person, until: 2026-12-31}\n")
    (home / "testbed.yml").write_bytes(LAB.read_bytes())
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", home, "--host", "kanazawa-r1"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["testbed_consent"] == str(home / "consent")
