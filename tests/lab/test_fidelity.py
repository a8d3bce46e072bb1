# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fidelity: impairments as asked for, as the kernel counts them, and as numbered packets show them on the wire.

The packets run between two namespaces of one node, so that one clock measures both ends (see `fidelity_rig`). The table
is printed, and kept in build/fidelity.json.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.target import bundle
from ansible_collections.okiagari.testbed.tests.lab import fidelity_rig
from ansible_collections.okiagari.testbed.tests.lab.default_lab import PROJECT, DefaultLab

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

NODE = "hiroshima-r1"
SURE = 3.9
"""Standard errors: an honest share lies outside of them once in ten thousand times."""


def tolerance(kind: str, asked: float) -> float:
    """Give how far the measured value may be from the one asked for, in its unit."""
    if kind == "delay":
        return max(1.0, 0.02 * asked)
    if kind == "rate":
        return 0.03 * asked
    count = fidelity_rig.PROBES[kind][0]
    if kind == "jitter":
        # What the median of the chunks' quartiles tells of the deviation, and half a millisecond for the node itself.
        return 0.5 + SURE * 1.25 * 1.17 * asked / math.sqrt(count)
    share = asked / 100
    return 100 * (SURE * math.sqrt(share * (1 - share) / count) + 1 / count)


@pytest.fixture(scope="module")
def table() -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    yield rows
    print(f"\n{'':<10} {'asked':>9} {'measured':>10} {'error':>9} {'allowed':>9}")
    for each in rows:
        figures = f"{each['measured']:>10.3f} {each['error']:>9.3f} {each['allowed']:>9.3f}"
        print(f"{each['kind']:<10} {each['asked']:>9g} {figures}")
    path = PROJECT / "build" / "fidelity.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"schema": "okiagari.fidelity/1", "rows": rows}, indent=1))


def measured(kind: str) -> list[dict[str, Any]]:
    """Give the lines that the rig prints for a kind."""
    lab = DefaultLab()
    rig = (PROJECT / "tests" / "lab" / "fidelity_rig.py").read_bytes()
    for name, content in (("fidelity.pyz", bundle()), ("fidelity_rig.py", rig)):
        assert lab.ssh(NODE, f"cat > /run/{name}", content).returncode == 0
    done = lab.ssh(NODE, f"python3 -I -S -B /run/fidelity_rig.py /run/fidelity.pyz {kind}", timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", fidelity_rig.ASKED)
def test_what_is_asked_for_is_on_the_wire(kind: str, table: list[dict[str, Any]]) -> None:
    rows = measured(kind)
    for each in rows:
        each.update(error=each["measured"] - each["asked"], allowed=tolerance(kind, each["asked"]))
    table += rows
    assert len(rows) == 10
    assert [each for each in rows if abs(each["error"]) > each["allowed"]] == []


def test_only_the_described_packets_are_struck() -> None:
    rows = measured("only")
    assert len(rows) == len(fidelity_rig.SCOPES)
    for each in rows:
        assert each["before"] == each["after"] == [50, 50], each
        assert (each["struck"], each["spared"]) == (0, 50), each
