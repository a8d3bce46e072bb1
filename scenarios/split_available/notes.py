# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes: the tally as a service of each part of a split network, its hooks, and a client that knows what was answered.

    notes.py serve FOLDER               what agents keep going: the tally, with its store in FOLDER
    notes.py export FOLDER              its hook: writes what a server that has stopped here kept
    notes.py snapshot                   its hook: writes what the server that runs here has
    notes.py merge                      its hook: unites that, from its input, with what the server here has
    notes.py ask HOST PORT              exits with 0 if a server answers
    notes.py servers PORT HOST ...      exits with 0 if exactly one of these hosts serves, and says which
    notes.py all PORT HOST ...          exits with 0 if each of these hosts serves, and says which do
    notes.py write HOST PORT RECORD     sets one key after the other until SIGTERM, and notes each that was answered
    notes.py judge HOST PORT RECORD     says what became of them: JSON, and exits with 1 if one isn't there

A key that both parts have set to other values keeps the server's, and has the other one under KEY~HOST. A key that one
part has deleted is there again, and the tally's counter isn't merged: neither says what the other part had seen of it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 7000
HOOK_S = 30.0
PATIENCE_S = 60.0
ANSWER_S = 2.0
REST_S = 0.1
BATCH = 200


class Client:
    """A connection to a tally, to be used in a `with`. Raises `OSError` where nobody answers."""

    def __init__(self, host: str, port: int, patience_s: float) -> None:
        self._socket = socket.create_connection((host, port), patience_s)
        self._file = self._socket.makefile("rw", encoding="utf-8", newline="\n")

    def ask(self, line: str) -> str:
        """Give the answer without its `ok`. Raises `OSError` if it is another one, or none."""
        return self._answer(line, "ok")[1]

    def get(self, key: str) -> str | None:
        """Give the value of a key, None if there is none."""
        verb, value = self._answer(f"get {key}", "ok", "missing")
        return value if verb == "ok" else None

    def values(self, keys: list[str]) -> Iterator[tuple[str, str | None]]:
        """Give keys with their values, many by one way to the server and back."""
        for batch in (keys[begin : begin + BATCH] for begin in range(0, len(keys), BATCH)):
            self._file.write("".join(f"get {key}\n" for key in batch))
            self._file.flush()
            for key in batch:
                verb, value = self._read(f"get {key}", "ok", "missing")
                yield key, value if verb == "ok" else None

    def _answer(self, line: str, *verbs: str) -> tuple[str, str]:
        self._file.write(f"{line}\n")
        self._file.flush()
        return self._read(line, *verbs)

    def _read(self, line: str, *verbs: str) -> tuple[str, str]:
        verb, _blank, rest = self._file.readline().rstrip("\n").partition(" ")
        if verb not in verbs:
            raise OSError(f"to {line[:40]}: {verb or 'no answer'} {rest}".rstrip())
        return verb, rest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()
        self._socket.close()


def export(folder: str) -> None:
    from tally.journal import Journal  # type: ignore[import-not-found]

    for item in sorted(Journal(folder).store.values.items()):
        print(json.dumps(item))


def snapshot(server: Client) -> None:
    for key, value in server.values(server.ask("keys").split()):
        # One that was deleted in between has no value any more.
        if value is not None:
            print(json.dumps((key, value)))


def merge(server: Client, exported: dict[str, str], whose: str) -> None:
    """Have the server keep all of this. What it has already stays as it is, so that to do it twice changes nothing."""
    alike = {key for key, there in server.values(list(exported)) if there == exported[key]}
    for key, value in exported.items():
        if key in alike:
            continue
        there = server.get(key)
        if there is None:
            server.ask(f"set {key} {value}")
        elif there != value and server.get(f"{key}~{whose}") != value:
            server.ask(f"set {key}~{whose} {value}")


def write(host: str, port: int, path: str) -> None:
    name, number = socket.gethostname(), 0
    with open(path, "w", buffering=1, encoding="ascii") as record:  # noqa: PTH123
        while True:
            number += 1
            try:
                with Client(host, port, PATIENCE_S) as server:
                    server.ask(f"set {name}-{number} {number}")
                record.write(f"{time.time():.3f} {name}-{number} {number}\n")
            except OSError:
                # A connection that was open when its server ended is closed: whether it was set isn't known.
                pass
            time.sleep(REST_S)


def judge(server: Client, notes: list[tuple[float, str, str]]) -> dict[str, object]:
    """Say how many were answered, which of them aren't there, and how long nobody answered."""
    missing = [key for _at, key, value in notes if server.get(key) != value]
    longest = max((after[0] - before[0] for before, after in pairwise(notes)), default=0.0)
    return {"answers": len(notes), "outage_s": round(longest, 2), "missing": missing}


def answers(host: str, port: int) -> bool:
    try:
        with Client(host, port, ANSWER_S) as server:
            server.ask("get")
    except OSError:
        return False
    return True


def main(verb: str, *words: str) -> int:
    if verb == "serve":
        from tally.server import Server  # type: ignore[import-not-found]

        Server(words[0], lines=PORT, http=0).run()
    elif verb == "export":
        export(words[0])
    elif verb == "snapshot":
        with Client("127.0.0.1", PORT, HOOK_S) as server:
            snapshot(server)
    elif verb == "merge":
        with Client("127.0.0.1", PORT, HOOK_S) as server:
            merge(server, dict(map(json.loads, sys.stdin)), os.environ["OKIAGARI_FROM"])
    elif verb == "ask":
        return 0 if answers(words[0], int(words[1])) else 1
    elif verb in ("servers", "all"):
        found = [host for host in words[1:] if answers(host, int(words[0]))]
        print(" ".join(found) or "nobody serves")
        return 0 if len(found) == (1 if verb == "servers" else len(words) - 1) else 1
    elif verb == "write":
        write(words[0], int(words[1]), words[2])
    else:
        with open(words[2], encoding="ascii") as record:  # noqa: PTH123
            notes = [(float(at), key, value) for at, key, value in (line.split() for line in record)]
        with Client(words[0], int(words[1]), PATIENCE_S) as server:
            said = judge(server, notes)
        print(json.dumps(said))
        return 1 if said["missing"] or not notes else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
