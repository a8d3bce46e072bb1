# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which the sites of a testbed approve drills, a file for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...module_utils.drill.permission import Approval, Approvals, read_approvals
from ...module_utils.errors import BadInput, Problem
from ...module_utils.suggest import nearest
from ...module_utils.topology.load import parse_file
from ...module_utils.topology.schema import Problems

if TYPE_CHECKING:
    from collections.abc import Collection


def read(folder: str, sites: Collection[str]) -> Approvals:
    """Read the files of all `sites`; a folder that isn't there approves nothing.

    Raises `BadInput` with all mistakes of all files.
    """
    found: dict[str, tuple[Approval, ...]] = {}
    wrong: list[Problem] = []
    for path in sorted(Path(folder).glob("[!.]*.y*ml")):
        problems = Problems(str(path))
        wanted = path.stem if path.stem in sites else nearest(path.stem, sites)
        if path.name != f"{wanted}.yml":
            message = f"is not the file of a site: there are {', '.join(f'{site}.yml' for site in sites)}"
            wrong.append(Problem(str(path), None, "", message, wanted and f"{wanted}.yml"))
            continue
        item = parse_file(path, problems)
        if item is not None:
            found[path.stem] = read_approvals(item, problems)
        wrong += problems.found
    if wrong:
        raise BadInput(wrong)
    return Approvals(folder, found)
