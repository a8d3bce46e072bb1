# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the tally in a guest, and what its record proves when the guest has gone on elsewhere.

    client.py ask HOST PORT               exits with 0 if the tally answers
    client.py count HOST PORT RECORD      has it count, again and again, until SIGTERM, and notes each answer
    client.py judge RECORD MOVES          says what the record proves: JSON, and exits with 1 if something is wrong

A note is a line `ASKED ANSWERED COUNT`, in seconds since the epoch. MOVES is a list of JSON: for each time that a host
collected the guest's state, [the instant, the instant in which the committed state was captured]. The client is the
only one that counts.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from itertools import pairwise

PATIENCE_S = 60.0
ANSWER_S = 5.0
"""A guest that is captured answers when it goes on; the first time after it has gone on elsewhere takes longest."""
REST_S = 0.05
CLOCKS_S = 0.1
"""How far the clocks of two hosts may be apart."""


def ask(host: str, port: int, line: str, patience_s: float) -> str:
    with socket.create_connection((host, port), patience_s) as connection, connection.makefile("rw") as file:
        connection.settimeout(patience_s)
        file.write(f"{line}\n")
        file.flush()
        return file.readline().strip()


def count(host: str, port: int, path: str) -> None:
    with open(path, "w", buffering=1, encoding="ascii") as record:  # noqa: PTH123
        while True:
            asked = time.time()
            try:
                said = ask(host, port, "incr", PATIENCE_S).split()
            except OSError:
                said = []
            # A connection that was open when the guest was lost is closed: whether it counted isn't known.
            if said[:1] == ["ok"]:
                record.write(f"{asked:.3f} {time.time():.3f} {said[1]}\n")
            time.sleep(REST_S)


def judge(notes: list[tuple[float, float, int]], moves: list[tuple[float, float]]) -> dict[str, object]:
    """Say where the count fell, how long nobody answered, and what of it is wrong.

    A guest that goes on from a captured state counts on from what it had counted then. So the count falls where the
    guest has moved, by no more than what was answered since the capture of the committed state, and nowhere else.
    """
    if len(notes) < 2:
        return {"answers": len(notes), "wrong": ["next to nothing was answered"]}
    wrong: list[str] = []
    if not any(notes[0][0] <= at <= notes[-1][1] for at, _captured in moves):
        wrong.append("the guest has not moved while the client counted: nothing is proved")
    there: list[tuple[float, float, int]] = []
    counted_in_vain, vain_s = 0, 0.0
    for note in notes:
        lost: list[tuple[float, float, int]] = []
        before = there[-1] if there else note
        while there and there[-1][2] >= note[2]:
            lost.insert(0, there.pop())
        there.append(note)
        if not lost:
            continue
        # What it had counted without an answer is in the first count, too.
        moved = [captured for at, captured in moves if before[1] - CLOCKS_S <= at <= note[1] + CLOCKS_S]
        if not moved:
            wrong.append(
                f"the count fell at {note[1]:.3f}, and the guest had not moved: two of them count, or one twice"
            )
        elif gone := [each for each in lost if each[1] < max(moved) - CLOCKS_S]:
            wrong.append(
                f"{len(gone)} counts are lost that were answered before {max(moved):.3f}, when the committed state was "
                f"captured: the last of them {gone[-1][2]}, at {gone[-1][1]:.3f}"
            )
        counted_in_vain += len(lost)
        vain_s += before[1] - lost[0][1]
    outage_s = max(after[1] - before[1] for before, after in pairwise(notes))
    said = {"answers": len(notes), "outage_s": round(outage_s, 2)}
    return {**said, "lost": counted_in_vain, "lost_s": round(vain_s, 2), "wrong": wrong}


def main(verb: str, *words: str) -> int:
    if verb == "ask":
        try:
            return 0 if ask(words[0], int(words[1]), "get", ANSWER_S).startswith("ok ") else 1
        except OSError as error:
            print(error)
            return 1
    if verb == "count":
        count(words[0], int(words[1]), words[2])
    with open(words[0], encoding="ascii") as record:  # noqa: PTH123
        lines = (line.split() for line in record)
        notes = [(float(asked), float(answered), int(number)) for asked, answered, number in lines]
    said = judge(notes, [(float(at), float(captured)) for at, captured in json.loads(words[1])])
    print(json.dumps(said))
    return 1 if said["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
