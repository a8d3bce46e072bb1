# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make report.html and junit.xml again from the report.json of a run's directory."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .files import write_reports


def main(arguments: list[str] | None = None) -> int:
    """0: written; 2: there is no readable report in the directory."""
    parser = argparse.ArgumentParser(prog="okiagari_report", description=__doc__)
    parser.add_argument("directory", type=Path, help="a run's directory, which holds report.json")
    directory: Path = parser.parse_args(arguments).directory
    source = directory / "report.json"
    try:
        report = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"okiagari_report: cannot read {source}: {error}", file=sys.stderr)
        return 2
    if not isinstance(report, dict):
        print(f"okiagari_report: {source} holds no report", file=sys.stderr)
        return 2
    write_reports(report, directory)
    print(directory / "report.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
