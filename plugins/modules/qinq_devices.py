# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module qinq_devices: a node's devices of tagged networks."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: qinq_devices
short_description: The devices of a node's tagged networks
version_added: "0.1.0"
description:
  - Brings the kernel's devices to the files of systemd-networkd that P(okiagari.testbed.qinq#filter) gives, and reads
    them back.
  - Removes devices of tagged networks that are no longer wanted. A device is only taken for one of these if its name,
    its tags and its parent agree, and a bridge if it has an address that Okiagari gives.
  - A bridge on which something else hangs, such as a guest, is not removed. That is an error before anything is
    changed.
author:
  - Okiagari contributors (@okiagari)
options:
  devices:
    description: All wanted devices by name, as the filter gives them.
    type: dict
    required: true
  reload:
    description: Whether networkd shall read its files anew although the devices are as wanted already.
    type: bool
    default: false
  reach:
    description:
      - Where a full packet must get to, as the filter gives it.
      - It is sent with the bit that forbids to cut it, and each circuit that doesn't pass it is an error.
    type: list
    elements: dict
    default: []
  timeout:
    description: How many seconds to wait for devices and for answers.
    type: int
    default: 20
  turn:
    description:
      - How new the knowledge is that this comes from, when several do this at once.
      - Who comes with less than somebody before waits until that one is done, and says so in RV(late).
        With V(0) everyone acts.
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
    platforms: linux
"""

EXAMPLES = r"""
- name: Have the devices
  okiagari.testbed.qinq_devices:
    devices: "{{ (testbed | okiagari.testbed.qinq(inventory_hostname)).devices }}"
"""

RETURN = r"""
late:
  description: Whether somebody with a larger O(turn) has been here before, so that nothing was done.
  returned: always
  type: bool
differences:
  description: The devices that were not as wanted.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.qinq.kernel import Devices
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.turn import Turn


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "devices": {"type": "dict", "required": True},
            "reload": {"type": "bool", "default": False},
            "reach": {"type": "list", "elements": "dict", "default": []},
            "timeout": {"type": "int", "default": 20},
            "turn": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        devices = Devices(ModuleRunner(module), params["devices"], params["timeout"])
        turn = Turn(params["turn"], module.check_mode)
        with turn.hold(finish=True) as mine:
            if mine:
                outcome = reconcile(
                    "present",
                    module.check_mode,
                    read=devices.read,
                    want=devices.want,
                    create=devices.apply,
                    keep=devices.apply if params["reload"] else lambda: None,
                )
        if not mine:
            turn.await_other()
            module.exit_json(changed=False, late=True, differences=[])
        if not module.check_mode:
            devices.reached(params["reach"])
        names = [name for name in {**outcome.before, **outcome.after} if _differs(name, outcome.before, outcome.after)]
        module.exit_json(
            changed=outcome.changed,
            late=False,
            differences=names,
            diff={
                "before": {name: outcome.before[name] for name in names if name in outcome.before},
                "after": {name: outcome.after[name] for name in names if name in outcome.after},
            },
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))


def _differs(name: str, before: object, after: object) -> bool:
    return isinstance(before, dict) and isinstance(after, dict) and before.get(name) != after.get(name)


if __name__ == "__main__":
    main()
