# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module project: what projects hold of the testbed, in the registrar's records."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: project
short_description: What projects hold of the testbed
version_added: "0.1.0"
description:
  - Gives a project its VLANs, prefixes, addresses and places for machines, or says which resource is short.
  - Runs on the registrar, the one host that keeps the records (C(delegate_to)).
    Two that ask at once get different things.
  - Only decides and writes down. The playbook C(playbooks/project.yml) makes it so.
  - What is asked is checked on the controller first, so that a mistake is told with its file and line.
author:
  - Okiagari contributors (@okiagari)
options:
  state:
    description:
      - V(present) gives the project what it asks for; what it holds already never moves.
        Machines and networks that aren't asked for any more are marked as being released.
      - V(absent) marks the whole project so. What is marked is held until it is said to be gone.
      - V(released) says that all that is marked is gone, and gives it back.
      - V(moved) writes down that O(machine) is on O(host) from now on, or refuses if there is no room.
      - V(copied) takes over O(records), unless what stands is as new as O(serial).
      - V(query) only looks.
    type: str
    choices: [present, absent, released, moved, copied, query]
    default: present
  project:
    description:
      - The path of a request file on the controller, the request itself, or the name of a project.
      - Needed with O(state=present), which takes no name, O(state=absent) and O(state=released).
    type: raw
  testbed:
    description: The resolved testbed. Taken from the variable of this name if it isn't given.
    type: dict
  capacities:
    description:
      - What each KVM host can carry (C(vcpus), C(memory_mib), C(guests), C(disk_mib)), as RV(capacity) says it.
      - A host that isn't here gets no machine.
    type: dict
    default: {}
  machine:
    description: The machine that moves.
    type: str
  host:
    description: The KVM host that it is on from now on.
    type: str
  records:
    description: The records to take over.
    type: list
    elements: dict
    default: []
  serial:
    description:
      - With O(state=copied), how new O(records) are.
      - Else how new any copy is. A registrar that knows less than a copy refuses, since it would give things twice.
    type: int
    default: 0
  pool:
    description: Where prefixes are taken from, one /24 for each network that asks for none of its own.
    type: str
    default: 10.240.0.0/12
  directory:
    description: The folder of the records.
    type: path
    default: /var/lib/okiagari/projects
  facts:
    description: The file in which the host publishes its capacity.
    type: path
    default: /etc/ansible/facts.d/okiagari.fact
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Give the project what it asks for
  okiagari.testbed.project:
    project: exp1.yml
    capacities:
      hiroshima-kvm1: {vcpus: 8, memory_mib: 16384, guests: 8}
  delegate_to: hiroshima-kvm1

- name: Say who holds what
  okiagari.testbed.project:
    state: query
  delegate_to: hiroshima-kvm1
"""

RETURN = r"""
project:
  description: The project's record; empty if it holds nothing.
  returned: always
  type: dict
name:
  description: The project's name; empty if none was asked for.
  returned: always
  type: str
machines:
  description:
    - The project's machines as the module M(okiagari.testbed.virtual_machine) takes them.
    - C(state) is V(absent) for those that are to go.
  returned: always
  type: list
  elements: dict
questions:
  description: For each KVM host, whom it shall hear, as the module M(okiagari.testbed.arp_wait) takes it.
  returned: O(state=present)
  type: dict
text:
  description: What the project holds, for people.
  returned: always
  type: str
records:
  description: All records, whatever their state.
  returned: always
  type: list
  elements: dict
active:
  description: What shall stand, all records without what is being released.
  returned: always
  type: list
  elements: dict
releasing:
  description: Whether anything of the project is being released.
  returned: always
  type: bool
serial:
  description: Grows with every change.
  returned: always
  type: int
  sample: 7
capacity:
  description: What this host publishes about itself; empty if nothing.
  returned: O(state=query)
  type: dict
  sample: {vcpus: 8, memory_mib: 16384, guests: 8}
time:
  description: This host's time, in seconds since the epoch.
  returned: O(state=query)
  type: float
"""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.project import Decision, Registry
from ansible_collections.okiagari.testbed.plugins.module_utils.project.capacity import published
from ansible_collections.okiagari.testbed.plugins.module_utils.project.record import active, leaving_in, machines
from ansible_collections.okiagari.testbed.plugins.module_utils.project.report import questions, record_table

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.plugins.module_utils.project.registry import Holdings


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "choices": ["present", "absent", "released", "moved", "copied", "query"],
                "default": "present",
            },
            "project": {"type": "raw"},
            "testbed": {"type": "dict"},
            "capacities": {"type": "dict", "default": {}},
            "machine": {"type": "str"},
            "host": {"type": "str"},
            "records": {"type": "list", "elements": "dict", "default": []},
            "serial": {"type": "int", "default": 0},
            "pool": {"type": "str", "default": "10.240.0.0/12"},
            "directory": {"type": "path", "default": "/var/lib/okiagari/projects"},
            "facts": {"type": "path", "default": "/etc/ansible/facts.d/okiagari.fact"},
        },
        required_if=[
            ("state", "present", ["project", "testbed"]),
            ("state", "absent", ["project"]),
            ("state", "released", ["project"]),
            ("state", "moved", ["machine", "host", "testbed"]),
        ],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**_answer(module.params, module.check_mode))
    except BadInput as error:
        module.fail_json(msg=f"The request is refused, and nothing was done.\n{error}")
    except (OkiagariError, OSError) as error:
        module.fail_json(msg=str(error))


def _answer(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    registry = Registry(Path(params["directory"]))
    decision = Decision(params, created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    if params["state"] == "copied":
        before, after = registry.copy(params["records"], params["serial"], check_mode)
    else:
        before, after = registry.change(decision.decide, check_mode or params["state"] == "query")
    mine = after.records.get(decision.name, {})
    more: dict[str, Any] = {}
    if params["state"] == "query":
        more = _looked(Path(params["facts"]))
    if params["state"] == "present":
        more = {"questions": questions(mine, params["testbed"])}
    return {
        "changed": before != after,
        "name": decision.name,
        "project": mine,
        "machines": machines(mine),
        "text": record_table(mine) if mine else f"{decision.name or 'nobody'} holds nothing",
        "records": list(after.records.values()),
        "active": active(after.records.values()),
        "releasing": leaving_in(mine),
        "serial": after.serial,
        "diff": {"before": _shown(before, decision.name), "after": _shown(after, decision.name)},
        **more,
    }


def _shown(holdings: Holdings, name: str) -> dict[str, Any]:
    """Give what a diff shows: the project's record, or without a project, which ones there are."""
    return holdings.records.get(name, {}) if name else {"serial": holdings.serial, "projects": list(holdings.records)}


def _looked(facts: Path) -> dict[str, Any]:
    text = facts.read_text(encoding="utf-8", errors="replace") if facts.is_file() else ""
    return {"capacity": published(text), "time": time.time()}


if __name__ == "__main__":
    main()
