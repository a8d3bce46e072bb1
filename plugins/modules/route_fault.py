#!/usr/bin/python
# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rewrite a route, for a while."""

from __future__ import annotations

DOCUMENTATION = r"""
module: route_fault
short_description: Force a route or disturb BGP, for a while
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Puts a route into the target's main table that wins over those of the routing daemons, whose own routes are not
    touched; or changes the running configuration of FRR's BGP, never its files.
  - The fault has a lease after which the target undoes it by itself.
  - Before anything is changed the prior state is written to the target's journal and the lease is armed.
options:
  fault:
    description:
      - V(override) sends packets to another next hop. The others drop them, V(blackhole) without an answer,
        V(unreachable) telling their senders that the host is unreachable, V(prohibit) that it is forbidden.
      - V(bgp_shutdown) shuts the session to O(neighbor), V(bfd_off) leaves it without BFD, V(local_preference) gives
        its routes O(preference). V(metric) and V(as_path) tell it O(metric), or a path that is longer by O(prepend).
        V(prefix_withdrawn) takes back a prefix that the target itself announces.
    type: str
    choices:
      - override
      - blackhole
      - unreachable
      - prohibit
      - bgp_shutdown
      - bfd_off
      - local_preference
      - metric
      - as_path
      - prefix_withdrawn
    required: true
  prefix:
    description:
      - The destinations concerned, such as V(10.2.0.0/16) or V(2001:db8::/32). Needed but for the faults of a session.
    type: str
  via:
    description: The next hop of O(fault=override), the address of a direct neighbour.
    type: str
  neighbor:
    description: The address of the BGP neighbour whose session the fault concerns.
    type: str
  preference:
    description: The local preference with O(fault=local_preference); 100 is common.
    type: int
  metric:
    description: The metric (MED) that the neighbour is told with O(fault=metric).
    type: int
  prepend:
    description: How often the target's own AS is put before each path with O(fault=as_path), 1 to 10 times.
    type: int
  vrf:
    description: The VRF that the session or the prefix is in, if it isn't the default one.
    type: str
extends_documentation_fragment: [okiagari.testbed.fault, okiagari.testbed.device]
"""

EXAMPLES = r"""
- name: Send what is meant for Kanazawa round by Tokyo for a minute
  okiagari.testbed.route_fault:
    fault: override
    prefix: 10.2.0.0/16
    via: 10.254.0.9
    lease: 1min

- name: Make Kanazawa unreachable for 20 seconds
  okiagari.testbed.route_fault:
    fault: blackhole
    prefix: 10.2.0.0/16
    lease: 20s

- name: End it now
  okiagari.testbed.route_fault:
    fault: blackhole
    prefix: 10.2.0.0/16
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
      sample: route_blackhole-7c1f0e52
    kind:
      description: The kind of fault.
      type: str
      sample: route_blackhole
    target:
      description: The target's host name.
      type: str
      sample: hiroshima-r1
    params:
      description: The parameters of the kind.
      type: dict
      sample: {prefix: 10.2.0.0/16}
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
      sample: {prefix: 10.2.0.0/16}
    installed:
      description: What the target says is there, read back after the injection.
      type: dict
      sample: {ours: {type: blackhole}, others: []}
    before:
      description: What was there before.
      type: dict
      sample: {ours: null, others: []}
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

_FORCED = ["override", "blackhole", "unreachable", "prohibit"]
FAULTS = [*_FORCED, "bgp_shutdown", "bfd_off", "local_preference", "metric", "as_path", "prefix_withdrawn"]
PARAMETERS: dict[str, Any] = {
    "prefix": {"type": "str"},
    "via": {"type": "str"},
    "neighbor": {"type": "str"},
    "preference": {"type": "int"},
    "metric": {"type": "int"},
    "prepend": {"type": "int"},
    "vrf": {"type": "str"},
}
SPEC: dict[str, Any] = {
    "fault": {"type": "str", "choices": FAULTS, "required": True},
    **PARAMETERS,
    **LEASE_SPEC,
    "device": DEVICE_SPEC,
}


def main() -> None:
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=[("state", "present", ("lease",))])
    fault = module.params["fault"]
    kind = f"route_{fault}" if fault in _FORCED else fault
    try:
        with FaultResource(module, kind, {name: module.params[name] for name in PARAMETERS}) as resource:
            result = resource.reconcile()
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
