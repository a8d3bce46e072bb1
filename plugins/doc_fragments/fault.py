# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The options and attributes that all fault modules share."""

    DOCUMENTATION = r"""
options:
  lease:
    description:
      - How long the fault may stand, such as V(20s) or V(5min); a bare number is in seconds. Between 1 s and a day.
      - The target itself ends the fault when the lease ends, whatever has become of the controller.
      - Required for O(state=present). A fault that already stands gets a new lease.
    type: str
  id:
    description:
      - The name under which the target's journal keeps the fault.
      - By default it follows from the kind of fault and what it stands on.
    type: str
  state:
    description:
      - V(present) injects the fault, V(absent) undoes it.
    type: str
    choices: [present, absent]
    default: present
  on_controller:
    description:
      - Without this, a task whose connection is C(local), as when it is delegated to localhost, is refused unless it
        names a device or undoes a fault, because it would strike the controller itself.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and say what it would do, without changing the target.
    support: full
  diff_mode:
    description: Shows in diff mode what changed, or would change.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
    details:
      - The second run renews the lease, and reports that nothing has changed.
  platform:
    description: What it runs on.
    platforms: linux
    support: full
requirements:
  - Python 3.11 or later on the target
  - iproute2 and systemd on the target
notes:
  - Needs root on the target. Use C(become).
  - State that Okiagari has not made itself is never changed; if it stands in the way, the module fails and says so.
seealso:
  - module: okiagari.testbed.heal
"""
