# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's file: made from the history, what is scheduled, and which run folders are still there."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..drill import history
from ..report.files import replace
from . import runs
from .due import analyze, due
from .page import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from .runs import Run
INDEX = "index.html"


def page_of(reports: Path, now: datetime) -> str:
    """Give the page of all runs of these reports; equal histories give equal pages on the same day."""
    return render(runs.read(history.runs(reports)), now, due(reports, now, analyze), _link(reports))


def write_page(reports: Path, now: datetime) -> None:
    """Make the page anew. It is complete or as it was, and never older than one that somebody else makes."""
    with _alone(reports):
        replace(reports / INDEX, page_of(reports, now))


def _link(reports: Path) -> Callable[[Run], str]:
    def link(run: Run) -> str:
        page = f"{run.folder}/report.html"
        return page if run.folder and (reports / page).is_file() else ""

    return link


@contextmanager
def _alone(reports: Path) -> Iterator[None]:
    descriptor = os.open(reports, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
