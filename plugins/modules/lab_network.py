# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module lab_network: the lab's namespace, bridges, taps and keys."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lab_network
short_description: The lab's own network on this machine
version_added: "0.1.0"
description:
  - Makes a network namespace of its own with a bridge a segment and a tap a node's interface, and the keys of the lab.
  - Nothing is attached to the machine's own interfaces, routes or firewall.
  - O(state=absent) kills every process of the lab and removes its directory, whatever was killed before.
author:
  - Okiagari contributors (@okiagari)
options:
  directory:
    description: The lab's directory. Labs with different directories live side by side.
    type: path
    required: true
  testbed:
    description: The resolved testbed, as the inventory plugin gives it. Required with O(state=present).
    type: dict
  memory_mb:
    description: Memory of a kind of node (C(router), C(kvm_host)) in MiB, where it differs from the default.
    type: dict
    default: {}
  state:
    description: Whether the lab's network shall be there.
    type: str
    choices: [present, absent]
    default: present
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
- name: Have the lab's network
  okiagari.testbed.lab_network:
    directory: "{{ lab_directory }}"
    testbed: "{{ testbed }}"

- name: Remove the lab, whatever is left of it
  okiagari.testbed.lab_network:
    directory: "{{ lab_directory }}"
    state: absent
"""

RETURN = r"""
missing:
  description: What was missing before (bridges, taps, keys).
  returned: when state is present
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import plan_lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import Lab
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "testbed": {"type": "dict"},
            "memory_mb": {"type": "dict", "default": {}},
            "state": {"choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["testbed"])],
        supports_check_mode=True,
    )
    state = module.params["state"]
    lab = Lab(Path(module.params["directory"]))
    try:
        if state == "absent":
            outcome = reconcile(
                state, module.check_mode, read=lab.remains, want=dict, create=dict, remove=lab.space.destroy
            )
            module.exit_json(changed=outcome.changed, diff=outcome.diff())
        plan = plan_lab(module.params["testbed"], module.params["memory_mb"])
        missing = lab.missing_network(plan)
        outcome = reconcile(
            state,
            module.check_mode,
            read=lambda: {"missing": lab.missing_network(plan)},
            want=lambda: {"missing": []},
            create=lambda: lab.make_network(plan),
            remove=dict,
        )
        module.exit_json(changed=outcome.changed, missing=missing, diff=outcome.diff())
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
