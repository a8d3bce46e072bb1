# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMUs with which checkpoints are tried: this machine's own, and those of Debian's releases.

bookworm's is 7.2, trixie's 10.0. One that isn't installed here is unpacked into the cache, beside its own libraries.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.tests.contract.debian_suite import programs

if TYPE_CHECKING:
    import pytest

OWN = platform.freedesktop_os_release().get("VERSION_CODENAME", "here")
OLDER, NEWER = "bookworm", "trixie"
ENGINES = tuple(dict.fromkeys((OWN, OLDER, NEWER)))
"""The releases whose QEMU is tried."""

_PATH = os.environ["PATH"]
_OTHERS = ("qemu-system-common", "qemu-system-data", "qemu-system-x86", "qemu-utils", "seabios", "zlib1g")
_STARTERS = {
    # Up to bookworm its translator is a module, for which it looks beside its program, and that is the loader here.
    "qemu-system-x86_64": (
        "exec env QEMU_MODULE_DIR={root}/usr/lib/x86_64-linux-gnu/qemu "
        '{program} -L {root}/usr/share/qemu -L {root}/usr/share/seabios "$@"'
    ),
    "qemu-img": 'exec {program} "$@"',
}


def use(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have whoever looks for QEMU's programs find those of a release, until another one is used, or the test ends."""
    path = [_PATH]
    if release != OWN:
        path.insert(0, str(programs("qemu", release, ["qemu-system-x86", "qemu-utils"], _STARTERS, _is_needed)))
    monkeypatch.setenv("PATH", os.pathsep.join(path))


def _is_needed(package: str) -> bool:
    return package.startswith("lib") or package in _OTHERS
