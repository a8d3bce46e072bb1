# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module successor_election: who holds a service, who would be its successor, and handing it over."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: successor_election
short_description: Show, try and direct the succession of a service
version_added: "0.1.0"
description:
  - Shows who holds a service and what an election would come to now, with each candidate's scores. Nobody votes in it.
  - Forbids or prefers hosts, or hands the service over to another one, as planned.
  - Runs on a host that has an agent, which speaks for it to all others.
author:
  - Okiagari contributors (@okiagari)
options:
  service:
    description: The service's name.
    type: str
    required: true
  to:
    description:
      - The host that shall hold the service. The present one stops it first, and there is no wait.
      - With the consistency C(available), what the present one did is merged at the other one afterwards.
    type: str
  forbidden:
    description: The hosts that must not be elected. Others that were forbidden may be again.
    type: list
    elements: str
  preferred:
    description: The hosts that are elected before others with equally new state.
    type: list
    elements: str
  allowed:
    description: The only hosts that may be elected. An empty list has all candidates be allowed again.
    type: list
    elements: str
  wait:
    description: Seconds for which a hand-over is waited for.
    type: float
    default: 30
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
- name: Who would it be?
  okiagari.testbed.successor_election:
    service: database
  register: succession

- name: Clear this host before its maintenance
  okiagari.testbed.successor_election:
    service: database
    forbidden: "{{ [inventory_hostname] }}"
    to: kanazawa-kvm1
"""

RETURN = r"""
holder:
  description: Who holds the service now; nothing if nobody does.
  returned: always
  type: str
election:
  description:
    - What an election would have come to before anything was changed, by C(elected), C(why), C(votes), C(needed),
      C(messages) and C(candidates), each with its C(place), C(why) and C(scores).
  returned: always
  type: dict
silent:
  description: Why a candidate was not heard, by its name.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import ask
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.succession import RULES, Succession
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Clock


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "required": True},
            "to": {"type": "str"},
            **{key: {"type": "list", "elements": "str"} for key in RULES},
            "wait": {"type": "float", "default": 30.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    rules = {key: params[key] for key in RULES if params[key] is not None}
    succession = Succession(ask, Clock(), params["service"], rules, params["to"], params["wait"])
    try:
        outcome = reconcile(
            "present",
            module.check_mode,
            read=succession.read,
            want=succession.want,
            create=succession.create,
            remove=succession.remove,
        )
        module.exit_json(
            changed=outcome.changed,
            holder=outcome.after.get("holder"),
            election=succession.election.get("decision", {}),
            silent=succession.election.get("silent", {}),
            diff=outcome.diff(),
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
