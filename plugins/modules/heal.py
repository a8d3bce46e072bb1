#!/usr/bin/python
# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove every fault from a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: heal
short_description: Remove everything that Okiagari has put on a target
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Undoes every fault of the target's journal, newest first, and then removes what carries Okiagari's marks without
    being in the journal. These are qdiscs with the handle C(fa17:), routes of protocol 187 with the lowest metric,
    and systemd units named C(okiagari-lease-*) and C(okiagari-drill-*).
  - A drill that is running is stopped, and no longer has the target for itself.
  - The lab's circuit emulation is not touched.
  - Needs neither the controller that injected the faults nor its memory. Does nothing on a target that is well.
  - Fails if something could not be removed.
extends_documentation_fragment: okiagari.testbed.device
options:
  lab:
    description:
      - The directory of a lab on the machine that the module runs on. Then it is about the power of the lab's nodes,
        as the faults C(power_cut), C(reboot) and C(pause) take it, and not about the machine itself.
    type: path
attributes:
  check_mode:
    description: Only lists what it would remove.
    support: full
  diff_mode:
    description: Shows in diff mode what was, or would be, removed.
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
  - module: okiagari.testbed.link_fault
  - module: okiagari.testbed.route_fault
"""

EXAMPLES = r"""
- name: Leave nothing behind
  okiagari.testbed.heal:

- name: Give the lab's nodes the power that faults have taken
  okiagari.testbed.heal:
    lab: "{{ lab_directory }}"
  delegate_to: localhost

- name: Nor on a VyOS router
  okiagari.testbed.heal:
    device: {os: vyos, host: "{{ ansible_host }}", user: vyos, key_file: ~/.ssh/routers}
  delegate_to: localhost
"""

RETURN = r"""
found:
  description: What was there.
  returned: always
  type: list
  elements: dict
  sample:
    - {what: fault, name: loss-0b5f9d07, detail: "loss on qdisc:w-osaka, injected"}
    - {what: qdisc, name: "qdisc:w-osaka", detail: "netem fa17: on w-osaka"}
healed:
  description: What was removed.
  returned: always
  type: list
  elements: dict
  sample: []
left:
  description: What is still there. In check mode this is all that was found.
  returned: always
  type: list
  elements: dict
  sample: []
"""

from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import OkiagariError
from ..module_utils.proxy import DEVICE_SPEC
from ..module_utils.reconcile import Content, reconcile
from ..module_utils.target.edge import LAB_SPEC, keeper_to_end

Report = dict[str, list[dict[str, str]]]


def main() -> None:
    module = AnsibleModule(
        {**LAB_SPEC, "device": DEVICE_SPEC}, mutually_exclusive=[("lab", "device")], supports_check_mode=True
    )
    try:
        keeper = keeper_to_end(module)
        with closing(keeper.backend):
            report: Report = keeper.heal(check=True)

            def read() -> Content:
                claim = keeper.claims.holder()
                claimed = {claim.drill: f"has the target ({claim.who})"} if claim else {}
                return {**claimed, **{each["name"]: each["detail"] for each in report["left"]}}

            outcome = reconcile(
                "absent",
                module.check_mode,
                read=read,
                want=dict,
                create=dict,
                remove=lambda: report.update(keeper.heal()),
            )
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {"changed": outcome.changed, "diff": outcome.diff(), **report}
    if report["left"] and not module.check_mode:
        names = ", ".join(f"{each['what']} {each['name']} ({each['detail']})" for each in report["left"])
        module.fail_json(
            msg=f"still there after healing: {names}; see to what is said in brackets and heal again", **result
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
