# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lab_image
short_description: Build an image for the lab, once
version_added: "0.1.0"
description:
  - Builds an image from a recipe (the Debian of nodes or of guests) and keeps it under the hash of that recipe.
  - Runs on the controller and shows its progress. Needs only Debian's packages.
  - The cache is C(~/.cache/okiagari/images), or below E(OKIAGARI_CACHE).
author:
  - Okiagari contributors (@okiagari)
options:
  recipe:
    description: The recipe's folder. It holds a program C(build).
    type: path
    required: true
  mirror:
    description: The Debian mirror to build from.
    type: str
    default: http://deb.debian.org/debian
  suite:
    description: The Debian release of the image.
    type: str
    default: trixie
  title:
    description: What the image is called in messages.
    type: str
    default: node image
  programs:
    description:
      - The programs that the recipe needs on the controller, each with the Debian package that has it.
      - The default is what the recipe of the nodes needs.
    type: dict
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
- name: Have the node image
  okiagari.testbed.lab_image:
    recipe: "{{ role_path }}/files"
  register: node_image
"""

RETURN = r"""
path:
  description: Where the image is.
  returned: always
  type: str
  sample: /root/.cache/okiagari/images/1f2e3d4c5b6a7988
"""
