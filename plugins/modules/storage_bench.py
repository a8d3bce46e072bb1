# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module storage_bench: how fast a file system is, by iozone's patterns."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: storage_bench
short_description: How fast a file system is, by iozone's patterns
version_added: "0.1.0"
description:
  - Writes, rewrites, reads and rereads one file in the folder, in order and at random, and removes it.
  - Runs C(iozone) where it is installed, else C(fio) with the same patterns.
  - Writing counts the time until everything is on the disks.
author:
  - Okiagari contributors (@okiagari)
options:
  folder:
    description: Where the file is made.
    type: path
    required: true
  size:
    description: Size of the file, such as V(64mib).
    type: str
    default: 64mib
  block:
    description: Size of each read and write, such as V(4mib).
    type: str
    default: 4mib
  patterns:
    description: What to do. The order is always the same.
    type: list
    elements: str
    default: [write, rewrite, read, reread, random_read, random_write, stride_read]
  engine:
    description: Which program.
    type: str
    choices: [auto, fio, iozone]
    default: auto
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
- name: Measure the shared volume
  okiagari.testbed.storage_bench:
    folder: /var/lib/okiagari/shared
    size: 64mib
  register: bench
"""

RETURN = r"""
engine:
  description: Which program did it.
  returned: success
  type: str
rows:
  description: One row a pattern.
  returned: success
  type: list
  elements: dict
  sample: [{pattern: write, block_kib: 4096, size_kib: 65536, kib_per_s: 18432, seconds: 3.556}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.bench import ENGINES, PATTERNS, Bench
from ansible_collections.okiagari.testbed.plugins.module_utils.units import mebibytes


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "size": {"type": "str", "default": "64mib"},
            "block": {"type": "str", "default": "4mib"},
            "patterns": {"type": "list", "elements": "str", "default": list(PATTERNS)},
            "engine": {"choices": list(ENGINES), "default": "auto"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        size, block = (1024 * mebibytes(params[key]) for key in ("size", "block"))
        bench = Bench(ModuleRunner(module), params["folder"], size, block, params["patterns"], params["engine"])
        found = {"engine": params["engine"], "rows": []} if module.check_mode else bench.run()
        module.exit_json(changed=False, **found)
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
