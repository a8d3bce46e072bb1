# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module storage_authority: certificates for the members of a storage cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: storage_authority
short_description: Certificates for the members of a storage cluster
version_added: "0.1.0"
description:
  - Keeps a certificate authority of its own in a private folder, and issues a certificate to each name.
  - Runs on the controller. Needs C(openssl).
  - A certificate that is good for another month stays; a lost or expired one is issued anew.
author:
  - Okiagari contributors (@okiagari)
options:
  directory:
    description:
      - The authority's folder. Only its owner can read it.
      - It gets C(ca.pem), C(ca.key), and C(NAME.pem) and C(NAME.key) for each name.
    type: path
    required: true
  names:
    description: Who gets a certificate.
    type: list
    elements: str
    required: true
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
- name: Have a certificate for each member
  okiagari.testbed.storage_authority:
    directory: ~/.local/state/okiagari/storage
    names: "{{ groups.kvm_hosts }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
names:
  description: Who has a certificate.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.authority import Authority


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        authority = Authority(ModuleRunner(module), Path(params["directory"]), params["names"])
        outcome = reconcile(
            "present",
            module.check_mode,
            read=authority.read,
            want=authority.want,
            create=authority.create,
            remove=authority.remove,
        )
        module.exit_json(changed=outcome.changed, names=outcome.after["names"], diff=outcome.diff())
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
