#!/usr/bin/python
# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End every drill that runs on a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_stop
short_description: End every drill that runs on a target, whichever controller runs it
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Undoes the faults of every drill that runs on the target, and ends the drill's program there. None of its faults
    comes any more.
  - The controller of the drill notices, ends the drill on its other targets, compares, and reports C(aborted).
  - Faults that belong to no drill stay; M(okiagari.testbed.heal) removes these too.
  - Fails if a fault could not be undone.
  - With O(device) it has to run where the drill was started, because the device's part of the drill runs there.
extends_documentation_fragment: okiagari.testbed.device
options:
  by:
    description: Who ends them; the drill's report says so.
    type: str
    default: drill_stop
  lab:
    description:
      - The directory of a lab on the machine that the module runs on. Then it is about the power of the lab's nodes,
        as the faults C(power_cut), C(reboot) and C(pause) take it, and not about the machine itself.
    type: path
attributes:
  check_mode:
    description: Only lists the drills.
    support: full
  diff_mode:
    description: Shows in diff mode which drills were, or would be, ended.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: What it runs on.
    platforms: linux
    support: full
requirements:
  - Python 3.11 or later on the target
  - iproute2 on the target
notes:
  - Needs root on the target. Use C(become). With O(lab) it needs to be whoever owns the lab.
seealso:
  - module: okiagari.testbed.drill
  - module: okiagari.testbed.heal
"""

EXAMPLES = r"""
- name: End all drills
  okiagari.testbed.drill_stop:
    by: A. Person, who is repairing the circuit
"""

RETURN = r"""
drills:
  description: The runs that were ended. In check mode these are all that run.
  returned: always
  type: list
  elements: str
  sample: [circuit_cut-20261121T163827Z]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import OkiagariError
from ..module_utils.proxy import DEVICE_SPEC
from ..module_utils.reconcile import Content, reconcile
from ..module_utils.target.edge import LAB_SPEC, keeper_to_end


def main() -> None:
    module = AnsibleModule(
        {"by": {"type": "str", "default": "drill_stop"}, **LAB_SPEC, "device": DEVICE_SPEC},
        mutually_exclusive=[("lab", "device")],
        supports_check_mode=True,
    )
    try:
        keeper = keeper_to_end(module)
        found = keeper.drills()

        def read() -> Content:
            return dict.fromkeys(keeper.drills(), "running")

        def end() -> None:
            for drill in found:
                keeper.abort(drill, module.params["by"])

        outcome = reconcile("absent", module.check_mode, read=read, want=dict, create=dict, remove=end)
        left = [] if module.check_mode else keeper.drills()
        keeper.backend.close()
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    result = {"changed": outcome.changed, "diff": outcome.diff(), "drills": found}
    if left:
        module.fail_json(msg=f"still there: {', '.join(left)}; run the heal_all playbook, which says why", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
