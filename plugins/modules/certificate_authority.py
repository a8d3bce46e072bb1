# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module certificate_authority: certificates for hosts that have to believe each other."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: certificate_authority
short_description: Certificates for hosts that have to believe each other
version_added: "0.1.0"
description:
  - Keeps a certificate authority of its own in a private folder, and issues a certificate to each name.
  - Runs on the controller. Needs C(openssl).
  - A certificate that is good for another month stays, or for another third of O(days) where that is less.
  - A lost one is issued anew, and so is one whose addresses are not those that are wanted. The diff says why.
author:
  - Okiagari contributors (@okiagari)
options:
  directory:
    description:
      - The authority's folder. Only its owner can read it.
      - It gets C(ca.pem), C(ca.key), C(NAME.pem) and C(NAME.key) for each name.
      - What was revoked is on its list C(crl.pem), which is there from the beginning.
    type: path
    required: true
  names:
    description: Who gets a certificate.
    type: list
    elements: str
    required: true
  subject:
    description: The name of the authority itself, which it gets when it is made.
    type: str
    default: Okiagari
  addresses:
    description: IP addresses of names (name to list of addresses), for which their certificates shall be good, too.
    type: dict
    default: {}
  days:
    description: How long a certificate is good.
    type: int
    default: 3650
  renew:
    description:
      - The names that get another certificate and key now, whatever theirs is like. Each run with it issues them anew.
      - The old one stays good until it ends, so that it can be replaced without a gap.
    type: list
    elements: str
    default: []
  revoked:
    description:
      - The names whose certificates, all that they ever got, are put on the list C(crl.pem). They get no new one.
      - A name that is taken off this list again gets a new certificate; the old ones stay revoked.
    type: list
    elements: str
    default: []
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
  okiagari.testbed.certificate_authority:
    directory: ~/.local/state/okiagari/storage
    names: "{{ groups.kvm_hosts }}"
  delegate_to: localhost
  run_once: true

- name: Replace one key, and believe a stolen host no more
  okiagari.testbed.certificate_authority:
    directory: ~/.local/state/okiagari/agents
    names: [a-kvm1, b-kvm1]
    addresses:
      a-kvm1: [192.0.2.1]
    renew: [a-kvm1]
    revoked: [c-kvm1]
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
names:
  description: Who has a certificate.
  returned: always
  type: list
  elements: str
issued:
  description: Who of them got it now, and why.
  returned: always
  type: dict
  sample: {a-kvm1: there is none, b-kvm1: it ends within 30 days}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.certificates import Authority, Wish, issued
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "subject": {"type": "str", "default": "Okiagari"},
            "addresses": {"type": "dict", "default": {}},
            "days": {"type": "int", "default": 3650},
            "renew": {"type": "list", "elements": "str", "default": []},
            "revoked": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    wish = Wish(**{key: params[key] for key in Wish._fields})
    try:
        authority = Authority(ModuleRunner(module), Path(params["directory"]), params["names"], wish)
        for sentence in authority.strangers():
            module.warn(sentence)
        outcome = reconcile(
            "present",
            module.check_mode,
            read=authority.read,
            want=authority.want,
            create=authority.create,
            remove=authority.remove,
        )
        names = sorted(outcome.after["certificates"])
        module.exit_json(changed=outcome.changed, names=names, issued=issued(outcome), diff=outcome.diff())
    except OkiagariError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
