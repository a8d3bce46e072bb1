# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module service_servers: how many servers of a service run beside each other, and where."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: service_servers
short_description: Have more or fewer servers of a service beside each other
version_added: "0.1.0"
description:
  - Starts further servers of a service that agents keep going, beside the elected one, for load and throughput. Each
    has what the others have before clients are led to it.
  - Or stops further servers, and has what they did merged into the elected one.
  - The service has to have the consistency C(available), and has to allow it by C(servers) in C(agent_services). How
    servers get each other's changes is in C(docs/reference/agent.md).
  - Runs on a host that has an agent, which speaks for it to all others.
author:
  - Okiagari contributors (@okiagari)
options:
  service:
    description: The service's name.
    type: str
    required: true
  count:
    description:
      - How many servers there are to be, the elected one among them. The best candidates get more, by the ranking of
        an election; of too many, those that came last are merged.
      - Without O(count) and O(hosts) the module only shows the servers.
    type: int
  hosts:
    description:
      - The hosts that are to have a server, just these. The elected one has to be at one of them; to have it elsewhere,
        hand it over first, by M(okiagari.testbed.successor_election).
    type: list
    elements: str
  wait:
    description:
      - Seconds from 0.1 to 3600 for which each server that comes or goes is waited for. One that comes has what the
        others have by then, and one that goes is merged. After that the module fails, and what was begun goes on.
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
- name: Have three servers for tonight's load
  okiagari.testbed.service_servers:
    service: notes
    count: 3

- name: Have one again
  okiagari.testbed.service_servers:
    service: notes
    count: 1

- name: Have one at each of these
  okiagari.testbed.service_servers:
    service: notes
    hosts: [hiroshima-kvm1, kanazawa-kvm1]
"""

RETURN = r"""
holder:
  description: The host of the elected server; nothing if there is none.
  returned: always
  type: str
servers:
  description:
    - The hosts that have a server. The elected one is the first, and the one that came last is the last; in check mode
      by their names.
  returned: always
  type: list
  elements: str
  sample: [hiroshima-kvm1, kanazawa-kvm1]
most:
  description: How many servers the service allows.
  returned: always
  type: int
next:
  description: The candidates that could have a further server, the best first, as they were before anything changed.
  returned: always
  type: list
  elements: str
silent:
  description: Why a candidate was not heard, by its name.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import ask
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.service_servers import ServiceServers
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "required": True},
            "count": {"type": "int"},
            "hosts": {"type": "list", "elements": "str"},
            "wait": {"type": "float", "default": 60.0},
        },
        mutually_exclusive=[("count", "hosts")],
        supports_check_mode=True,
    )
    params = module.params
    servers = ServiceServers(ask, params["service"], params["hosts"], params["count"], params["wait"])
    try:
        outcome = reconcile(
            "present",
            module.check_mode,
            read=servers.read,
            want=servers.want,
            create=servers.create,
            remove=servers.remove,
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    there = servers.there if not module.check_mode else {**servers.there, **outcome.after}
    module.exit_json(changed=outcome.changed, **there, diff=outcome.diff())


if __name__ == "__main__":
    main()
