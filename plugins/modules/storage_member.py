# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module storage_member: a host's part in a storage cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: storage_member
short_description: A host's part in a storage cluster
version_added: "0.1.0"
description:
  - Has GlusterFS's manager listen at one address only, with a certificate of its own, and run.
  - Has the disk of a brick formatted if it is empty, and mounted. A disk that holds anything else is refused.
  - Nothing is installed; see the role P(okiagari.testbed.distributed_storage#role).
author:
  - Okiagari contributors (@okiagari)
options:
  address:
    description: The host's address in the storage network. The manager and its bricks listen there and nowhere else.
    type: str
    required: true
  silence:
    description: Seconds for which another member may be silent before it counts as gone.
    type: int
    default: 5
  authority:
    description: The certificate that all members are believed by (PEM). Without it nothing is encrypted.
    type: str
  certificate:
    description: This host's certificate (PEM).
    type: str
  key:
    description: The key of the certificate (PEM).
    type: str
  path:
    description: The brick's folder. A member without it counts for the quorum only.
    type: path
  mount:
    description: The folder that O(device) is mounted on; O(path) is below it.
    type: path
  device:
    description: The brick's own disk. Without it the brick lies on the file system that is there.
    type: path
  filesystem:
    description: The file system that an empty disk gets.
    type: str
    choices: [xfs, ext4]
    default: xfs
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
- name: Be a member with a brick
  okiagari.testbed.storage_member:
    address: 10.1.1.11
    device: /dev/disk/by-id/virtio-disk1
    mount: /srv/okiagari/brick
    path: /srv/okiagari/brick/shared
    authority: "{{ lookup('ansible.builtin.file', 'ca.pem') }}"
    certificate: "{{ lookup('ansible.builtin.file', inventory_hostname ~ '.pem') }}"
    key: "{{ lookup('ansible.builtin.file', inventory_hostname ~ '.key') }}"
"""

RETURN = r"""
brick:
  description:
    - The brick's folder as M(okiagari.testbed.storage_volume) wants to know it. Empty without O(path).
  returned: always
  type: dict
  sample: {path: /srv/okiagari/brick/shared, size_mib: 4030, root: false, volume_id: ""}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.member import BrickDesire, Identity, MemberDesire
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.mount import Mount, folder, mounted


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "silence": {"type": "int", "default": 5},
            "authority": {"type": "str"},
            "certificate": {"type": "str"},
            "key": {"type": "str", "no_log": True},
            "path": {"type": "path"},
            "mount": {"type": "path"},
            "device": {"type": "path"},
            "filesystem": {"choices": ["xfs", "ext4"], "default": "xfs"},
        },
        required_together=[("authority", "certificate", "key")],
        required_by={"device": ["mount", "path"]},
        supports_check_mode=True,
    )
    params = module.params
    try:
        runner = ModuleRunner(module)
        identity = None
        if params["key"]:
            pem = (params[part].strip() + "\n" for part in ("authority", "certificate", "key"))
            identity = Identity(*pem)
        mount = None
        if params["device"]:
            mount = Mount(
                params["device"], params["mount"], params["filesystem"], description="Okiagari's storage brick"
            )
        brick = BrickDesire(runner, mount, Path(params["path"])) if params["path"] else None
        member = MemberDesire(runner, params["address"], params["silence"], identity)
        outcomes = [
            reconcile("present", module.check_mode, read=part.read, want=part.want, create=part.create)
            for part in (brick, member)
            if part
        ]
        found: dict[str, Any] = {}
        if params["path"]:
            found = {"path": params["path"], **folder(Path(params["path"])).to_dict()}
            if params["device"] and not mounted(runner, params["mount"]):
                # In check mode: what is there now isn't what the brick will be on.
                found.update(size_mib=0, root=False)
        module.exit_json(
            changed=any(outcome.changed for outcome in outcomes),
            brick=found,
            diff=[outcome.diff() for outcome in outcomes],
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
