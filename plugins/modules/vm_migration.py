# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vm_migration: one step of a live migration."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: vm_migration
short_description: One step of a machine's live migration
version_added: "0.1.0"
description:
  - A machine moves while it runs, with its disk or over shared storage.
    The playbook C(playbooks/migrate.yml) takes the steps.
  - V(look) runs at the source, V(prepare) at the destination, V(move) at the source, V(discard) at the destination
    when the move has failed.
  - What can't run at the destination is refused before anything happens.
    A machine whose move fails goes on running at its source.
  - Memory and disk travel encrypted between hosts that know each other by certificates.
author:
  - Okiagari contributors (@okiagari)
options:
  step:
    description: What to do.
    type: str
    choices: [look, prepare, move, discard]
    required: true
  name:
    description: The machine. Needed with O(step=look).
    type: str
  host:
    description: This host's name in messages. By default its own.
    type: str
  moving:
    description: What V(look) has said. Needed by the other steps.
    type: dict
  prepared:
    description: What V(prepare) has said. Needed with O(step=move).
    type: dict
  address:
    description: The destination's address in the migration segment, which is the name of its certificate too.
    type: str
  capacity:
    description: What the destination gives to guests. By default what the role kvm_host has published there.
    type: dict
  timeout:
    description: After how many seconds a move is given up.
    type: float
    default: 300
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Look at the machine
  okiagari.testbed.vm_migration:
    step: look
    name: web-1
  register: looked

- name: Prepare the destination
  okiagari.testbed.vm_migration:
    step: prepare
    moving: "{{ looked.moving }}"
  delegate_to: kanazawa-kvm1
  register: ready

- name: Move
  okiagari.testbed.vm_migration:
    step: move
    moving: "{{ looked.moving }}"
    prepared: "{{ ready.prepared }}"
    address: 172.30.4.202
"""

RETURN = r"""
moving:
  description: What the next steps must know. Empty when the machine isn't on this host.
  returned: O(step=look)
  type: dict
prepared:
  description: Whether the disk moves too (C(copy)), and the processors that the machine gets (C(pins)).
  returned: O(step=prepare)
  type: dict
  sample: {copy: true, pins: [2]}
figures:
  description: What libvirt has measured - C(total_ms), C(downtime_ms), C(memory_mib), C(disk_mib).
  returned: O(step=move)
  type: dict
  sample: {total_ms: 4120, downtime_ms: 61, memory_mib: 52, disk_mib: 3}
"""

import socket
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.facts import alone, capacity_of
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.libvirtd import Libvirt
from ansible_collections.okiagari.testbed.plugins.module_utils.guest.migration import (
    Destination,
    discard,
    look,
    move,
    prepare,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "step": {"choices": ["look", "prepare", "move", "discard"], "required": True},
            "name": {"type": "str"},
            "host": {"type": "str"},
            "moving": {"type": "dict"},
            "prepared": {"type": "dict"},
            "address": {"type": "str"},
            "capacity": {"type": "dict"},
            "timeout": {"type": "float", "default": 300},
        },
        required_if=[
            ("step", "look", ["name"]),
            ("step", "prepare", ["moving"]),
            ("step", "move", ["moving", "prepared", "address"]),
            ("step", "discard", ["moving"]),
        ],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**_step(module))
    except OkiagariError as error:
        module.fail_json(msg=str(error))


def _step(module: AnsibleModule) -> dict[str, Any]:
    params, runner = module.params, ModuleRunner(module)
    libvirt, host = Libvirt(runner), params["host"] or socket.gethostname()
    moving = params["moving"]
    if params["step"] == "look":
        return {"changed": False, "moving": look(libvirt, host, params["name"])}
    if params["step"] == "prepare":
        with alone():
            prepared = prepare(runner, libvirt, host, capacity_of(params["capacity"]), moving, module.check_mode)
        return {"changed": prepared["copy"], "prepared": prepared}
    if module.check_mode:
        return {"changed": True, "figures": {}}
    if params["step"] == "discard":
        return {"changed": discard(libvirt, moving)}
    figures = move(runner, libvirt, Destination(params["address"]), moving, params["prepared"], params["timeout"])
    return {"changed": True, "figures": figures}


if __name__ == "__main__":
    main()
