# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module arp_wait: wait until machines answer on a bridge."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: arp_wait
short_description: Wait until machines answer ARP
version_added: "0.1.0"
description:
  - Asks for addresses on interfaces of the target until all have answered, or the time is over.
  - The target needs no address on these interfaces. Only the answer of the right MAC address counts.
  - Never fails because somebody doesn't answer; RV(missing) says who.
author:
  - Okiagari contributors (@okiagari)
options:
  questions:
    description: Who shall answer.
    type: list
    elements: dict
    required: true
    suboptions:
      interface:
        description: Where to ask.
        type: str
        required: true
      address:
        description: The IPv4 address, with or without a prefix length.
        type: str
        required: true
      mac:
        description: Whose address it is.
        type: str
        required: true
  timeout:
    description: How many seconds to ask.
    type: float
    default: 120
  since:
    description: The target's time from which C(after) in RV(answers) counts. By default when the module starts.
    type: float
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
    details: Asking changes nothing.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Wait for two machines
  okiagari.testbed.arp_wait:
    questions:
      - {interface: br100, address: 10.240.0.11/24, mac: "02:03:00:64:00:0b"}
      - {interface: br100, address: 10.240.0.12/24, mac: "02:03:00:64:00:0c"}
    timeout: 60
"""

RETURN = r"""
answers:
  description: Who has answered, and after how many seconds.
  returned: always
  type: list
  elements: dict
  sample: [{interface: br100, address: 10.240.0.11, mac: "02:03:00:64:00:0b", after: 9.3}]
missing:
  description: Who hasn't.
  returned: always
  type: list
  elements: dict
  sample: []
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.project.arp import ask, questions


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "questions": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {key: {"type": "str", "required": True} for key in ("interface", "address", "mac")},
            },
            "timeout": {"type": "float", "default": 120},
            "since": {"type": "float"},
        },
        supports_check_mode=True,
    )
    since = module.params["since"]
    since = time.time() if since is None else since
    try:
        asked = questions(module.params["questions"])
        heard = ask(asked, module.params["timeout"], time.time)
        module.exit_json(
            changed=False,
            answers=[{**each._asdict(), "after": round(at - since, 2)} for each, at in heard.items()],
            missing=[each._asdict() for each in asked if each not in heard],
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
