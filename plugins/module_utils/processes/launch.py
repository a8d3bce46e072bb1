# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a restored tree is let go: in a PID namespace of its own, whose first process is its parent, and on its own."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SAYS = "restored"
_LONG_S = 600.0
_SYSTEMD = Path("/run/systemd/system")

# The first process of a PID namespace has to bury all that lose their parents; when it ends, all end.
_FIRST = (
    "import os\n"
    f"print('{_SAYS}', flush=True)\n"
    "null = os.open('/dev/null', os.O_RDWR)\n"
    "for descriptor in 0, 1, 2:\n"
    "    os.dup2(null, descriptor)\n"
    "os.closerange(3, 1024)\n"
    "while True:\n"
    "    try:\n"
    "        os.wait()\n"
    "    except ChildProcessError:\n"
    "        break\n"
)


def first_process() -> list[str]:
    """Give the command of the process that becomes the parent of a restored tree."""
    return [sys.executable, "-I", "-S", "-B", "-c", _FIRST]


def apart(network: Path | None, name: str, systemd: Path = _SYSTEMD) -> list[str]:
    """Give the words that run a command apart from Ansible: with PIDs and a /proc of its own, in `network`.

    Under systemd it has a scope, `name`, so that it doesn't end with the session of whoever asked for it.
    """
    scope = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={name}", "--"] if systemd.exists() else []
    inside = ["nsenter", f"--net={network}", "--"] if network else []
    own = ["--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*scope, *inside, "unshare", *own, "--"]


@contextlib.contextmanager
def opened(output: Path, writes: Sequence[bool]) -> Iterator[list[int]]:
    """Have a descriptor for each of what leads out of a tree: `output` if it is written to, else nothing to read."""
    with contextlib.ExitStack() as stack:
        descriptors = []
        for write in writes:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT if write else os.O_RDONLY
            try:
                descriptors.append(os.open(output if write else os.devnull, flags, 0o600))
            except OSError as error:
                raise OkiagariError(f"output: {output}: {error.strerror}") from error
            stack.callback(os.close, descriptors[-1])
        yield descriptors


def launch(
    argv: Sequence[str], descriptors: Sequence[int], started: Callable[[int], None], timeout: float = _LONG_S
) -> bool:
    """Start a command that becomes `first_process`, and say whether it has; if not, it has ended.

    It has a session of its own, and nothing of whoever started it but `descriptors`. Its PID is told to `started` as
    soon as there is one.
    """
    process = subprocess.Popen(
        list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
        start_new_session=True, pass_fds=tuple(descriptors), env=_environment(),
    )  # fmt: skip
    said = process.stdout
    with said or contextlib.nullcontext():
        started(process.pid)
        if said and select.select([said], [], [], timeout)[0] and said.readline().strip() == _SAYS.encode():
            process.returncode = 0  # it goes on by itself: nobody waits for it
            return True
    process.kill()
    process.wait()
    return False


def _environment() -> dict[str, str]:
    return {"PATH": f"{os.environ.get('PATH', '/usr/bin')}:/usr/sbin:/sbin", "LC_ALL": "C"}
