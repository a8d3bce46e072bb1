# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module libvirt_resource: a pool or a network of libvirt."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: libvirt_resource
short_description: A storage pool or a network of libvirt
version_added: "0.1.0"
description:
  - Defines a pool or network, starts it, and has it started with the host.
  - Compares only what O(xml) names, since libvirt adds identifiers and defaults of its own.
author:
  - Okiagari contributors (@okiagari)
options:
  kind:
    description: What it is.
    type: str
    choices: [pool, network]
    required: true
  name:
    description: Its name, the same as in O(xml).
    type: str
    required: true
  xml:
    description: Its definition. Required with O(state=present).
    type: str
  state:
    description: Whether it shall be there. A pool's files are never removed.
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
- name: Have a storage pool
  okiagari.testbed.libvirt_resource:
    kind: pool
    name: guests
    xml: "{{ lookup('ansible.builtin.template', 'pool.xml.j2') }}"
"""

RETURN = r"""
resource:
  description:
    - Definition (as far as O(xml) names it), whether it is active and started with the host.
    - Empty when it isn't there.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.libvirt import Resource
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kind": {"choices": ["pool", "network"], "required": True},
            "name": {"type": "str", "required": True},
            "xml": {"type": "str"},
            "state": {"choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["xml"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        resource = Resource(ModuleRunner(module), params["kind"], params["name"], params["xml"])
        outcome = reconcile(
            params["state"],
            module.check_mode,
            read=resource.read,
            want=resource.want,
            create=resource.create,
            remove=resource.remove,
        )
        module.exit_json(changed=outcome.changed, resource=dict(outcome.after), diff=outcome.diff())
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
