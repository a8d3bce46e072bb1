# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module virtual_machine: the guests of a KVM host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: virtual_machine
short_description: Virtual machines stamped from a template
version_added: "0.1.0"
description:
  - Makes, starts, stops and removes the virtual machines of one KVM host, many in one call.
  - A machine's disk is a copy-on-write overlay of its template.
    Its name, addresses and keys are injected by a NoCloud seed.
  - What doesn't fit on the host is refused before anything is made, with all that is short.
    A virtual CPU has a processor of its own, and no memory is given twice.
  - Guests that were not made by this module are left alone. Their share of the host counts all the same.
author:
  - Okiagari contributors (@okiagari)
options:
  machines:
    description:
      - The machines, each with the keys of a project's record.
      - C(name) is required.
        C(vcpus) (1), C(memory_mib) (96), C(disk_mib) (0, as the template) and C(template) (C(tiny)) have defaults.
      - C(networks) is a list of C(bridge), C(mac), C(address) with prefix length, C(gateway), C(mtu) (1500)
        and C(name).
      - C(state) may be V(absent) for a machine that goes while the others stay; V(present) is what O(state) says.
      - Of a machine that goes only the name counts.
    type: list
    elements: dict
    required: true
  state:
    description:
      - What becomes of them. V(running) also resumes a machine that is paused.
      - V(stopped) presses the power button and waits.
      - V(absent) cuts the power, and deletes the machine's disk.
    type: str
    choices: [running, stopped, absent]
    default: running
  host:
    description: The host's name in messages. By default its own.
    type: str
  pool:
    description: The folder of disks and seeds.
    type: path
    default: /var/lib/okiagari/guests
  templates:
    description: For each template its folder on the host, which holds C(template.json) and the files that this names.
    type: dict
    default: {}
  authorized_keys:
    description: The public keys that may log in to the machines.
    type: list
    elements: str
    default: []
  capacity:
    description:
      - What the host gives to guests - C(vcpus), C(memory_mib), C(guests), and C(cpus) to pin to.
      - By default what the role P(okiagari.testbed.kvm_host#role) has published on the host.
    type: dict
  accelerator:
    description: Whether new machines run with the processor's help. V(auto) asks libvirt.
    type: str
    choices: [auto, kvm, tcg]
    default: auto
  cache:
    description: How disks are cached. Live migration with shared storage needs V(none).
    type: str
    choices: [none, writeback]
    default: none
  timeout:
    description: How many seconds a machine may take to shut down.
    type: float
    default: 60
  force:
    description: With O(state=stopped), cut the power instead of pressing the button.
    type: bool
    default: false
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
- name: Three machines from one template
  okiagari.testbed.virtual_machine:
    templates: {tiny: /var/lib/okiagari/guests/templates/tiny}
    machines: [{name: web-1}, {name: web-2}, {name: web-3}]

- name: One machine in a network
  okiagari.testbed.virtual_machine:
    templates: {tiny: /var/lib/okiagari/guests/templates/tiny}
    machines:
      - name: web-1
        vcpus: 1
        memory_mib: 96
        networks:
          - {name: lan, bridge: br100, mac: "02:03:00:00:00:01", address: 10.240.0.11/24, mtu: 1500}

- name: Remove it with its disk
  okiagari.testbed.virtual_machine:
    machines: [{name: web-1}]
    state: absent
"""

RETURN = r"""
machines:
  description:
    - The machines that are there, by name.
    - C(state) is V(running), V(paused) or V(stopped). C(asked) is what was asked when they were defined.
  returned: always
  type: dict
  sample: {web-1: {state: running, asked: {name: web-1, vcpus: 1}, disk: true, as_defined: true}}
restart_needed:
  description: Running machines whose new definition waits for their next start.
  returned: always
  type: list
  elements: str
  sample: []
"""

import socket
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError, Problem
from ansible_collections.okiagari.testbed.plugins.module_utils.guest import read_machines
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.facts import alone, capacity_of
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.libvirtd import Libvirt
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.machines import Machines, Removal, Settings
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import Outcome, reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "machines": {"type": "list", "elements": "dict", "required": True},
            "state": {"choices": ["running", "stopped", "absent"], "default": "running"},
            "host": {"type": "str"},
            "pool": {"type": "path", "default": "/var/lib/okiagari/guests"},
            "templates": {"type": "dict", "default": {}},
            "authorized_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "capacity": {"type": "dict"},
            "accelerator": {"choices": ["auto", "kvm", "tcg"], "default": "auto"},
            "cache": {"choices": ["none", "writeback"], "default": "none"},
            "timeout": {"type": "float", "default": 60},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        staying, leaving = _sorted_out(module.params["machines"], module.params["state"])
        with alone():
            removed = _absent(module, leaving)
            outcome, restart_needed = _present(module, staying)
        module.exit_json(
            changed=removed.changed or outcome.changed,
            machines=dict(outcome.after),
            restart_needed=restart_needed,
            diff={"before": {**removed.before, **outcome.before}, "after": dict(outcome.after)},
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))


def _sorted_out(machines: list[dict[str, Any]], state: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give the machines that stay and those that go, after a look at all of them."""
    problems = [
        Problem("", None, str(machine.get("name")), f"its state is {machine['state']}, not present or absent")
        for machine in machines
        if machine.get("state", "present") not in ("present", "absent")
    ]
    if problems:
        raise BadInput(problems)
    leaving = [machine for machine in machines if "absent" in (state, machine.get("state"))]
    return [machine for machine in machines if machine not in leaving], leaving


def _present(module: AnsibleModule, items: list[dict[str, Any]]) -> tuple[Outcome, list[str]]:
    if not items:
        return Outcome(False, {}, {}), []
    params = module.params
    runner = ModuleRunner(module)
    settings = Settings(
        host=params["host"] or socket.gethostname(),
        pool=params["pool"],
        templates=params["templates"],
        authorized_keys=params["authorized_keys"],
        capacity=lambda: capacity_of(params["capacity"], module.check_mode),
        cache=params["cache"],
        accelerator=params["accelerator"],
        timeout=params["timeout"],
        force=params["force"],
        only_look=module.check_mode,
    )
    machines = Machines(runner, Libvirt(runner), settings, read_machines(items, params["templates"]), params["state"])
    outcome = reconcile(
        "present",
        module.check_mode,
        read=machines.read,
        want=machines.want,
        create=machines.act,
        remove=machines.act,
    )
    return outcome, machines.restart_needed


def _absent(module: AnsibleModule, items: list[dict[str, Any]]) -> Outcome:
    if not items:
        return Outcome(False, {}, {})
    names = [machine.name for machine in read_machines([{"name": item.get("name")} for item in items])]
    host = module.params["host"] or socket.gethostname()
    removal = Removal(Libvirt(ModuleRunner(module)), host, names, only_look=module.check_mode)
    return reconcile("absent", module.check_mode, read=removal.read, want=dict, create=removal.act, remove=removal.act)


if __name__ == "__main__":
    main()
