#!/usr/bin/python
# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overload a node or disturb a part of it, for a while."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_fault
short_description: Overload a node or disturb a part of it, for a while
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Takes the target's processors, memory or disk, makes a disk slow or fail, sets the clock wrong, or stops or
    freezes a service.
  - The fault has a lease after which the target undoes it by itself.
  - Before anything is changed the prior state is written to the target's journal and the lease is armed.
options:
  fault:
    description:
      - V(cpu_pressure) calculates, V(memory_pressure) holds memory, V(disk_pressure) writes to the disk without end,
        V(disk_full) takes the room on a file system. They are the first that the kernel kills when memory is short.
      - V(disk_slow) and V(disk_failing) concern a disk that is a C(linear) or C(striped) device of the device mapper,
        as LVM's are, and that the system itself isn't on. A file system may give up on a disk that fails, and is then
        read-only until it is mounted anew.
      - V(clock_step) sets the wall clock by so much, and back again. It is refused while a daemon keeps the time.
      - V(service_stop) stops a service with those that can't be without it, V(service_freeze) lets it hang.
    type: str
    choices:
      - cpu_pressure
      - memory_pressure
      - disk_pressure
      - disk_full
      - disk_slow
      - disk_failing
      - clock_step
      - service_stop
      - service_freeze
    required: true
  workers:
    description: How many processes calculate with O(fault=cpu_pressure); by default one for each processor.
    type: int
  percent:
    description: Which share of the time each of them calculates, such as V(50%); by default all of it.
    type: str
  take:
    description: How much memory O(fault=memory_pressure) holds, such as V(512mib).
    type: str
  leave:
    description:
      - How much O(fault=memory_pressure) leaves of the memory that is available, at least V(64mib); instead of O(take).
      - How much room O(fault=disk_full) leaves, by default none; V(64mib) or more where the
        journal of the faults is, and in V(/run).
    type: str
  path:
    description: A directory on the disk concerned. For V(disk_slow) and V(disk_failing) it may be the device itself.
    type: path
  delay:
    description: By how much O(fault=disk_slow) delays each read and each write, such as V(50ms).
    type: str
  up:
    description: For how many seconds the disk works with O(fault=disk_failing), again and again; by default never.
    type: int
  down:
    description: For how many seconds it fails in between. It is given with O(up).
    type: int
  by:
    description: By how much O(fault=clock_step) sets the clock, such as V(5min) or V(-90s).
    type: str
  service:
    description: The service that is stopped or frozen.
    type: str
extends_documentation_fragment: [okiagari.testbed.fault]
"""

EXAMPLES = r"""
- name: Leave 256 MiB of memory for a minute
  okiagari.testbed.node_fault:
    fault: memory_pressure
    leave: 256mib
    lease: 1min

- name: Fill the disk of the guests' images
  okiagari.testbed.node_fault:
    fault: disk_full
    path: /var/lib/libvirt/images
    leave: 64mib
    lease: 5min

- name: Let the web server hang for 20 seconds
  okiagari.testbed.node_fault:
    fault: service_freeze
    service: nginx
    lease: 20s

- name: End it now
  okiagari.testbed.node_fault:
    fault: service_freeze
    service: nginx
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
      sample: memory_pressure-4f53cda1
    kind:
      description: The kind of fault.
      type: str
      sample: memory_pressure
    target:
      description: The target's host name.
      type: str
      sample: hiroshima-kvm1
    params:
      description: The parameters of the kind.
      type: dict
      sample: {leave: 256}
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
      sample: {leave: 256}
    installed:
      description: What the target says is there, read back after the injection.
      type: dict
      sample: {load: {kind: memory, mib: 1200}, available_mib: 256}
    before:
      description: What was there before.
      type: dict
      sample: {load: null, available_mib: 1456}
    after:
      description: What was there after the fault was undone.
      type: dict
      sample: {}
    measured:
      description: What was counted while the fault stood, if anything is.
      type: dict
      sample: {running: true, cpu_s: 0.71, held_mib: 1200}
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

FAULTS = [
    "cpu_pressure", "memory_pressure", "disk_pressure", "disk_full", "disk_slow", "disk_failing",
    "clock_step", "service_stop", "service_freeze",
]  # fmt: skip
PARAMETERS: dict[str, Any] = {
    "workers": {"type": "int"},
    "percent": {"type": "str"},
    "take": {"type": "str"},
    "leave": {"type": "str"},
    "path": {"type": "path"},
    "delay": {"type": "str"},
    "up": {"type": "int"},
    "down": {"type": "int"},
    "by": {"type": "str"},
    "service": {"type": "str"},
}
SPEC: dict[str, Any] = {
    "fault": {"type": "str", "choices": FAULTS, "required": True},
    **PARAMETERS,
    **LEASE_SPEC,
}


def main() -> None:
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=[("state", "present", ("lease",))])
    try:
        parameters = {name: module.params[name] for name in PARAMETERS}
        result = FaultResource(module, module.params["fault"], parameters).reconcile()
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
