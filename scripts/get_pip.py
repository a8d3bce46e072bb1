# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets `ansible-test` make its virtual environments without its own download of pip.

It wants a get-pip script of one exact version, from its maintainers' site, in its cache. Many testbeds reach a package
index and nothing else, so this puts a script with the same effect there, made from the standard library's ensurepip.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from ansible_test._internal.python_requirements import get_venv_packages

SCRIPT = '''\
"""Installs the packages named on the command line, with the pip that comes with Python."""

import os
import subprocess
import sys

del os.environ["GET_PIP"]
subprocess.check_call([sys.executable, "-m", "ensurepip"])
packages = [argument for argument in sys.argv[1:] if "==" in argument]
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", *packages])
'''


def main() -> None:
    version = "{}.{}".format(*sys.version_info)
    pip = get_venv_packages(SimpleNamespace(version=version))["pip"]
    cached = Path("~/.ansible/test/cache").expanduser() / f"get_pip_{pip.replace('.', '_')}.py"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(SCRIPT)


if __name__ == "__main__":
    main()
