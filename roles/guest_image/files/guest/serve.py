# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's one program: `serve.py FOLDER DISK ...` becomes who its seed disk says, once a boot, and serves the tally.

Both are one process, since each start of Python costs a guest under emulation a second.
"""

from __future__ import annotations

import os
import sys

import agent  # type: ignore[import-not-found] # beside this file, as the next ones
import clock  # type: ignore[import-not-found]
from tally.server import Server  # type: ignore[import-not-found]

IDENTITY = "/run/identity"


def main(folder: str, disks: list[str]) -> None:
    """Take the identity unless this boot has it already, then serve for ever."""
    if not os.path.exists(IDENTITY):  # noqa: PTH110 -- pathlib takes its time to import
        script = agent.script_of(disks)
        with open(IDENTITY, "w") as file:  # noqa: PTH123
            file.write(script)
        os.waitpid(os.posix_spawn("/bin/sh", ["sh", IDENTITY], os.environ), 0)
    server = Server(folder)
    print(f"guest: {os.uname().nodename} serves", flush=True)
    port = clock.port()
    if port:
        server.run(clock.Clock(port).looked)
    else:
        server.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
