# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter project_overview: who holds what."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: project_overview
short_description: Who holds what of the testbed, and what is free
version_added: "0.1.0"
description:
  - Gives a text with what each project holds, and what is free on each KVM host.
positional: _input, capacities
options:
  _input:
    description: The records of all projects.
    type: list
    elements: dict
    required: true
  capacities:
    description: What each KVM host can carry, as the module M(okiagari.testbed.project) takes it.
    type: dict
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Show who holds what
  ansible.builtin.debug:
    msg: "{{ held.records | okiagari.testbed.project_overview({'hiroshima-kvm1': held.capacity}) }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from typing import TYPE_CHECKING, Any

from ..module_utils.project.report import overview

if TYPE_CHECKING:
    from collections.abc import Callable


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"project_overview": overview}
