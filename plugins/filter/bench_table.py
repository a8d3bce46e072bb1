# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters bench_table and bench_picture: what storage_bench has measured, as CSV and as SVG."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: bench_table
short_description: Measurements of storage as CSV, or with bench_picture as SVG
version_added: "0.1.0"
description:
  - Gives the rows of M(okiagari.testbed.storage_bench) of several runs as one table in CSV.
  - C(bench_picture) takes the same, and a heading, and gives a picture in SVG.
options:
  _input:
    description: The rows of each run, by the run's name.
    type: dict
    required: true
author:
  - Okiagari contributors (@okiagari)
"""

EXAMPLES = r"""
- name: Keep the table
  ansible.builtin.copy:
    dest: bench.csv
    content: "{{ {'normal': bench.rows} | okiagari.testbed.bench_table }}"
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The text of the file.
  type: str
"""

from typing import TYPE_CHECKING, Any

from ..plugin_utils.bench.files import picture, table

if TYPE_CHECKING:
    from collections.abc import Callable


class FilterModule:
    """The filters by their names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"bench_table": table, "bench_picture": picture}
