# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module storage_volume: a volume with its copies at several sites."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: storage_volume
short_description: A volume with its copies at several sites
version_added: "0.1.0"
description:
  - Joins the members to a cluster of GlusterFS, creates the volume with its copies at as many sites, and starts it.
  - A part of a split network that holds less than half of the members stops its bricks, and its clients can't write.
  - What is named later is added while the volume runs. A brick that is named instead of another one replaces it.
  - A brick whose disk was exchanged for an empty one gets its copies made again.
  - Nothing is removed unless O(shrink) or O(state=absent) asks for it, and then the files in the bricks stay.
  - Runs on one of the members. Checks everything before it changes anything.
author:
  - Okiagari contributors (@okiagari)
options:
  name:
    description: The volume's name.
    type: str
    required: true
  member:
    description: The name of the member that this runs on.
    type: str
    required: true
  members:
    description: The hosts that count for the quorum, those with bricks and those without.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The host's name.
        type: str
        required: true
      address:
        description: Its address in the storage network.
        type: str
        required: true
      site:
        description: The site that it stands at.
        type: str
        required: true
  bricks:
    description: The folders that hold the copies. M(okiagari.testbed.storage_member) tells what is optional here.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The member that it is on.
        type: str
        required: true
      path:
        description: The folder.
        type: path
        required: true
      size_mib:
        description: Its size. Copies of unequal size are refused.
        type: int
      root:
        description: Whether it is on the root file system.
        type: bool
        default: false
      volume_id:
        description: The identity of the volume whose data it holds. Empty for none.
        type: str
  replica:
    description: How many copies, each at another site.
    type: int
    default: 3
  options:
    description: Options of the volume, beside and over those that make it safe.
    type: dict
    default: {}
  root_consent:
    description: Whether a brick may be on a root file system.
    type: bool
    default: false
  shrink:
    description: Whether bricks and members that are not named any more are removed, after their data has been moved.
    type: bool
    default: false
  adopt:
    description: Whether a volume of this name that was not made by this module is taken over.
    type: bool
    default: false
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
- name: Have a volume with a copy at each of three sites
  okiagari.testbed.storage_volume:
    name: shared
    member: hiroshima-kvm1
    members:
      - {name: hiroshima-kvm1, address: 10.1.1.11, site: hiroshima}
      - {name: kanazawa-kvm1, address: 10.2.1.11, site: kanazawa}
      - {name: naist-kvm1, address: 10.3.1.11, site: naist}
    bricks:
      - {host: hiroshima-kvm1, path: /srv/okiagari/brick/shared}
      - {host: kanazawa-kvm1, path: /srv/okiagari/brick/shared}
      - {host: naist-kvm1, path: /srv/okiagari/brick/shared}
  run_once: true
"""

RETURN = r"""
volume:
  description: The volume as it is now, with the members of its cluster. Empty when it isn't there.
  returned: always
  type: dict
  sample:
    members: [10.1.1.11, 10.2.1.11, 10.3.1.11]
    replica: 3
    bricks: ["10.1.1.11:/srv/okiagari/brick/shared"]
    emptied: []
    stopped: []
    options: {network.ping-timeout: "5"}
    started: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.desire import VolumeDesire
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.gluster import Gluster
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.model import own_address, parse, warnings


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "member": {"type": "str", "required": True},
            "members": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                    "site": {"type": "str", "required": True},
                },
            },
            "bricks": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "host": {"type": "str", "required": True},
                    "path": {"type": "path", "required": True},
                    "size_mib": {"type": "int"},
                    "root": {"type": "bool", "default": False},
                    "volume_id": {"type": "str"},
                },
            },
            "replica": {"type": "int", "default": 3},
            "options": {"type": "dict", "default": {}},
            "root_consent": {"type": "bool", "default": False},
            "shrink": {"type": "bool", "default": False},
            "adopt": {"type": "bool", "default": False},
            "state": {"choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["bricks"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        wanted = parse(params)
        for warning in warnings(wanted.members):
            module.warn(warning)
        desire = VolumeDesire(Gluster(ModuleRunner(module), own_address(wanted.members, params["member"])), wanted)
        outcome = reconcile(
            params["state"],
            module.check_mode,
            read=desire.read if params["state"] == "present" else desire.volume,
            want=desire.want,
            create=desire.create,
            remove=desire.remove,
        )
        module.exit_json(changed=outcome.changed, volume=dict(outcome.after), diff=outcome.diff())
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
