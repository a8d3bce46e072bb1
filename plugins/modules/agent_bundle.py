# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: agent_bundle
short_description: The resident agent as one file for hosts
version_added: "0.1.0"
description:
  - Puts the agent, and what it needs from the Python package index, into one archive, and keeps it in a cache.
  - Runs on the controller. Hosts need no way to the package index.
author:
  - Okiagari contributors (@okiagari)
options:
  requirements:
    description: The files that say what it needs from the package index.
    type: list
    elements: path
    required: true
  python:
    description: The hosts' version of Python, 3.11 or newer.
    type: str
    required: true
  machine:
    description: The hosts' kind of processor, as C(uname -m) says it.
    type: str
    required: true
  cache:
    description: Where archives are kept; by default the folder C(agent) beside the lab's images, in the user's cache.
    type: path
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
- name: Have the agent for these hosts
  okiagari.testbed.agent_bundle:
    requirements: ["{{ role_path }}/files/requirements.txt"]
    python: "3.13"
    machine: x86_64
  register: bundle
"""

RETURN = r"""
path:
  description: The archive.
  returned: always
  type: str
version:
  description: What tells this agent from others, with the Python and the machine that it is for.
  returned: always
  type: str
"""
