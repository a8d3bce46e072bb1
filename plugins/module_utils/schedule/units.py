# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schedule as systemd units: one service for all drills, and for each a timer and a drop-in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .request import Schedule, ScheduledDrill

UNITS = "/etc/systemd/system"
PRUNE = (
    f"{UNITS}/okiagari-schedule-*.timer",
    f"{UNITS}/okiagari-schedule@*.service.d/drill.conf",
    f"{UNITS}/okiagari-schedule*@.service",
)
"""Everything that is ours. It isn't called okiagari-drill: that is a running drill on a target, which heal removes."""

REFUSED = 75
"""What a drill leaves with that may not run now: nothing is wrong with the system (EX_TEMPFAIL)."""

_KILL_S = 60


def timer_name(drill: str) -> str:
    """Give the name of a drill's timer."""
    return f"okiagari-schedule-{drill}.timer"


def files(schedule: Schedule) -> list[dict[str, str]]:
    """Give the files of the schedule for the module config_files; none if nothing is scheduled."""
    if not schedule.drills:
        return []
    contents = {f"{UNITS}/okiagari-schedule@.service": _service(schedule)}
    if schedule.on_failure:
        contents[f"{UNITS}/okiagari-schedule-failed@.service"] = _hook(schedule)
    for drill in schedule.drills:
        contents[f"{UNITS}/{timer_name(drill.name)}"] = _timer(drill)
        contents[f"{UNITS}/okiagari-schedule@{drill.name}.service.d/drill.conf"] = _drop_in(drill)
    due = [{"name": drill.name, "at": drill.at} for drill in schedule.drills]
    listed = {
        "path": f"{schedule.reports}/schedule.json",
        "content": json.dumps(due, indent=1) + "\n",
        "owner": schedule.user,
    }
    return [*({"path": path, "content": content} for path, content in contents.items()), listed]


def _service(schedule: Schedule) -> str:
    hook = "OnFailure=okiagari-schedule-failed@%i.service\n" if schedule.on_failure else ""
    keep = json.dumps({"reports": schedule.reports, "keep_runs": schedule.keep_runs, "keep_days": schedule.keep_days})
    return f"""\
[Unit]
Description=Okiagari drill %i
Wants=network-online.target
After=network-online.target
{hook}
[Service]
Type=oneshot
User={schedule.user}
WorkingDirectory={_literal(schedule.project)}
Environment=OKIAGARI_REFUSED_EXIT_CODE={REFUSED}
SuccessExitStatus={REFUSED}
# A drill that is due while another one runs waits for its turn; its time counts from then on.
TimeoutStartSec=infinity
TimeoutStopSec=5min
ExecStart=flock --close {_word(schedule.project)} \\
    timeout --kill-after={_KILL_S} ${{DRILL_TIMEOUT}} {_word(schedule.command)} ${{DRILL_PLAYBOOK}}
ExecStopPost={_word(schedule.command)} okiagari.testbed.reports -e {_word(keep)}
"""


def _hook(schedule: Schedule) -> str:
    return f"""\
[Unit]
Description=What is done when the Okiagari drill %i has failed

[Service]
Type=oneshot
User={schedule.user}
WorkingDirectory={_literal(schedule.project)}
Environment=DRILL=%i
ExecStart=/bin/sh -c {_word(schedule.on_failure)}
"""


def _timer(drill: ScheduledDrill) -> str:
    return f"""\
[Unit]
Description=When the Okiagari drill {drill.name} runs

[Timer]
Unit=okiagari-schedule@{drill.name}.service
OnCalendar={_literal(drill.at)}
RandomizedDelaySec={drill.random_delay_s:g}
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
"""


def _drop_in(drill: ScheduledDrill) -> str:
    playbook = _quoted(f"DRILL_PLAYBOOK={drill.playbook}")
    return f"""\
[Service]
Environment=DRILL_TIMEOUT={drill.timeout_s:g} {playbook}
"""


def _literal(text: str) -> str:
    """Write a text as a whole value."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """Write a text as one of several words of a value."""
    escaped = _literal(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _word(text: str) -> str:
    """Write a text as one word of a command line, in which variables are replaced too."""
    return _quoted(text).replace("$", "$$")
