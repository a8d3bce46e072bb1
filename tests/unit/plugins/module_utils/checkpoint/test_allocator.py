# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Page faults of a process that uses arrays again and again."""

from __future__ import annotations

import os
import subprocess
import sys

USED_AGAIN = """
import resource, sys
import numpy as np
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.allocator import keep_memory
if sys.argv[1] == "keeps":
    keep_memory()
np.ones(4 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _time in range(20):
    np.ones(4 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_an_array_s_memory_is_there_for_the_next_one() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    faults = {
        each: int(subprocess.check_output([sys.executable, "-c", USED_AGAIN, each], text=True, env=environment))
        for each in ("keeps", "gives back")
    }
    assert faults["keeps"] < faults["gives back"] / 4
