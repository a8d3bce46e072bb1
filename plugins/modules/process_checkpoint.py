# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module process_checkpoint: capture a tree of processes while it runs, and have it go on from there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: process_checkpoint
short_description: Capture a tree of processes while it runs, and have it go on from there
version_added: "0.1.0"
description:
  - A lighter alternative to the checkpoint of a whole machine. CRIU writes a process and all that descend from it to a
    folder, with their memory, open files and sockets, and has them go on from there, later or at another host.
  - Each capture is an epoch of its own, whole and on the disk before it has its number.
  - What a host says of itself isn't trusted. Before anything else is captured or restored, once after each boot, a
    small tree of the module's own is captured and restored, and must go on exactly where it was. Where that isn't
    possible, the module says why.
  - How it works, and its limits, are in C(docs/reference/processes.md).
author:
  - Okiagari contributors (@okiagari)
options:
  state:
    description:
      - V(probed) only tells whether processes can be captured here.
      - V(captured) captures a tree into O(directory).
      - V(restored) has it go on from O(directory), apart from Ansible, in a PID namespace of its own, so that its old
        PIDs may be taken.
    choices: [probed, captured, restored]
    type: str
    required: true
  directory:
    description:
      - Where the epochs are. It has nothing else in it, and only root can read it, since memory may hold secrets.
      - Required unless O(state=probed).
    type: path
  pid:
    description: Captures this process and all that descend from it. Give this or O(unit).
    type: int
  unit:
    description: Captures the main process of this systemd unit and all that descend from it.
    type: str
  files:
    description:
      - Files and directories that are copied at the very same instant, while the tree stands still. Name what the
        program writes. Large ones make the pause longer, unless the file system can share blocks (XFS, Btrfs).
    type: list
    elements: path
    default: []
  keep:
    description: How many epochs are kept. An older one is removed only when a newer one is whole.
    type: int
    default: 2
  leave:
    description:
      - What becomes of the captured tree. V(running) lets it go on at once.
      - V(stopped) leaves it standing still (SIGSTOP); C(kill -CONT) lets it go on.
      - V(ended) ends it when the epoch is on the disk, for a planned move that loses nothing.
    choices: [running, stopped, ended]
    type: str
    default: running
  established_tcp:
    description:
      - With O(state=captured), captures established TCP connections too; without, a tree that has any is refused.
      - With O(state=restored), they go on as well, which needs the address that they had, and a tree that was captured
        with O(leave=ended). Without, the program finds them closed.
    type: bool
    default: false
  epoch:
    description: The epoch to go on from, the newest one by default.
    type: int
  overwrite:
    description:
      - Makes O(files) what they were in the epoch, where they are something else now. Without it that is refused.
        In directories, what wasn't there then is removed.
    type: bool
    default: false
  network:
    description:
      - The network namespace in which the tree goes on, by its name (C(ip netns)) or the path of its file. Required if
        the tree had one of its own.
    type: str
  output:
    description:
      - A file that takes, from the restored tree, what went to a pipe or to the journal. Its file is appended to.
    type: path
    default: /dev/null
  criu:
    description: The program CRIU.
    type: str
    default: criu
extends_documentation_fragment: okiagari.testbed.attributes
attributes:
  check_mode:
    support: full
    details:
      - The small tree of the module's own is captured and restored in check mode, too.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
requirements:
  - CRIU and util-linux on the target; Linux 6.16 and later needs CRIU 4.2 for programs with TCP or UDP sockets
  - Python 3.11 or later on the target
notes:
  - Needs root on the target. Use C(become).
  - That the tree runs nowhere else is only looked for at the host itself.
seealso:
  - module: okiagari.testbed.vm_checkpoint
  - module: okiagari.testbed.domain_checkpoint
"""

EXAMPLES = r"""
- name: See whether processes can be captured here
  okiagari.testbed.process_checkpoint:
    state: probed
  register: here

- name: Capture a service with its database, at one instant, and let it run on
  okiagari.testbed.process_checkpoint:
    state: captured
    unit: ledger.service
    directory: /var/lib/checkpoints/ledger
    files: [/var/lib/ledger]
  when: here.possible

- name: End it here for a planned move, with its connections
  okiagari.testbed.process_checkpoint:
    state: captured
    unit: ledger.service
    directory: /var/lib/checkpoints/ledger
    files: [/var/lib/ledger]
    leave: ended
    established_tcp: true

- name: Let it go on, where the directory was copied to
  okiagari.testbed.process_checkpoint:
    state: restored
    directory: /var/lib/checkpoints/ledger
    output: /var/log/ledger.log
"""

RETURN = r"""
possible:
  description: Whether a tree of processes was captured and restored here.
  returned: O(state=probed)
  type: bool
why:
  description: Why not, and what to do about it; empty if it is possible.
  returned: O(state=probed)
  type: str
  sample: "not here, because CRIU isn't installed: install the package criu"
established_tcp:
  description: Whether the same is C(possible) with an established TCP connection, and C(why) not.
  returned: O(state=probed)
  type: dict
pre_dump:
  description: Whether most of the memory is written before the tree stands still, which this kernel must support.
  returned: O(state=probed)
  type: bool
criu:
  description: CRIU's version; empty if there is none.
  returned: O(state=probed)
  type: str
kernel:
  description: The kernel's version.
  returned: O(state=probed)
  type: str
directory:
  description: Where the epochs are.
  returned: O(state=captured) and O(state=restored)
  type: str
epochs:
  description: The epochs that are there, oldest first.
  returned: O(state=captured) and O(state=restored)
  type: list
  elements: int
checkpoint:
  description:
    - What was captured. C(epoch) is its number; C(pause_ms) says for how long the tree stood still, by CRIU's own
      statistics; C(bytes), how large it is; C(processes), of how many processes.
  returned: O(state=captured), not in check mode
  type: dict
  sample: {epoch: 3, pause_ms: 21.4, bytes: 5788160, processes: 2, took_ms: 190.2}
restored:
  description:
    - What goes on. C(epoch) is where it was; C(pid), the PID that the first process has now, as the host sees it;
      C(took_ms), how long CRIU took.
  returned: O(state=restored), not in check mode
  type: dict
  sample: {epoch: 3, pid: 4711, took_ms: 160.0}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.desire import desired, probe
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.request import ARGUMENTS, request
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    runner = ModuleRunner(module)
    try:
        asked = request(module.params)
        if asked.state == "probed":
            module.exit_json(changed=False, **probe(runner, asked).to_dict())
        desire = desired(runner, asked)
        outcome = reconcile(
            "present",
            module.check_mode,
            read=desire.read,
            want=desire.want,
            create=desire.create,
        )
    except OkiagariError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=outcome.changed, **desire.said(), diff=outcome.diff())


if __name__ == "__main__":
    main()
