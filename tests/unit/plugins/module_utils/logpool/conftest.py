# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Event

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN = 1_795_262_400.0


@pytest.fixture
def event() -> Callable[..., Event]:
    """Make an event from what matters about it."""

    def make(sequence: int = 1, **known: Any) -> Event:
        usual = {"origin": "naist-kvm1/r1", "time": BEGIN, "trace": "", "host": "naist-kvm1", "source": "agent"}
        return Event(**{**usual, "sequence": sequence, "values": {}, **known})

    return make
