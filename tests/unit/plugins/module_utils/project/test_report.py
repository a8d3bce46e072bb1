# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read about projects."""

from __future__ import annotations

from typing import Any

from ansible_collections.okiagari.testbed.plugins.filter.project_overview import FilterModule as Overview
from ansible_collections.okiagari.testbed.plugins.filter.project_report import FilterModule as Report
from ansible_collections.okiagari.testbed.plugins.module_utils.project.allocate import allocate
from ansible_collections.okiagari.testbed.plugins.module_utils.project.record import marked
from ansible_collections.okiagari.testbed.plugins.module_utils.project.report import questions
from ansible_collections.okiagari.testbed.plugins.module_utils.project.request import from_plain

report = Report().filters()["project_report"]
overview = Overview().filters()["project_overview"]

REQUEST = {
    "project": "exp1",
    "contact": "someone@example.org",
    "networks": {"lan": {}, "inner": {"sites": ["kanazawa"]}},
    "machines": {"web": {"count": 2, "networks": ["lan"]}, "db": {}},
}


def asked(data: dict[str, Any], testbed: dict[str, Any], capacities: Any, *records: Any) -> dict[str, Any]:
    return allocate(from_plain(data, testbed), testbed, records, capacities, created="2026-11-21T09:00:00Z")


def test_every_site_of_a_network_hears_every_machine(testbed: dict[str, Any], capacities: Any) -> None:
    record = asked(REQUEST, testbed, capacities)
    hear = questions(record, testbed)
    assert {host: sorted(each["address"] for each in who) for host, who in hear.items()} == {
        "hiroshima-kvm1": ["10.240.0.11", "10.240.0.12", "10.240.0.13"],
        "kanazawa-kvm1": ["10.240.0.11", "10.240.0.12", "10.240.0.13", "10.240.1.11"],
        "kanazawa-kvm2": ["10.240.0.11", "10.240.0.12", "10.240.0.13", "10.240.1.11"],
    }
    less = asked({**REQUEST, "machines": {"db": {}}}, testbed, capacities, record)
    assert questions(less, testbed)["hiroshima-kvm1"] == [
        {"interface": "br100", "address": "10.240.0.13", "mac": "02:03:00:64:00:0d"}
    ]
    assert questions({}, testbed) == {}


def test_who_answers(testbed: dict[str, Any], capacities: Any) -> None:
    record = asked(REQUEST, testbed, capacities)
    said: dict[str, dict[str, Any]] = {
        host: {"answers": [{**each, "after": 10 + number} for number, each in enumerate(who)], "missing": []}
        for host, who in questions(record, testbed).items()
    }
    told = report(record, said)
    assert told["silent"] == []
    assert told["text"].splitlines() == [
        "machine     site       host            address                  answers after",
        "exp1-web-1  hiroshima  hiroshima-kvm1  10.240.0.11              10.0 s",
        "exp1-web-2  kanazawa   kanazawa-kvm2   10.240.0.12              11.0 s",
        "exp1-db-1   kanazawa   kanazawa-kvm1   10.240.0.13 10.240.1.11  13.0 s",
    ]
    gone = said["kanazawa-kvm1"]["answers"].pop(0)
    said["kanazawa-kvm1"]["missing"].append(gone)
    told = report(record, said)
    assert told["silent"] == ["exp1-web-1"]
    assert told["text"].splitlines()[1].endswith("not heard by kanazawa-kvm1")
    assert {row["machine"] for row in report(record, {})["rows"] if row["after"] is None} == set(record["machines"])
    empty = asked({**REQUEST, "machines": {}}, testbed, capacities)
    assert report(empty, {}) == {"rows": [], "silent": [], "text": "The project has no machines."}


def test_who_holds_what(testbed: dict[str, Any], capacities: Any) -> None:
    one = asked(REQUEST, testbed, capacities)
    two = marked(asked({"project": "exp2", "networks": {"lan": {}}}, testbed, capacities, one))
    assert overview([one, two], {**capacities, "other": {}}).splitlines() == [
        "exp1, someone@example.org, since 2026-11-21T09:00:00Z",
        "  network  VLAN  prefix         sites",
        "  lan      100   10.240.0.0/24  hiroshima, kanazawa, naist",
        "  inner    101   10.240.1.0/24  kanazawa",
        "  machine     host            vCPUs  memory  address",
        "  exp1-web-1  hiroshima-kvm1  1      96 MiB  10.240.0.11/24",
        "  exp1-web-2  kanazawa-kvm2   1      96 MiB  10.240.0.12/24",
        "  exp1-db-1   kanazawa-kvm1   1      96 MiB  10.240.0.13/24 10.240.1.11/24",
        "",
        "exp2 (leaving), since 2026-11-21T09:00:00Z",
        "  network  VLAN  prefix         sites",
        "  lan      102   10.240.2.0/24  hiroshima, kanazawa, naist",
        "",
        "host            free vCPUs  free memory     free guests",
        "hiroshima-kvm1  3 of 4      416 of 512 MiB  3 of 4",
        "kanazawa-kvm1   3 of 4      416 of 512 MiB  3 of 4",
        "kanazawa-kvm2   3 of 4      416 of 512 MiB  3 of 4",
        "other           -           -               -",
    ]
    assert overview([], {}).splitlines()[0] == "No project holds anything."
