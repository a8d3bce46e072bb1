# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter proxy_settings: what HAProxy of a host with an agent reads."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: proxy_settings
short_description: What HAProxy of a host with an agent reads
version_added: "0.1.0"
description:
  - Gives the settings of the proxies that services have at a host; nothing where they have none there.
positional: _input, settings
options:
  _input:
    description: The services by name, such as P(okiagari.testbed.agent_files#filter) takes.
    type: dict
    required: true
  settings:
    description: The host's C(name), all C(hosts) that have an agent, and their C(addresses) by name.
    type: dict
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Write what HAProxy reads
  okiagari.testbed.config_files:
    files:
      - path: /etc/okiagari/proxy/haproxy.cfg
        content: "{{ agent_services | okiagari.testbed.proxy_settings(settings) }}"
"""

RETURN = r"""
_value:
  description: The text of a file.
  type: str
"""

from typing import TYPE_CHECKING, Any

from ..module_utils.agent.describe import proxies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def proxy_settings(services: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    return proxies(settings["name"], settings["hosts"], settings["addresses"], services)


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"proxy_settings": proxy_settings}
