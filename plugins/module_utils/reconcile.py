# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that knows `state`, check mode and diff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Content = Mapping[str, Any]


class Outcome(NamedTuple):
    """What a reconcile step did, or in check mode would do. An empty `before` or `after` means absent."""

    changed: bool
    before: Content
    after: Content

    def diff(self) -> dict[str, Content]:
        """Give the step as Ansible's diff mode shows it."""
        return {"before": self.before, "after": self.after}


def reconcile(
    state: str,
    check_mode: bool,
    *,
    read: Callable[[], Content],
    want: Callable[[], Content],
    create: Callable[[], object],
    remove: Callable[[], object] = lambda: None,
    keep: Callable[[], object] = lambda: None,
) -> Outcome:
    """Bring a thing to `state` (present or absent) and say what changed.

    `read` gives what stands (empty: nothing) and `want` what shall stand; both only look and may raise to refuse, and
    both are also called in check mode. `create`, `remove` and `keep` act, and are never called in check mode; `keep` is
    for a thing that is already as wanted, to renew its lease for example. What can't become absent has no `remove`.
    """
    before = read()
    after = want() if state == "present" else {}
    act = keep if before == after else create if state == "present" else remove
    if not check_mode:
        act()
        after = read()
    return Outcome(act is not keep, before, after)
