# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tally that runs in a thread."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.roles.guest_image.files.guest.tally.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def serving(folder: Path) -> Iterator[list[int]]:
    """Run a tally with its store in a folder, and give its ports: of lines, and of HTTP."""
    server = Server(str(folder), "127.0.0.1", 0, 0)
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            server.step(0.05)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield server.ports
    finally:
        stop.set()
        thread.join()
        server.close()
