# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a project is on the controller."""

from __future__ import annotations

from pathlib import Path


def in_project(playbook: str, name: str) -> Path:
    """Give the path `name`; a relative one is below the nearest folder above the playbook with an ansible.cfg."""
    folder = Path(playbook).resolve()
    project = next((path for path in (folder, *folder.parents) if (path / "ansible.cfg").is_file()), Path.cwd())
    return (project / Path(name).expanduser()).resolve()
