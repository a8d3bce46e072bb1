# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a KVM host says of itself."""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .capacity import Capacity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FACTS = Path("/etc/ansible/facts.d/okiagari.fact")
_LOCK = Path("/run/okiagari-machines.lock")
_NO_LIMIT = 1 << 30


def published(path: Path = FACTS) -> Mapping[str, Any]:
    """Give the capacity that the role kvm_host has published on this host; empty when there is none."""
    try:
        found = json.loads(path.read_text()).get("capacity")
    except (OSError, ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def capacity_of(given: Mapping[str, Any] | None, only_look: bool = False) -> Capacity:
    """Give the host's capacity, as given or as published.

    With `only_look` (check mode) a host that isn't made ready yet has no limit.
    """
    facts = given or published()
    if not facts and only_look:
        return Capacity(_NO_LIMIT, _NO_LIMIT, _NO_LIMIT)
    return Capacity.from_dict(facts)


@contextmanager
def alone() -> Iterator[None]:
    """Let one run at a time decide what fits on this host."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
