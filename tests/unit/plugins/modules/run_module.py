# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module's `main` as Ansible does, and read what it answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.testing import patch_module_args

if TYPE_CHECKING:
    from collections.abc import Callable


def run_module(
    main: Callable[[], None], capsys: pytest.CaptureFixture[str], check: bool = False, **options: Any
) -> dict[str, Any]:
    """Give the answer of a module; it may be a failure."""
    with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer
