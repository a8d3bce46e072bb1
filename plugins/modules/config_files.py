# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module config_files: many configuration files in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: config_files
short_description: Many configuration files in one task
version_added: "0.1.0"
description:
  - Brings a set of text files to their content, mode and owner, each by one atomic replacement.
  - Removes files that match a glob and are not in the set, so that what is no longer wanted goes away.
  - Folders that are missing are made with mode V(0755).
author:
  - Okiagari contributors (@okiagari)
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      content:
        description: The whole text.
        type: str
        required: true
      mode:
        description: Mode in octal digits.
        type: str
        default: "0644"
      owner:
        description: Name of the user; without it, a new file is that of the user who runs the module.
        type: str
      group:
        description: Name of the group.
        type: str
  prune:
    description:
      - Globs of absolute paths. Files that match one and are not in O(files) are removed.
      - Only the last two parts of a path may have wildcards. Folders are never matched.
      - A folder whose name ends in C(.d) goes with its last file.
    type: list
    elements: str
    default: []
  turn:
    description:
      - How new the knowledge is that this comes from, when several do this at once.
      - Who comes with less than somebody before does nothing, and says so in RV(late). With V(0) everyone acts.
    type: int
    default: 0
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: Write the settings
  okiagari.testbed.config_files:
    files:
      - path: /etc/systemd/network/60-example-lan0.network
        content: |
          [Match]
          Name=lan0
          [Network]
          Address=192.0.2.1/24
      - path: /etc/frr/frr.conf
        content: "{{ lookup('ansible.builtin.template', 'frr.conf.j2') }}"
        owner: frr
        group: frr
        mode: "0640"
    prune: ["/etc/systemd/network/60-example-*.network"]
  register: settings

- name: Reload the network
  ansible.builtin.command: networkctl reload
  when: settings.changed_paths is search('/etc/systemd/network/')
"""

RETURN = r"""
late:
  description: Whether somebody with a larger O(turn) has been here before, so that nothing was done.
  returned: always
  type: bool
changed_paths:
  description: The files that were written or removed, or in check mode would be.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.config_files import ConfigFiles, changed_paths, diffs
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.turn import Turn


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "str", "required": True},
                    "content": {"type": "str", "required": True},
                    "mode": {"type": "str", "default": "0644"},
                    "owner": {"type": "str"},
                    "group": {"type": "str"},
                },
            },
            "prune": {"type": "list", "elements": "str", "default": []},
            "turn": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    try:
        files = ConfigFiles(module.params["files"], module.params["prune"])
        with Turn(module.params["turn"], module.check_mode).hold(finish=False) as mine:
            if not mine:
                module.exit_json(changed=False, late=True, changed_paths=[])
            outcome = reconcile("present", module.check_mode, read=files.read, want=files.want, create=files.apply)
        module.exit_json(
            late=False,
            changed=outcome.changed,
            changed_paths=changed_paths(outcome.before, outcome.after),
            diff=diffs(outcome.before, outcome.after),
        )
    except (OkiagariError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
