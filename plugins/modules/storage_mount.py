# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module storage_mount: a file system of the network, mounted by systemd."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: storage_mount
short_description: A file system of the network, mounted by systemd
version_added: "0.1.0"
description:
  - Writes a mount unit, enables it and mounts it.
  - A host that reaches no server when it boots tries again every ten seconds until it does. What is unmounted
    by hand is mounted again as well; O(state=absent) ends that.
  - Removing it only unmounts; the files are those of the network.
author:
  - Okiagari contributors (@okiagari)
options:
  where:
    description: The folder to mount on.
    type: path
    required: true
  what:
    description: What is mounted, C(ADDRESS:/VOLUME) for example. Required with O(state=present).
    type: str
  type:
    description: Its type.
    type: str
    choices: [glusterfs, nfs4]
    default: glusterfs
  options:
    description: Options of the mount.
    type: list
    elements: str
    default: []
  state:
    description: Whether it shall be there.
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
- name: Mount the shared volume
  okiagari.testbed.storage_mount:
    what: 10.1.1.11:/shared
    where: /var/lib/okiagari/shared
    options: [backup-volfile-servers=10.2.1.11:10.3.1.11]
"""

RETURN = r"""
mount:
  description: The unit files by their names, and whether it is mounted. Empty when it isn't there.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.mount import Mount, MountDesire


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "where": {"type": "path", "required": True},
            "what": {"type": "str"},
            "type": {"choices": ["glusterfs", "nfs4"], "default": "glusterfs"},
            "options": {"type": "list", "elements": "str", "default": []},
            "state": {"choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["what"])],
        supports_check_mode=True,
    )
    params = module.params
    options = ",".join(["_netdev", *params["options"]])
    mount = Mount(
        params["what"] or "", params["where"], params["type"], options, "Okiagari's shared storage", network=True
    )
    try:
        desire = MountDesire(ModuleRunner(module), mount)
        outcome = reconcile(
            params["state"],
            module.check_mode,
            read=desire.read,
            want=desire.want,
            create=desire.create,
            remove=desire.remove,
        )
        module.exit_json(changed=outcome.changed, mount=dict(outcome.after), diff=outcome.diff())
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
