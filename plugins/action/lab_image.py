# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build an image on the controller, with visible progress."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory, recipe_hash

display = Display()

_PROGRAMS = {"mmdebstrap": "mmdebstrap", "mkfs.ext4": "e2fsprogs", "patchelf": "patchelf", "cpio": "cpio"}
_UNPRIVILEGED = {"fakeroot": "fakeroot", "newuidmap": "uidmap"}


class ActionModule(ActionBase):
    """`okiagari.testbed.lab_image`: see the module of this name for its documentation."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, options = self.validate_argument_spec(
            {
                "recipe": {"type": "path", "required": True},
                "mirror": {"default": "http://deb.debian.org/debian"},
                "suite": {"default": "trixie"},
                "title": {"default": "node image"},
                "programs": {"type": "dict", "default": _PROGRAMS},
            }
        )
        recipe, mirror, suite, title = Path(options["recipe"]), options["mirror"], options["suite"], options["title"]
        if not (recipe / "build").is_file():
            raise AnsibleActionFail(f"{recipe} is not an image recipe: it has no program 'build'")
        image = cache_directory(os.environ) / recipe_hash(recipe, {"mirror": mirror, "suite": suite})
        result.update(path=str(image), changed=not image.is_dir())
        if result["changed"] and not self._task.check_mode:
            _refuse_without_programs(title, options["programs"])
            image.parent.mkdir(parents=True, exist_ok=True)
            with (image.parent / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                # Another run may have built it while this one waited.
                if not image.is_dir():
                    _build(recipe, image, mirror, suite, title)
        return result


def _refuse_without_programs(title: str, programs: dict[str, str]) -> None:
    needed = programs if os.geteuid() == 0 else {**programs, **_UNPRIVILEGED}
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [package for program, package in needed.items() if shutil.which(program, path=path) is None]
    if missing:
        raise AnsibleActionFail(
            f"building the {title} needs Debian packages that are missing: apt-get install {' '.join(missing)}"
        )


def _build(recipe: Path, image: Path, mirror: str, suite: str, title: str) -> None:
    started = time.monotonic()
    log = image.parent / f"{image.name}.log"
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    argv = [str(recipe / "build"), str(image), mirror, suite]
    with log.open("w") as record:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        for line in process.stdout or ():
            record.write(line)
            if line.startswith("step: "):
                display.display(
                    f"  {title}: {time.monotonic() - started:4.0f} s  {line[6:].strip()}", color="bright blue"
                )
    if process.wait():
        tail = "".join(log.read_text().splitlines(keepends=True)[-15:])
        raise AnsibleActionFail(f"the {title} could not be built; the whole log is {log}. Its end:\n{tail}")
