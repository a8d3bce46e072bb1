# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vyos_config: lines of a VyOS router's configuration."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: vyos_config
short_description: Lines of a VyOS router's configuration, confirmed only when the router is still reached
version_added: "0.1.0"
description:
  - Compares O(lines) with the running configuration and types only what differs.
  - What stands below one of O(scopes) and isn't in O(lines) is deleted. All else is left alone.
  - Reads every answer of the router. If it refuses one line, all that it refused is reported, and nothing is changed.
  - With O(confirm), the change is confirmed only after the router has been reached through a new login, and shows
    what was changed. Otherwise the router takes it back by itself; the module waits for that and says so.
  - Runs on the controller and logs in to the router itself. Use C(delegate_to) and localhost.
author:
  - Okiagari contributors (@okiagari)
options:
  host:
    description: The router's name or address.
    type: str
    required: true
  port:
    description: The port of its SSH server.
    type: int
    default: 22
  user:
    description: A user of the router who may configure it.
    type: str
    default: vyos
  password:
    description: The user's password. Without it and O(key_file), the SSH agent and the usual keys are tried.
    type: str
  key_file:
    description: The user's private key.
    type: path
  known_hosts:
    description:
      - The file with the router's host key, C(~/.ssh/known_hosts) by default.
      - A router whose key isn't there, or is another one, is refused.
    type: path
  ssh_config:
    description: A file in OpenSSH's format, of which host name, port and proxy are taken.
    type: path
  proxy_command:
    description: A command whose input and output lead to the router, with C(%h) and C(%p) as in OpenSSH.
    type: str
  lines:
    description:
      - What shall stand on the router, as C(set) commands. Empty lines and lines that begin with C(#) are left out.
      - No word may hold a quote, a question mark, a backslash or a control character.
    type: list
    elements: str
    required: true
  scopes:
    description:
      - Paths (without C(set)) below which nothing stands but O(lines).
      - One C({FIRST..LAST}) in a word stands for every number of that range, as in C(interfaces bridge br{100..3999}).
    type: list
    elements: str
    default: []
  release:
    description: The release of VyOS that the lines are for, such as V(1.4). An older router is refused.
    type: str
  confirm:
    description:
      - Minutes after which the router takes the change back, unless it is reached and the change is confirmed.
      - V(0) commits at once, without a way back.
    type: int
    default: 2
  revert:
    description:
      - How the router takes a change back.
      - V(auto) has it load its former configuration where its release can (the module switches that on, by
        C(set system config-management commit-confirm reload)), else it restarts with its saved configuration.
      - V(reload) refuses a router that would have to restart.
    type: str
    choices: [auto, reload]
    default: auto
  save:
    description: Whether to save the running configuration after a change, so that it survives a restart.
    type: bool
    default: true
requirements:
  - netmiko on the controller
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
    details:
      - The router is asked to take the lines and to compare them, and they are discarded.
  diff_mode:
    support: full
    details:
      - Shows the router's own comparison.
  platform:
    support: full
    platforms: vyos
notes:
  - Lines are shown in the result. Use C(no_log) on the task if they hold a secret.
  - Saving keeps all of the running configuration, also what somebody else has committed and not saved.
seealso:
  - plugin: okiagari.testbed.vyos_lines
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Carry the project's network over the circuit to Osaka
  okiagari.testbed.vyos_config:
    host: "{{ ansible_host }}"
    key_file: ~/.ssh/routers
    lines:
      - set interfaces ethernet eth1 mtu 1600
      - set interfaces ethernet eth1 vif-s 101 mtu 1596
      - set interfaces ethernet eth1 vif-s 101 vif-c 100 mtu 1500
      - set interfaces bridge br100 member interface eth1.101.100
    scopes:
      - interfaces ethernet eth1 vif-s 101
      - interfaces bridge br{100..3999}
  delegate_to: localhost
"""

RETURN = r"""
commands:
  description: What was typed, or would be, in this order.
  returned: always
  type: list
  elements: str
  sample: ["delete interfaces bridge br101", "set interfaces bridge br100 member interface eth1.101.100"]
version:
  description: The release that the router runs.
  returned: always
  type: str
  sample: 1.4.0
revert:
  description: How the router would have taken the change back, V(reload) or V(reboot). Null without O(confirm).
  returned: always
  type: str
  sample: reload
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError, Problem
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos import Session, wanted
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.netmiko_channel import Login, NetmikoChannel
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.router import Router

LOGIN = ("host", "port", "user", "password", "key_file", "known_hosts", "ssh_config", "proxy_command")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 22},
            "user": {"type": "str", "default": "vyos"},
            "password": {"type": "str", "no_log": True},
            "key_file": {"type": "path"},
            "known_hosts": {"type": "path"},
            "ssh_config": {"type": "path"},
            "proxy_command": {"type": "str"},
            "lines": {"type": "list", "elements": "str", "required": True},
            "scopes": {"type": "list", "elements": "str", "default": []},
            "release": {"type": "str"},
            "confirm": {"type": "int", "default": 2},
            "revert": {"choices": ["auto", "reload"], "default": "auto"},
            "save": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("ssh_config", "proxy_command")],
        supports_check_mode=True,
    )
    params = module.params
    try:
        paths, scopes = wanted(params["lines"], params["scopes"])
        confirm = params["confirm"]
        if not 0 <= confirm <= 60:
            raise BadInput([Problem("", None, "confirm", "must be from 0 to 60 minutes")])
        login = Login(**{key: params[key] for key in LOGIN})
        with Session(login.host, lambda: NetmikoChannel(login)) as session:
            router = Router(session, paths, scopes)
            version = router.require(params["release"])
            outcome = reconcile(
                "present",
                module.check_mode,
                read=router.read,
                want=lambda: router.want(look=module.check_mode),
                create=lambda: router.apply(confirm, params["save"], params["revert"] == "reload"),
            )
        module.exit_json(
            changed=outcome.changed,
            commands=router.commands,
            version=version.text,
            revert=router.applied.revert,
            diff={"prepared": router.applied.diff},
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
