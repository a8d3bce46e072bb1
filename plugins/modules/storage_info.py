# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module storage_info: how a storage cluster is."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: storage_info
short_description: How a storage cluster is
version_added: "0.1.0"
description:
  - Tells which members and bricks are there, whether there is a majority, what waits for self-heal,
    and which files have copies that contradict each other.
  - Changes nothing. Runs on any member.
author:
  - Okiagari contributors (@okiagari)
options:
  name:
    description: The volume's name.
    type: str
    required: true
  address:
    description: This member's address in the storage network.
    type: str
    required: true
  timeout:
    description:
      - Seconds to wait until all members and bricks are there and every copy is complete.
      - V(0) tells how it is now. It is a failure if it isn't so by then.
    type: int
    default: 0
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
- name: Wait until every copy is complete
  okiagari.testbed.storage_info:
    name: shared
    address: 10.1.1.11
    timeout: 60
  register: storage
"""

RETURN = r"""
state:
  description: The cluster as this member sees it.
  returned: always
  type: dict
  contains:
    peers:
      description: The members' addresses, each with whether it is connected.
      type: dict
    quorum:
      description: Whether more than half of the members are connected.
      type: bool
    bricks:
      description: The bricks, each with whether it is online.
      type: dict
    pending:
      description: How many entries wait for self-heal. V(-1) if a brick can't be asked.
      type: int
    split_brain:
      description: The files whose copies contradict each other.
      type: list
      elements: str
    healthy:
      description: Whether all are there, nothing waits and nothing contradicts.
      type: bool
waited:
  description: Seconds that it took to become healthy.
  returned: always
  type: float
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.gluster import Gluster
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.health import await_health


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        engine = Gluster(ModuleRunner(module), params["address"])
        state, waited = await_health(engine, params["name"], 0 if module.check_mode else params["timeout"])
        if params["timeout"] and not state["healthy"] and not module.check_mode:
            module.fail_json(
                msg=f"{params['name']} is not healthy after {params['timeout']} s", state=state, waited=waited
            )
        module.exit_json(changed=False, state=state, waited=waited)
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
