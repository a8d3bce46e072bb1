# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter schedule_units: the systemd units of drills that run unattended."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: schedule_units
short_description: The systemd units of drills that run unattended
version_added: "0.1.0"
description:
  - Gives the files that make drills run at their instants, after everything that was asked for has been checked.
  - Whether systemd understands the instants, only C(systemd-analyze calendar) on the host knows.
positional: _input, settings
options:
  _input:
    description:
      - The drills, each with C(name), C(playbook) and C(at), and perhaps with C(random_delay) and C(timeout).
    type: list
    elements: dict
    required: true
  settings:
    description:
      - How they run, by C(project), C(user), C(command), C(reports), C(keep_runs), C(keep_days) and C(on_failure). The
        role C(drill_schedule) says what these are.
    type: dict
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Write the units
  okiagari.testbed.config_files:
    files: "{{ units.files }}"
    prune: "{{ units.prune }}"
  vars:
    units: "{{ drills | okiagari.testbed.schedule_units(settings) }}"
"""

RETURN = r"""
_value:
  description:
    - C(files) and C(prune) for M(okiagari.testbed.config_files).
    - C(timers), the names of the timers, and C(instants), the calendar expressions in the same order.
    - C(reports), the folder of the reports.
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import OkiagariError
from ..module_utils.schedule import PRUNE, files, read, timer_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def schedule_units(drills: object, settings: Mapping[str, object]) -> dict[str, Any]:
    try:
        schedule = read(drills, settings)
    except OkiagariError as error:
        raise AnsibleFilterError(f"The schedule is refused, and nothing was done.\n{error}") from error
    return {
        "files": files(schedule),
        "prune": [*PRUNE, f"{schedule.reports}/schedule.json"],
        "timers": [timer_name(drill.name) for drill in schedule.drills],
        "instants": [drill.at for drill in schedule.drills],
        "reports": schedule.reports,
    }


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"schedule_units": schedule_units}
