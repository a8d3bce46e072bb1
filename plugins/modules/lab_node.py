# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module lab_node: one node of the lab."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lab_node
short_description: Start, stop, freeze or cut the power of a node of the lab
version_added: "0.1.0"
description:
  - A node is a whole Debian system with its own kernel. Its disk survives a stop and a power cut.
  - Its console is kept in C(nodes/NAME/console.log) of the lab's directory.
  - The console of the run before is kept in C(console.previous.log).
author:
  - Okiagari contributors (@okiagari)
options:
  directory:
    description: The lab's directory.
    type: path
    required: true
  testbed:
    description: The resolved testbed, as the inventory plugin gives it.
    type: dict
    required: true
  name:
    description: The node's name in the testbed.
    type: str
    required: true
  image:
    description: The node image, as M(okiagari.testbed.lab_image) gives it. Required with O(state=started).
    type: path
  provider:
    description:
      - What runs the node. V(uml) is User-Mode Linux.
      - V(qemu) is QEMU with KVM where the probe boots a kernel under it, else by translation.
      - V(auto) takes QEMU with KVM if that works, else User-Mode Linux.
    type: str
    choices: [auto, uml, qemu]
    default: auto
  memory_mb:
    description: Memory of a kind of node (C(router), C(kvm_host)) in MiB, where it differs from the default.
    type: dict
    default: {}
  state:
    description:
      - V(started) also lets a paused node go on.
      - V(stopped) shuts down in order, V(killed) is a power cut, V(paused) freezes the node.
    type: str
    choices: [started, stopped, killed, paused]
    default: started
  timeout:
    description: Seconds to wait until a node is ready for logins, or is shut down. V(0) doesn't wait for a start.
    type: int
    default: 180
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
- name: Start every node
  okiagari.testbed.lab_node:
    directory: "{{ lab_directory }}"
    testbed: "{{ testbed }}"
    name: "{{ inventory_hostname }}"
    image: "{{ node_image }}"
  delegate_to: localhost

- name: Cut the power of Kanazawa's host
  okiagari.testbed.lab_node:
    directory: "{{ lab_directory }}"
    testbed: "{{ testbed }}"
    name: kanazawa-kvm1
    state: killed
  delegate_to: localhost
"""

RETURN = r"""
node:
  description: The node as it is now.
  returned: always
  type: dict
  sample: {state: running, provider: uml, pid: 4711, console: /labs/lab/nodes/naist-r1/console.log}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import plan_lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.desire import NodeDesire
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import Lab
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "testbed": {"type": "dict", "required": True},
            "name": {"type": "str", "required": True},
            "image": {"type": "path"},
            "provider": {"choices": ["auto", "uml", "qemu"], "default": "auto"},
            "memory_mb": {"type": "dict", "default": {}},
            "state": {"choices": ["started", "stopped", "killed", "paused"], "default": "started"},
            "timeout": {"type": "int", "default": 180},
        },
        required_if=[("state", "started", ["image"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        lab = Lab(Path(params["directory"]))
        node = plan_lab(params["testbed"], params["memory_mb"]).node(params["name"])
        image = Path(params["image"]) if params["image"] else None
        desire = NodeDesire(lab, node, params["state"], params["provider"], image, params["timeout"])
        outcome = reconcile(
            "present",
            module.check_mode,
            read=desire.read,
            want=desire.want,
            create=desire.act,
            keep=desire.wait,
        )
        module.exit_json(changed=outcome.changed, node=lab.node_state(node.name), diff=outcome.diff())
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
