# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter device: how a node is reached on which no module can run."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: device
short_description: How a node is reached on which no module can run
version_added: "0.1.0"
description:
  - Gives the option C(device) of the modules for a node that is a device, by its variable C(okiagari_device), or
    C(vyos) for a router of the platform V(vyos). A drill finds it out in the same way.
positional: _input
options:
  _input:
    description: The variables of the node.
    type: dict
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Leave nothing behind on a device
  okiagari.testbed.heal:
    device: "{{ hostvars[inventory_hostname] | okiagari.testbed.device }}"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The option C(device); empty for a node that modules run on.
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import OkiagariError
from ..module_utils.proxy.described import KEYS, described

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def device(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Give the modules' option for a node with these variables, without what isn't said."""
    try:
        found = described(str(variables.get("inventory_hostname")), {key: variables.get(key) for key in KEYS})
    except OkiagariError as error:
        raise AnsibleFilterError(str(error)) from error
    return {key: value for key, value in found.options.items() if value is not None} if found else {}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"device": device}
