# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module lab_info: what of the lab is there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lab_info
short_description: What of the lab is there
version_added: "0.1.0"
description:
  - Looks at the machine, remembers nothing, changes nothing.
author:
  - Okiagari contributors (@okiagari)
options:
  directory:
    description: The lab's directory.
    type: path
    required: true
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
- name: Look at the lab
  okiagari.testbed.lab_info:
    directory: "{{ lab_directory }}"
  register: lab
"""

RETURN = r"""
up:
  description: Whether the lab's network is there.
  returned: always
  type: bool
nodes:
  description:
    - Each node with its state (V(stopped), V(stopping), V(starting), V(running) or V(paused)), provider, process and
      console.
  returned: always
  type: dict
processes:
  description: The lab's processes, process id to node.
  returned: always
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import Lab


def main() -> None:
    module = AnsibleModule(argument_spec={"directory": {"type": "path", "required": True}}, supports_check_mode=True)
    lab = Lab(Path(module.params["directory"]))
    module.exit_json(
        changed=False,
        up=lab.space.anchor() is not None,
        nodes={name: lab.node_state(name) for name in lab.nodes()},
        processes={str(pid): node for pid, node in lab.space.processes().items()},
    )


if __name__ == "__main__":
    main()
