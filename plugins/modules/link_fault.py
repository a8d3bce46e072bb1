#!/usr/bin/python
# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a link, for a while."""

from __future__ import annotations

DOCUMENTATION = r"""
module: link_fault
short_description: Take an interface down or impair what leaves it, for a while
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
      - V(mtu) makes it, and the VLANs above it, too narrow for packets of more than O(mtu) bytes.
      - All others impair the packets that leave the interface, with netem. They hang under the lab's circuit emulation
        if there is one, and else take the place of the kernel's default queue. Any other root qdisc is foreign, and
        refused. V(impairment) does several of them at once.
    type: str
    choices: [down, mtu, loss, delay, rate, corrupt, duplicate, reorder, impairment]
    required: true
  interface:
    description: The interface's name on the target.
    type: str
    required: true
  mtu:
    description: The MTU with O(fault=mtu), in bytes; less than it is.
    type: int
  percent:
    description:
      - How many packets of a hundred O(fault=loss), O(fault=corrupt), O(fault=duplicate) or O(fault=reorder) strikes,
        such as V(30%). Above 0, up to 100.
    type: str
  correlation:
    description: How much the fate of a packet, or its jitter, is that of the packet before, such as V(25%).
    type: str
  gemodel:
    description:
      - Instead of O(percent), loss by the model of Gilbert and Elliott, as percentages p (bad begins), r (bad
        ends), 1-h (lost in bad) and 1-k (lost in good); all but the first may be left out.
    type: list
    elements: str
  states:
    description:
      - Instead of O(percent), loss by a chain of four states, as the percentages p13, p31, p32, p23 and p14 of
        tc-netem(8); all but the first may be left out.
    type: list
    elements: str
  delay:
    description:
      - By how much packets are late with O(fault=delay), and with O(fault=reorder) those that don't overtake, such as
        V(50ms). With O(fault=impairment) also a dictionary with V(delay), V(jitter), V(correlation), V(distribution).
    type: raw
  jitter:
    description: By how much O(delay) is more or less, such as V(5ms).
    type: str
  distribution:
    description: How O(jitter) is distributed.
    type: str
    choices: [uniform, normal, pareto, paretonormal]
  rate:
    description: The bits per second that leave with O(fault=rate) and O(fault=impairment), such as V(10mbit).
    type: raw
  gap:
    description: With O(fault=reorder), only each so many-th packet can overtake.
    type: int
  loss:
    description: With O(fault=impairment), a percentage or a dictionary with the options of O(fault=loss).
    type: raw
  corrupt:
    description: With O(fault=impairment), a percentage or a dictionary with V(percent) and V(correlation).
    type: raw
  duplicate:
    description: With O(fault=impairment), a percentage or a dictionary with V(percent) and V(correlation).
    type: raw
  reorder:
    description:
      - With O(fault=impairment), a dictionary with V(percent), V(delay), V(correlation) and V(gap).
    type: raw
  only:
    description:
      - Which packets are impaired; all of them if it is left out. A packet has to meet all of its keys.
      - These are V(to) (a prefix of destinations), V(protocol) (V(tcp), V(udp), V(sctp), V(icmp)), V(port) (the source
        or destination port), V(dscp) (a number or a name such as V(ef)), V(s_tag) (the outer, 802.1ad tag on the wire),
        V(c_tag) (the inner, 802.1Q tag).
    type: dict
  seed:
    description: Makes what is random the same every time.
    type: int
  limit:
    description: The queue in packets. By default it is sized from rate and delay.
    type: int
  direction:
    description:
      - Which packets an impairment concerns, seen from the target. V(egress) are those that leave the interface.
      - The Linux back-end has only V(egress) so far. For the other direction name the peer's interface on the peer.
    type: str
    choices: [egress, ingress, both]
    default: egress
extends_documentation_fragment: [okiagari.testbed.fault, okiagari.testbed.device]
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

- name: Make the circuit a transatlantic one for a project's machines, whose inner tag is 100
  okiagari.testbed.link_fault:
    fault: impairment
    interface: w-osaka
    delay: {delay: 45ms, jitter: 2ms, distribution: normal}
    loss: 0.1%
    rate: 100mbit
    only: {s_tag: 101, c_tag: 100}
    lease: 10min

- name: Take a port of a VyOS router down for up to five minutes
  okiagari.testbed.link_fault:
    fault: down
    interface: eth1
    lease: 5min
    device: {os: vyos, host: "{{ ansible_host }}", user: vyos, key_file: ~/.ssh/routers}
  delegate_to: localhost

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
      sample: {parent: "c1c:1", netem: {loss_percent: 30.0, limit: 10000}, filters: [], foreign: null}
    before:
      description: What was there before.
      type: dict
      sample: {parent: "c1c:1", netem: null, filters: [], foreign: null}
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
from ..module_utils.proxy import DEVICE_SPEC
from ..module_utils.target.edge import LEASE_SPEC, FaultResource

PARAMETERS: dict[str, Any] = {
    "interface": {"type": "str", "required": True},
    "mtu": {"type": "int"},
    "percent": {"type": "str"},
    "correlation": {"type": "str"},
    "gemodel": {"type": "list", "elements": "str"},
    "states": {"type": "list", "elements": "str"},
    "delay": {"type": "raw"},
    "jitter": {"type": "str"},
    "distribution": {"type": "str", "choices": ["uniform", "normal", "pareto", "paretonormal"]},
    "rate": {"type": "raw"},
    "gap": {"type": "int"},
    "loss": {"type": "raw"},
    "corrupt": {"type": "raw"},
    "duplicate": {"type": "raw"},
    "reorder": {"type": "raw"},
    "only": {"type": "dict"},
    "seed": {"type": "int"},
    "limit": {"type": "int"},
}
FAULTS = ["down", "mtu", "loss", "delay", "rate", "corrupt", "duplicate", "reorder", "impairment"]
SPEC: dict[str, Any] = {
    "fault": {"type": "str", "choices": FAULTS, "required": True},
    **PARAMETERS,
    "direction": {"type": "str", "choices": ["egress", "ingress", "both"], "default": "egress"},
    **LEASE_SPEC,
    "device": DEVICE_SPEC,
}


def main() -> None:
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=[("state", "present", ("lease",))])
    kind = "link_down" if module.params["fault"] == "down" else module.params["fault"]
    try:
        with FaultResource(module, kind, {name: module.params[name] for name in PARAMETERS}) as resource:
            if module.params["direction"] != "egress":
                resource.keeper.backend.require("netem_ingress")
            result = resource.reconcile()
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
