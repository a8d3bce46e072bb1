# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cell of the table state x stands x check mode."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("state", "stands", "calls"),
    [("present", {}, ["create"]), ("present", {"x": 1}, ["keep"]), ("present", {"x": 2}, ["create"]),
     ("absent", {}, ["keep"]), ("absent", {"x": 1}, ["remove"])],
)  # fmt: skip
def test_reconcile(state: str, stands: dict[str, Any], calls: list[str], check_mode: bool) -> None:
    thing, called = dict(stands), []

    def act(name: str, content: dict[str, Any] | None) -> None:
        called.append(name)
        if content is not None:
            thing.clear()
            thing.update(content)

    outcome = reconcile(
        state,
        check_mode,
        read=lambda: dict(thing),
        want=lambda: {"x": 1},
        create=lambda: act("create", {"x": 1}),
        remove=lambda: act("remove", {}),
        keep=lambda: act("keep", None),
    )
    assert called == ([] if check_mode else calls)
    wanted = {"x": 1} if state == "present" else {}
    assert (outcome.changed, outcome.before, outcome.after) == (calls != ["keep"], stands, wanted)
    assert outcome.diff() == {"before": stands, "after": wanted}
