# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module domain_checkpoint: capture a domain of libvirt while it runs, and have libvirt begin it again from there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: domain_checkpoint
short_description: Capture a domain of libvirt while it runs, and have libvirt begin it again from there
version_added: "0.1.0"
description:
  - Captures the memory, the devices and every disk of a running domain at one instant, into a folder of epochs, while
    it runs. Each epoch changes the one before; of older ones only what differs is kept.
  - The domain may be anybody's, as long as it is named. It goes on whatever happens, and nothing of the capture stays
    in its QEMU; should the module be killed in the middle, a process that it began sees to that.
  - An epoch is begun by libvirt itself, from a save image as C(virsh restore) takes it, here or at another host to
    which the folder was copied. Then it is a domain like any other.
  - What a host says of itself isn't trusted. Before anything else is captured or restored, once after each boot, a
    small domain of the module's own is captured and restored, and must go on where it was. Where that isn't possible,
    the module says why.
  - How it works, and its limits, are in C(docs/reference/domains.md).
author:
  - Okiagari contributors (@okiagari)
options:
  state:
    description:
      - V(probed) only tells whether domains can be captured here.
      - V(captured) captures the domain O(name) into O(folder).
      - V(restored) begins the domain whose epochs are in O(folder), with images of its disks in O(disks).
      - V(query) only tells which epochs there are.
    choices: [probed, captured, restored, query]
    type: str
    required: true
  folder:
    description:
      - Where the epochs are. It has nothing else in it, and nobody else can read it, since memory may hold secrets.
      - Required unless O(state=probed).
    type: path
  name:
    description:
      - The domain. Required with O(state=captured); with O(state=restored) the epochs have to be of that name.
    type: str
  uri:
    description: The libvirt, as C(virsh --connect) takes it; by default whichever virsh itself takes.
    type: str
  keep:
    description: How many epochs are kept. An older one is removed only when a newer one is whole.
    type: int
    default: 2
  timeout:
    description: How many seconds a capture may take, before it is given up; and so may copying the disks.
    type: int
    default: 600
  epoch:
    description: The epoch to begin from, the newest one by default.
    type: int
  disks:
    description:
      - A folder for the images of the disks, C(NAME-vda.qcow2) and so on, of the formats that they had. It is made if
        need be. The files from which the domain ran aren't touched.
    type: path
  overwrite:
    description: Replaces images in O(disks) that are there already. Without it that is refused.
    type: bool
    default: false
  paused:
    description: Leaves the domain standing still when it is there; C(virsh resume) lets it go on.
    type: bool
    default: false
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
    details:
      - The small domain of the module's own is captured and restored in check mode, too.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
requirements:
  - libvirt 8.2 or later, with virsh, and QEMU 6 or later on the target
  - qemu-img on the target
  - Python 3.11 or later on the target, with numpy, xxhash, zstandard and cryptography
notes:
  - Needs the rights that C(virsh) needs there; for C(qemu:///system) use C(become).
  - That the domain runs nowhere else is only looked for at the host itself.
seealso:
  - module: okiagari.testbed.vm_checkpoint
  - module: okiagari.testbed.process_checkpoint
"""

EXAMPLES = r"""
- name: See whether domains can be captured here
  okiagari.testbed.domain_checkpoint:
    state: probed
  register: here

- name: Capture a domain, and let it run on
  okiagari.testbed.domain_checkpoint:
    state: captured
    name: ledger
    folder: /var/lib/checkpoints/ledger

- name: See which epochs there are
  okiagari.testbed.domain_checkpoint:
    state: query
    folder: /var/lib/checkpoints/ledger
  register: ledger

- name: Begin it again, where its host is lost and the folder was copied to
  okiagari.testbed.domain_checkpoint:
    state: restored
    folder: /var/lib/checkpoints/ledger
    disks: /var/lib/libvirt/images/ledger
"""

RETURN = r"""
possible:
  description: Whether a domain was captured and restored here.
  returned: O(state=probed)
  type: bool
why:
  description: Why not, and what to do about it; empty if it is possible.
  returned: O(state=probed)
  type: str
  sample: "not here, because /usr/bin/python3 lacks libraries: apt install python3-xxhash"
way:
  description:
    - How domains are captured here. V(background), while they run, but for the devices; V(stop_stream), while they
      stand still, so that it takes longer the more memory they use. Empty if it isn't possible.
  returned: O(state=probed)
  type: str
pause_ms:
  description: For how long the small domain stood still.
  returned: O(state=probed)
  type: float
folder:
  description: Where the epochs are.
  returned: all states but O(state=probed)
  type: str
name:
  description: The domain of which they are; empty if there are none.
  returned: all states but O(state=probed)
  type: str
epochs:
  description:
    - The epochs that are there, oldest first. C(age_s) is for how many seconds the domain has run since.
  returned: all states but O(state=probed)
  type: list
  elements: dict
  sample: [{epoch: 3, age_s: 61.2, memory_bytes: 1073741824, disks: {vda: 10737418240}}]
bytes:
  description: How many bytes of the disk all of them take together.
  returned: all states but O(state=probed)
  type: int
checkpoint:
  description:
    - What was captured. C(epoch) is its number; C(pause_ms) says for how long the domain stood still, and C(way) how it
      was captured; C(bytes), how large what differed from the epoch before is.
  returned: O(state=captured), not in check mode
  type: dict
  sample: {epoch: 3, pause_ms: 21.4, way: background, bytes: 48211, took_ms: 1840.7}
restored:
  description:
    - What goes on. C(epoch) is where it was, and C(disks) are its images.
  returned: O(state=restored), not in check mode and only if it was begun
  type: dict
  sample: {epoch: 3, name: ledger, disks: {vda: /var/lib/libvirt/images/ledger/ledger-vda.qcow2}, took_ms: 900.1}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.desire import desired, probe, queried
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.request import ARGUMENTS, request
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    runner = ModuleRunner(module)
    try:
        asked = request(module.params)
        if asked.state == "probed":
            module.exit_json(changed=False, **probe(runner, asked).to_dict())
        if asked.state == "query":
            module.exit_json(changed=False, **queried(asked))
        desire = desired(runner, asked)
        outcome = reconcile(
            "present",
            module.check_mode,
            read=desire.read,
            want=desire.want,
            create=desire.create,
        )
        said = desire.said()
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=outcome.changed, **said, diff=outcome.diff())


if __name__ == "__main__":
    main()
