# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is a member of the store, and what the role refuses and writes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.okiagari.testbed.plugins.filter.first_hosts import FilterModule as FirstHosts
from ansible_collections.okiagari.testbed.plugins.filter.segment_addresses import FilterModule as SegmentAddresses
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

ROOT = Path(__file__).parents[4]
ROLE = ROOT / "roles" / "quorum_store"


def templar(inventory: str = "lab", **chosen: Any) -> Templar:
    """Give what evaluates expressions as the role does, on the first member."""
    loader = DataLoader()
    testbed = load(ROOT / "inventory" / inventory / "testbed.yml").to_dict()
    groups = {"kvm_hosts": [name for name, node in testbed["nodes"].items() if node["kind"] == "kvm_host"]}
    variables: dict[str, Any] = {"testbed": testbed, "groups": groups, "ansible_managed": "", "quorum_store_rejoin": ""}
    for part in ("defaults", "vars"):
        variables.update(loader.load_from_file(str(ROLE / part / "main.yml"), trusted_as_template=True))
    variables.update(chosen)
    variables["inventory_hostname"] = with_filters(loader, variables).template(variables["quorum_store_members"])[0]
    return with_filters(loader, variables)


def with_filters(loader: DataLoader, variables: dict[str, Any]) -> Templar:
    """Give what evaluates expressions with the collection's filters, which else only a whole run of Ansible finds."""
    found = Templar(loader, variables)
    for name, function in (FirstHosts().filters() | SegmentAddresses().filters()).items():
        found.environment.filters[f"okiagari.testbed.{name}"] = function
    return found


def value(templar: Templar, name: str) -> Any:
    return templar.template(trust_as_template("{{ %s }}" % name))  # noqa: UP031 - braces


def rendered(templar: Templar, template: str) -> str:
    text: str = templar.template(trust_as_template((ROLE / "templates" / template).read_text()))
    return text


@pytest.mark.parametrize(
    ("inventory", "members"),
    [
        ("lab", ["hiroshima-kvm1", "kanazawa-kvm1", "naist-kvm1"]),
        ("distcloud", ["hiroshima-kvm1", "kanazawa-kvm1", "nii-kvm1", "osaka-kvm1", "naist-kvm1"]),
    ],
)
def test_the_members_are_at_the_first_sites(inventory: str, members: list[str]) -> None:
    assert value(templar(inventory), "quorum_store_members") == members


def test_each_members_settings_name_all() -> None:
    lab = templar(quorum_store_addresses={"naist-kvm1": "192.0.2.3"})
    settings = rendered(lab, "etcd.env.j2").splitlines()
    peers = (
        "hiroshima-kvm1=https://10.1.1.11:2380,kanazawa-kvm1=https://10.2.1.11:2380,naist-kvm1=https://192.0.2.3:2380"
    )
    for line in (
        "ETCD_NAME=hiroshima-kvm1",
        f"ETCD_INITIAL_CLUSTER={peers}",
        "ETCD_INITIAL_CLUSTER_STATE=new",
        "ETCD_LISTEN_CLIENT_URLS=https://10.1.1.11:2379,https://127.0.0.1:2379",
        "ETCD_LISTEN_PEER_URLS=https://10.1.1.11:2380",
        "ETCD_CLIENT_CERT_AUTH=true",
        "ETCD_PEER_CLIENT_CERT_AUTH=true",
    ):
        assert line in settings
    assert value(lab, "quorum_store_certified") == {
        "hiroshima-kvm1-store": ["10.1.1.11", "127.0.0.1"],
        "kanazawa-kvm1-store": ["10.2.1.11", "127.0.0.1"],
        "naist-kvm1-store": ["192.0.2.3", "127.0.0.1"],
    }


THREE = ["hiroshima-kvm1", "kanazawa-kvm1", "osaka-kvm1"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({}, None),
        ({"quorum_store_members": THREE, "quorum_store_rejoin": THREE[2]}, None),
        ({"quorum_store_members": THREE[:1]}, "1 members; name three or five"),
        ({"quorum_store_members": [*THREE, "naist-kvm1"]}, "4 members; name three or five"),
        ({"quorum_store_members": [*THREE[1:], "osaka-kvm2"]}, "are at 2 sites only; name one host of each of 3 sites"),
        (
            {"quorum_store_members": [*THREE[:2], "naist-kmv1"]},
            "naist-kmv1 is no KVM host of the testbed; there are hir",
        ),
        ({"quorum_store_members": [*THREE[:2], "naist-r1"]}, "naist-r1 is no KVM host"),
        ({"quorum_store_addresses": {"naist-kvm1": ""}}, "naist-kvm1 has no address in the segment storage"),
        ({"quorum_store_election_ms": 600}, "600 is less than five times quorum_store_heartbeat_ms, 150"),
        (
            {"quorum_store_members": THREE, "quorum_store_rejoin": "nii"},
            "nii is no member; they are hiroshima-kvm1, kan",
        ),
    ],
)
def test_what_is_refused(chosen: dict[str, Any], said: str | None) -> None:
    tasks = DataLoader().load_from_file(str(ROLE / "tasks/main.yml"), trusted_as_template=True)
    twelve, check = templar("distcloud", **chosen), tasks[0]["ansible.builtin.assert"]
    good = all(twelve.evaluate_conditional(condition) for condition in check["that"])
    assert good == (said is None)
    if said:
        assert said in twelve.template(check["fail_msg"])


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = rendered(templar(), "okiagari-etcd.service.j2")
    # What isn't installed here, and isn't what this is about.
    for program in ("/usr/bin/etcd", "/usr/bin/install", "/usr/bin/chmod"):
        unit = unit.replace(program, shutil.which("true") or "")
    (tmp_path / "okiagari-etcd.service").write_text(unit)
    argv = ["systemd-analyze", "verify", "--man=no", tmp_path / "okiagari-etcd.service"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "okiagari-etcd.service" not in done.stderr
    assert "User=etcd" in unit
