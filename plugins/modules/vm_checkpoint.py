# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vm_checkpoint: have a guest's state captured and committed now, or show which states there are."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: vm_checkpoint
short_description: Have the state of a guest that agents keep going committed now
version_added: "0.1.0"
description:
  - Has the guest that a service is captured now, its memory, devices and every disk at one instant, and waits
    until that state is committed, that is, at so many sites that the loss of any one of them doesn't lose it.
  - Captures of each period go on as before.
  - Or shows which state is committed, how old it is, and which hosts have it.
  - Runs on a host that has an agent, which has the holder do it, wherever that is.
author:
  - Okiagari contributors (@okiagari)
options:
  service:
    description: The service's name.
    type: str
    required: true
  state:
    description:
      - C(committed) has a state captured after this moment and committed; C(query) only looks.
    choices: [committed, query]
    type: str
    default: committed
  timeout:
    description:
      - Seconds for which the state is waited for, from 0.1 to 3600. After that the module fails, and what was
        asked for stands. It may still be captured and committed.
    type: float
    default: 60
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: Have what was done so far survive the loss of any site
  okiagari.testbed.vm_checkpoint:
    service: ledger
  register: kept

- name: See how much would be lost now
  okiagari.testbed.vm_checkpoint:
    service: ledger
    state: query
  register: there
  failed_when: there.committed.age_s > 30
"""

RETURN = r"""
holder:
  description: Who holds the service; nothing if nobody does.
  returned: always
  type: str
checkpoint:
  description:
    - What was captured and committed, by C(term) and C(epoch). C(root) is the digest over all its pages;
      C(captured) says when, in seconds since 1970 by the clock of C(holder); C(pause_ms), for how long the guest
      stood still; C(bytes), how large its pack is; C(took_ms), how long it was on its way; C(hosts) and
      C(domains), where it was when it was committed.
  returned: O(state=committed), not in check mode
  type: dict
  sample:
    {holder: hiroshima-kvm1, term: 3, epoch: 812, root: 5d0f, captured: 1795341600.25, pause_ms: 8.4, bytes: 20311,
     took_ms: 164, hosts: [hiroshima-kvm1, kanazawa-kvm1], domains: [hiroshima, kanazawa]}
committed:
  description:
    - The state that is committed, which may be a later one by now, by C(term), C(epoch), C(root), C(captured) and
      its age in seconds, C(age_s). Nothing if none is.
  returned: always
  type: dict
have:
  description:
    - The hosts whose replica has the committed state or a later one.
  returned: always
  type: list
  elements: str
domains:
  description: The failure domains of these hosts.
  returned: always
  type: list
  elements: str
replicas:
  description:
    - The newest state of each candidate's replica, by the host's name, with C(term), C(epoch) and C(root);
      nothing where there is none.
  returned: always
  type: dict
silent:
  description: Why a candidate was not heard, by its name.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import ask
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.guest_states import GuestStates
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "required": True},
            "state": {"choices": ["committed", "query"], "default": "committed"},
            "timeout": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    states = GuestStates(ask, params["service"], params["timeout"], now=params["state"] == "committed")
    try:
        outcome = reconcile(
            "present",
            module.check_mode,
            read=states.read,
            want=states.want,
            create=states.create,
            remove=states.remove,
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=outcome.changed,
        **states.there,
        **({"checkpoint": states.made} if states.made else {}),
        diff=outcome.diff(),
    )


if __name__ == "__main__":
    main()
