# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin `drill_reports`; there is nothing to run on a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_reports
short_description: The summary of all drills, and which reports are kept
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Makes C(index.html) in O(reports) anew, from the history of all runs. Every drill does so too when it ends.
  - With O(keep_runs), removes the folders of old runs. The last run of each drill that failed is kept, and so are the
    runs of the last O(keep_days) days. The history keeps its line of a run whose folder is gone.
  - Only folders that a drill wrote are removed, and none in which there is anything else.
options:
  reports:
    description:
      - Where the reports are. A relative one is taken from the nearest directory above the playbook with an
        C(ansible.cfg).
    type: path
    default: reports
  keep_runs:
    description: How many of the newest runs of each drill are kept. Without it nothing is removed.
    type: int
  keep_days:
    description: The runs of so many last days are kept too.
    type: int
    default: 0
attributes:
  check_mode:
    description: Only lists what it would remove.
    support: full
  diff_mode:
    description: Shows in diff mode which runs are, or would be, removed, and whether the summary is as it should be.
    support: full
  idempotent:
    description: A second run on the same day changes nothing. The summary has the year until today.
    support: full
seealso:
  - module: okiagari.testbed.drill
"""

EXAMPLES = r"""
- name: Keep the newest 30 runs of each drill, and all of the last 90 days
  okiagari.testbed.drill_reports:
    keep_runs: 30
    keep_days: 90
"""

RETURN = r"""
removed:
  description: The run folders that were, or in check mode would be, removed, below O(reports).
  returned: success
  type: list
  elements: str
  sample: [circuit_cut/20260521T020000Z]
page:
  description: The summary.
  returned: success
  type: str
  sample: /home/me/testbed/reports/index.html
"""
