#!/usr/bin/python
# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a link, for a while."""

from __future__ import annotations

DOCUMENTATION = r"""
module: link_fault
short_description: Take an interface down or lose packets on it, for a while
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Injects a fault into one interface of the target, with a lease after which the target undoes it by itself.
  - Before anything is changed the prior state is written to the target's journal and the lease is armed.
options:
  fault:
    description:
      - V(down) takes the interface administratively down. When it is up again, the IPv6 addresses and the static routes
        that the kernel dropped are put back.
      - V(loss) loses a share of the packets. It hangs under the lab's circuit emulation if there is one, and else takes
        the place of the kernel's default queue. Any other root qdisc is foreign, and refused.
    type: str
    choices: [down, loss]
    required: true
  interface:
    description: The interface's name on the target.
    type: str
    required: true
  percent:
    description: How many packets of a hundred are lost with O(fault=loss), such as V(30%). Above 0, up to 100.
    type: str
  direction:
    description:
      - Which packets O(fault=loss) concerns, seen from the target. V(egress) are those that leave the interface.
      - The Linux back-end has only V(egress) so far. For the other direction name the peer's interface on the peer.
    type: str
    choices: [egress, ingress, both]
    default: egress
extends_documentation_fragment: [okiagari.testbed.fault]
"""

EXAMPLES = r"""
- name: Cut the circuit to Osaka for 20 seconds
  okiagari.testbed.link_fault:
    fault: down
    interface: w-osaka
    lease: 20s

- name: Lose a third of the packets to Osaka until somebody says otherwise, but no longer than an hour
  okiagari.testbed.link_fault:
    fault: loss
    interface: w-osaka
    percent: 33%
    lease: 1h

- name: End the loss now
  okiagari.testbed.link_fault:
    fault: loss
    interface: w-osaka
    state: absent
"""

RETURN = r"""
fault:
  description: The fault's receipt. Times are in seconds since the epoch by the target's clock.
  returned: when the fault stands, has stood, or in check mode would stand
  type: dict
  contains:
    id:
      description: The fault's name in the target's journal.
      type: str
      sample: loss-0b5f9d07
    kind:
      description: The kind of fault.
      type: str
      sample: loss
    target:
      description: The target's host name.
      type: str
      sample: hiroshima-r1
    params:
      description: The parameters of the kind.
      type: dict
      sample: {interface: w-osaka, percent: 30.0}
    lease_s:
      description: The length of the lease in seconds.
      type: float
      sample: 20.0
    state:
      description: One of V(armed), V(injected), V(undone), V(failed).
      type: str
      sample: injected
    asked:
      description: What was asked for.
      type: dict
      sample: {interface: w-osaka, percent: 30.0}
    installed:
      description: What the target says is there, read back after the injection.
      type: dict
      sample: {parent: "c1c:1", netem: {loss_percent: 30.0, limit: 10000}, foreign: null}
    before:
      description: What was there before.
      type: dict
      sample: {parent: "c1c:1", netem: null, foreign: null}
    after:
      description: What was there after the fault was undone.
      type: dict
      sample: {}
    measured:
      description: What the target counted on the wire while the fault stood, if it counts anything.
      type: dict
      sample: {}
    armed_at:
      description: When the lease was armed.
      type: float
      sample: 1795262400.1
    injected_at:
      description: When the fault was injected.
      type: float
      sample: 1795262400.3
    undone_at:
      description: When it was undone.
      type: float
      sample: 1795262420.2
    undone_by:
      description: What undid it; one of V(program), V(lease), V(module), V(heal), V(reboot), V(abort).
      type: str
      sample: module
    lease_ends_at:
      description: When the lease ends.
      type: float
      sample: 1795262420.1
    error:
      description: Why it could not be injected or undone.
      type: str
      sample: null
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import OkiagariError
from ..module_utils.target.edge import LEASE_SPEC, FaultResource

SPEC: dict[str, Any] = {
    "fault": {"type": "str", "choices": ["down", "loss"], "required": True},
    "interface": {"type": "str", "required": True},
    "percent": {"type": "str"},
    "direction": {"type": "str", "choices": ["egress", "ingress", "both"], "default": "egress"},
    **LEASE_SPEC,
}


def main() -> None:
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=[("state", "present", ("lease",))])
    kinds = {"down": ("link_down", ("interface",)), "loss": ("loss", ("interface", "percent"))}
    kind, names = kinds[module.params["fault"]]
    try:
        resource = FaultResource(module, kind, {name: module.params[name] for name in names})
        if module.params["direction"] != "egress":
            resource.keeper.backend.require("netem_ingress")
        result = resource.reconcile()
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
