# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service for trying agents: it answers `ping` with `pong HOST TOKEN`, and notes on its host's disk that it runs.

    beacon.py serve PORT FOLDER     what agents keep going at one host
    beacon.py ask PORT HOST ...     a client: exits with 0 if exactly one of these hosts answers, and says which
    beacon.py runs FOLDER           when it ran at this host, by its own notes: JSON, a run each

A note is a line `TIME TOKEN`, in seconds since the epoch, every 50 ms: what shows whether two ever ran at once. It
can't answer without having noted that, so that a full disk makes it unwell.
"""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
import sys
import threading
import time

NOTE = re.compile(r"([0-9]+\.[0-9]{3}) ([0-9]+)\n")
NOTE_S = 0.05
TIMEOUT_S = 0.5


def serve(port: int, folder: str) -> None:
    token = os.environ["OKIAGARI_TOKEN"]
    record = open(os.path.join(folder, "record"), "a", buffering=1, encoding="ascii")  # noqa: PTH118, PTH123, SIM115
    lock = threading.Lock()

    def note() -> None:
        with lock:
            record.write(f"{time.time():.3f} {token}\n")

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            note()
            self.wfile.write(f"pong {socket.gethostname()} {token}\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def handle_error(self, *_request: object) -> None:
            """Whoever asked gets no answer; that is all there is to say."""

    with Server(("", port), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while True:
            try:
                note()
            except OSError as error:
                print(f"beacon: {error}", file=sys.stderr)
            time.sleep(NOTE_S)


def ask(port: int, hosts: list[str]) -> int:
    answers: list[str] = []

    def one(host: str) -> None:
        try:
            with socket.create_connection((host, port), TIMEOUT_S) as connection:
                connection.settimeout(TIMEOUT_S)
                connection.sendall(b"ping\n")
                said = connection.recv(200).decode().strip()
        except OSError:
            return
        if said.startswith("pong"):
            answers.append(said)

    asking = [threading.Thread(target=one, args=(host,)) for host in hosts]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    print("\n".join(answers) or "nobody answers")
    return 0 if len(answers) == 1 else 1


def runs(folder: str) -> None:
    found: dict[int, list[float]] = {}
    path = os.path.join(folder, "record")  # noqa: PTH118
    if os.path.exists(path):  # noqa: PTH110
        for line in open(path, errors="replace"):  # noqa: PTH123, SIM115
            # A host that lost its power may have lost the end of a line, or have zeros there.
            if match := NOTE.fullmatch(line):
                found.setdefault(int(match[2]), []).append(float(match[1]))
    here = socket.gethostname()
    print(json.dumps([
        {"host": here, "token": token, "first": min(times), "last": max(times)} for token, times in found.items()
    ]))  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] == "runs":
        runs(sys.argv[2])
    else:
        sys.exit(ask(int(sys.argv[2]), sys.argv[3:]))
