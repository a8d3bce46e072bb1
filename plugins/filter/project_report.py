# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter project_report: which machines of a project answer."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: project_report
short_description: Which machines of a project answer, and when they did
version_added: "0.1.0"
description:
  - Puts together what the module M(okiagari.testbed.arp_wait) has heard on each KVM host.
positional: _input, said
options:
  _input:
    description: The project's record.
    type: dict
    required: true
  said:
    description: What the module answered, by host.
    type: dict
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Show who answers
  ansible.builtin.debug:
    msg: "{{ (decision.project | okiagari.testbed.project_report({inventory_hostname: heard})).text }}"
"""

RETURN = r"""
_value:
  description:
    - C(rows), one for each machine, with C(after) in seconds, or null if somebody doesn't hear it.
    - C(silent), the names of those that don't answer everyone, and C(text), the table.
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ..module_utils.project.report import answered, machine_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def project_report(record: Mapping[str, Any], said: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    rows = answered(record, said)
    silent = [row["machine"] for row in rows if row["after"] is None]
    return {"rows": rows, "silent": silent, "text": machine_table(rows)}


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"project_report": project_report}
