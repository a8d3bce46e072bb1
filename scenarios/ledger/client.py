# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the tally in a guest, and what its record proves when the guest has gone on elsewhere.

    client.py ask HOST PORT               exits with 0 if the tally answers
    client.py count HOST PORT RECORD      has it count, again and again, until SIGTERM, and notes each answer
    client.py judge RECORD CAPTURED       says what the record proves: JSON, and exits with 1 if something is wrong

A note is a line `ASKED ANSWERED COUNT`, in seconds since the epoch. CAPTURED is the instant in which the state was
captured that was committed when the guest was lost, by the same clock. The client is the only one that counts.
"""

from __future__ import annotations

import json
import socket
import sys
import time

PATIENCE_S = 60.0
ANSWER_S = 2.0
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


def judge(notes: list[tuple[float, float, int]], captured: float) -> dict[str, object]:
    """Say where the counts fell, how long nothing was answered, and what of it is wrong.

    A guest that goes on from a captured state counts on from what it had counted then: once, where nobody answered for
    longest, the count falls. What was answered before the state was captured is there.
    """
    if len(notes) < 2:
        return {"answers": len(notes), "wrong": ["next to nothing was answered"]}
    outage_s, silent = max((notes[each][1] - notes[each - 1][1], each) for each in range(1, len(notes)))
    falls = [each for each in range(1, len(notes)) if notes[each][2] <= notes[each - 1][2] and each != silent]
    before, after = notes[:silent], notes[silent]
    # The guest went on from this count; what it had counted without an answer is in there, too.
    lost = [note for note in before if note[2] >= after[2]]
    gone = [note for note in lost if note[1] < captured - CLOCKS_S]
    wrong = []
    if falls:
        times = ", ".join(f"{notes[each][1]:.3f}" for each in falls)
        wrong.append(
            f"the count fell at {times} while answers came: more than one guest counted, or one went back again"
        )
    if gone:
        wrong.append(
            f"{len(gone)} counts are lost that were answered before {captured:.3f}, when the committed state was "
            f"captured: the last of them {gone[-1][2]}, at {gone[-1][1]:.3f}"
        )
    lost_s = before[-1][1] - lost[0][1] if lost else 0.0
    said = {"answers": len(notes), "outage_s": round(outage_s, 2), "lost": len(lost), "lost_s": round(lost_s, 2)}
    return {**said, "wrong": wrong}


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
    said = judge(notes, float(words[1]))
    print(json.dumps(said))
    return 1 if said["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
