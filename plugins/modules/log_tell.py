# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module log_tell: put an event into a testbed's log."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: log_tell
short_description: Put an event into the log
version_added: "0.1.0"
description:
  - Tells a host's agent of something that happened, and so all agents; M(okiagari.testbed.log_query) asks for it.
  - What an event is stands in C(docs/reference/log.md).
  - Each time that it runs it tells another event.
author:
  - Okiagari contributors (@okiagari)
options:
  source:
    description: What tells it, such as a program or a playbook.
    type: str
    required: true
  values:
    description: What there is to say, by name. Numbers and truth values keep their types.
    type: dict
    default: {}
  trace:
    description: Joins it with other events of one thing that goes on, such as a service's name or a drill's run.
    type: str
    default: ""
  important:
    description: Whether it is kept on the disk of every host.
    type: bool
    default: false
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
- name: Note in the log that maintenance begins
  okiagari.testbed.log_tell:
    source: maintenance
    trace: ticket-4711
    important: true
    values:
      event: maintenance_begun
      minutes: 30
"""

RETURN = r"""
id:
  description: The event's id.
  returned: when not in check mode
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import ask
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Emitter
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "required": True},
            "values": {"type": "dict", "default": {}},
            "trace": {"type": "str", "default": ""},
            "important": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    event = {key: module.params[key] for key in ("source", "values", "trace", "important")}
    told: dict[str, str] = {}
    try:
        # In check mode too, what can't be an event is refused.
        Emitter("host", "0", time.time).event(**event)
        reconcile(
            "present", module.check_mode, read=dict, want=lambda: event,
            create=lambda: told.update(*ask({"op": "tell", **event})),
        )  # fmt: skip
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, **told)


if __name__ == "__main__":
    main()
