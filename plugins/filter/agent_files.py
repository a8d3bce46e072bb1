# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter agent_files: what an agent of a testbed reads."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: agent_files
short_description: The files that an agent of a testbed reads
version_added: "0.1.0"
description:
  - Gives the files of one host's agent, after everything that was asked for has been checked.
positional: _input, settings
options:
  _input:
    description: The testbed, as the inventory plugin C(okiagari.testbed.testbed) gives it.
    type: dict
    required: true
  settings:
    description:
      - What the role C(agent) is told, by C(name), C(hosts), C(addresses), C(port), C(certificates), C(store),
        C(voters), C(services), C(folder), C(templates) (folders of the hosts by name) where there are guests, and, if
        they aren't to be 64 and true, C(pool_mib) and C(trace).
    type: dict
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Write what the agent reads
  okiagari.testbed.config_files:
    files: "{{ testbed | okiagari.testbed.agent_files(settings) }}"
    prune: [/etc/okiagari/agent/services/*.json]
"""

RETURN = r"""
_value:
  description: Files for M(okiagari.testbed.config_files).
  type: list
  elements: dict
"""

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.agent.config import POOL_MIB
from ..module_utils.agent.describe import agent, services
from ..module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def agent_files(testbed: Mapping[str, Any], settings: Mapping[str, Any]) -> list[dict[str, str]]:
    folder, hosts = settings["folder"], settings["hosts"]
    try:
        described = agent(
            testbed,
            settings["name"],
            hosts,
            addresses=settings["addresses"],
            port=settings["port"],
            certificates=settings["certificates"],
            store=settings["store"],
            folder=folder,
            pool_mib=settings.get("pool_mib", POOL_MIB),
            trace=settings.get("trace", True),
        )
        templates = settings.get("templates", {})
        port = settings["port"]
        found = services(testbed, hosts, settings["voters"], settings["services"], folder, templates, port)
    except OkiagariError as error:
        raise AnsibleFilterError(f"The agents' services are refused, and nothing was done.\n{error}") from error
    files = {"agent.json": described} | {f"services/{name}.json": content for name, content in found.items()}
    return [{"path": f"{folder}/{name}", "content": content, "mode": "0600"} for name, content in files.items()]


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"agent_files": agent_files}
