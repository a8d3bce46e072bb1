# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs random schedules of faults against simulated agents: never two servers, and one again in time.

The schedules are those of the unit tests, which run a thousand of them; here are as many more as one likes. Nothing
but processors is needed.

    python tests/contract/partition_schedules.py --rounds 20000 [--seed N] [--workers N]
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.authority.schedules import Outcome, run


def one(seed: str) -> Outcome:
    """Run the schedule with this seed; what doesn't hold is told with it."""
    try:
        return run(seed)
    except AssertionError as error:
        raise AssertionError(f"schedule {seed}: {error}") from error


def soak(rounds: int, seed: int, workers: int) -> list[Outcome]:
    """Run so many schedules, each with a seed of its own; raise `AssertionError` with the seed of one that fails."""
    with ProcessPoolExecutor(workers) as pool:
        try:
            return list(pool.map(one, [f"{seed} {each}" for each in range(rounds)], chunksize=20))
        except AssertionError:
            pool.shutdown(cancel_futures=True)
            raise


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    outcomes = soak(asked.rounds, asked.seed, asked.workers)
    recovered = sorted(outcome.recovered_s for outcome in outcomes)
    print(
        f"{asked.rounds} schedules, never two servers; the service ran {sum(each.runs for each in outcomes)} times in "
        f"{sum(each.terms for each in outcomes)} terms; from a connected majority to a server that stays: median "
        f"{recovered[len(recovered) // 2]:.1f} s, 99 % within {recovered[len(recovered) * 99 // 100]:.1f} s, at most "
        f"{recovered[-1]:.1f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
