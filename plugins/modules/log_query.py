# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module log_query: ask a testbed's log pool, or wait for an event in it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: log_query
short_description: Ask the log pool, or wait for an event
version_added: "0.1.0"
description:
  - Asks the log pool of a testbed, as a host's agent holds it, for what happened.
  - With O(wait) it waits until there is a row, at most for so many seconds, and fails if there is none.
  - The language of queries stands in C(docs/reference/log.md).
author:
  - Okiagari contributors (@okiagari)
options:
  query:
    description: What is asked for.
    type: str
    required: true
  wait:
    description: Seconds for which a first row is waited for. Nothing is waited for if it is 0.
    type: float
    default: 0
  most:
    description: How many rows are given at most.
    type: int
    default: 1000
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: Wait until another host serves
  okiagari.testbed.log_query:
    query: where trace = database and values.event = service_started since 1m
    wait: 60
"""

RETURN = r"""
rows:
  description: What the query gives, the newest first.
  returned: always
  type: list
  elements: dict
whole:
  description: Whether no more than O(most) rows were there.
  returned: always
  type: bool
"""

from itertools import islice

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import ask
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "query": {"type": "str", "required": True},
            "wait": {"type": "float", "default": 0.0},
            "most": {"type": "int", "default": 1000},
        },
        supports_check_mode=True,
    )
    query, wait, most = module.params["query"], module.params["wait"], module.params["most"]
    if most < 0:
        module.fail_json(msg=f"most is {most}: say how many rows, from 0")
    request = {"op": "wait", "text": query, "seconds": wait} if wait > 0 else {"op": "query", "text": query}
    try:
        said = (each["row"] for each in ask(request, timeout_s=wait + 10.0) if "row" in each)
        rows = list(islice(said, most + 1))
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    if wait > 0 and not rows:
        module.fail_json(msg=f"nothing came within {wait:g} s of what was asked for: {query}")
    module.exit_json(changed=False, rows=rows[:most], whole=len(rows) <= most)


if __name__ == "__main__":
    main()
