# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running service: started and killed with all its processes, so that none of them outlives its deadline.

By a control group of its own where systemd has delegated one to the supervisor's unit, which is how the role installs
it; else by a process group, out of which a service could step.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from .priority import ordinary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_PR_SET_PDEATHSIG = 1


class Instance:
    """One run of a service's command, in the control group `cgroup` if there is one.

    One that `obeys` is told what to do by lines on its standard input.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], user: str = "", cgroup: Path | None = None, *,
        obeys: bool = False,
    ) -> None:  # fmt: skip
        self._cgroup = cgroup
        libc = ctypes.CDLL(None, use_errno=True)
        entry = str(cgroup / "cgroup.procs") if cgroup else ""
        account = pwd.getpwnam(user) if user else None

        def prepare() -> None:
            # Between fork and exec: whoever comes now is the service's.
            if entry:
                with open(entry, "w", encoding="ascii") as group:  # noqa: PTH123 - nothing is imported at this point
                    group.write("0")
            ordinary()
            if account:
                os.initgroups(account.pw_name, account.pw_gid)
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        self._process = subprocess.Popen(
            list(argv), env={**os.environ, **environment}, start_new_session=True,
            stdin=subprocess.PIPE if obeys else subprocess.DEVNULL,
            preexec_fn=prepare,  # noqa: PLW1509 - the supervisor has one thread
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        """Tell one that obeys; one that is dead is found to be by whoever looks."""
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()

    def terminate(self) -> None:
        """Ask the service to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all its processes."""
        if self._cgroup:
            with suppress(OSError):
                (self._cgroup / "cgroup.kill").write_text("1")
                return
        self._signal(signal.SIGKILL)

    def dead(self) -> bool:
        """Say whether none of its processes is left. Those that outlive the first one are killed."""
        if self._process.poll() is None:
            return False
        if self._cgroup:
            if "populated 1" in (self._cgroup / "cgroup.events").read_text():
                self.kill()
                return False
            return True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
            return False
        return True

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def own_cgroup(name: str) -> Path:
    """Make the control group `name` beside this process, in the part that systemd delegated to its unit."""
    try:
        lines = [line for line in _OWN_CGROUP.read_text(encoding="ascii").splitlines() if line.startswith("0::/")]
        if not lines or not (_CGROUPS / "cgroup.procs").exists():
            raise OkiagariError("control groups of version 2 are not in use here; boot with them, or set cgroup: false")
        unit = _CGROUPS / lines[0].removeprefix("0::/").removesuffix("/supervisor")
        # No process may stay in a group that has groups below it and controllers for them.
        (unit / "supervisor").mkdir(exist_ok=True)
        (unit / "supervisor" / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        group = unit / name
        group.mkdir(exist_ok=True)
    except OSError as error:
        raise OkiagariError(
            f"no control group can be made for the service: {error}; the unit needs Delegate=yes"
        ) from error
    return group
