# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt of the tests' own, with QEMU, as a user's session has it: without rights, and apart from the host's.

root's libvirt is always the host's, so root has it run as somebody else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ansible_collections.okiagari.testbed.plugins.module_utils.domains.probe import boot_disk, written
from ansible_collections.okiagari.testbed.tests.contract.counting_guest import Said

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE = "libvirt-1-format"
_NOBODY = 65534
_WATCHED = "sys_ptrace"
"""The right by which QEMU 7.2 may note where a guest writes to its memory."""
_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.okiagari.testbed.plugins.modules import domain_checkpoint
with patch_module_args(json.loads(sys.argv[1])):
    domain_checkpoint.main()
"""
_DOMAIN = """\
<domain type="qemu">
 <name>{name}</name>
 <memory unit="MiB">64</memory>
 <os><type arch="x86_64" machine="pc">hvm</type></os>
 <features><acpi/></features>
 <devices>
  <disk type="file"><driver name="qemu" type="{form}"/><source file="{disk}"/><target dev="vda" bus="virtio"/></disk>
  <serial type="file"><source path="{serial}"/></serial>
  <controller type="usb" model="none"/>
  <memballoon model="none"/>
 </devices>
</domain>
"""


class RealLibvirt:
    """A libvirt daemon in a folder of its own. A context manager, which ends it and its domains.

    `watched`: its QEMU may note where guests write to their memory.
    """

    def __init__(self, *, watched: bool) -> None:
        # A socket's path is short.
        self.folder = Path(tempfile.mkdtemp(prefix="okiagari-"))
        self.uri = f"qemu+unix:///session?socket={self.folder}/libvirt/libvirt-sock"
        self._watched = watched
        self._names: set[str] = set()
        settings = self.folder / "config" / "libvirt"
        settings.mkdir(parents=True)
        # QEMU has the rights that libvirt itself has: none, or that one.
        (settings / "qemu.conf").write_text('clear_emulator_capabilities = 0\nstdio_handler = "file"\n')
        self.own(self.folder, settings.parent, settings)
        self._daemon = self._started()

    def __enter__(self) -> Self:
        try:
            self._wait()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> None:
        for name in self._names:
            self._virsh("destroy", name)
        self._daemon.terminate()
        self._daemon.wait(20)
        shutil.rmtree(self.folder)

    def kill(self) -> None:
        """Kill the daemon, whose guests run on."""
        self._daemon.kill()
        self._daemon.wait()

    def start_again(self) -> None:
        self._daemon = self._started()
        self._wait()

    def virsh(self, *words: str) -> str:
        code, said = self._virsh(*words)
        assert not code, said
        return said

    def monitor(self, domain: str, command: str, **arguments: Any) -> Any:
        said = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self.virsh("qemu-monitor-command", domain, said))["return"]

    def domain(self, name: str, form: str = "raw", *, persistent: bool = False) -> Domain:
        """Have a domain that counts, and runs."""
        found = Domain(self, name, form, persistent)
        self._names.add(name)
        return found

    def module(self, **options: Any) -> dict[str, Any]:
        """Give what the module says, which runs as the user whose libvirt it is."""
        with self.begin(**options) as process:
            out, err = process.communicate(timeout=240)
        assert not err, err
        return dict(json.loads(out))

    def begin(self, *before: str, **options: Any) -> subprocess.Popen[str]:
        """Start the module, by a command of this test's own."""
        given = json.dumps({"uri": self.uri, **options} if options["state"] != "query" else options)
        argv = [*self._as_user("dac_read_search"), *before, sys.executable, "-B", "-c", _MODULE, given]
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={
                **self._environment(), "OKIAGARI_RUN": str(self.folder),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
        )  # fmt: skip

    def made(self, name: str) -> Path:
        """Make a folder that is the user's."""
        path = self.folder / name
        path.mkdir()
        self.own(path)
        return path

    def _started(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*self._as_user(*([_WATCHED] if self._watched else [])), "libvirtd"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(),
            )  # fmt: skip

    def _wait(self) -> None:
        _until(lambda: not self._virsh("list")[0], 60)

    def _virsh(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            ["virsh", "--quiet", "--connect", self.uri, *words], check=False, capture_output=True, text=True,
            env=self._environment(),
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        here = str(self.folder)
        places = {f"XDG_{name}_HOME": f"{here}/{name.lower()}" for name in ("CONFIG", "CACHE", "DATA")}
        return {**os.environ, **places, "HOME": here, "XDG_RUNTIME_DIR": here, "LC_ALL": "C"}

    def _as_user(self, *capabilities: str) -> Sequence[str]:
        if os.geteuid():
            return ()
        words = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
        for capability in capabilities:
            words += [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
        return [*words, "--"]

    def own(self, *paths: Path) -> None:
        """Have what is there be the user's."""
        if not os.geteuid():
            for path in paths:
                os.chown(path, _NOBODY, _NOBODY)


class Domain(Said):
    """A domain of a libvirt, whose disk is `disk` at first."""

    def __init__(self, libvirt: RealLibvirt, name: str, form: str, persistent: bool) -> None:
        folder = libvirt.made(name)
        super().__init__(folder / "serial")
        self.name, self._libvirt = name, libvirt
        self.disk = boot_disk(folder / "disk")
        if form == "qcow2":
            template, self.disk = self.disk, folder / "disk.qcow2"
            argv = ["qemu-img", "create", "-q", "-f", form, "-b", str(template), "-F", "raw", str(self.disk)]
            subprocess.run(argv, check=True)
            libvirt.own(template)
        libvirt.own(self.disk)
        description = folder / "domain.xml"
        description.write_text(_DOMAIN.format(name=name, form=form, disk=self.disk, serial=self.path))
        if persistent:
            libvirt.virsh("define", str(description))
            libvirt.virsh("start", name)
        else:
            libvirt.virsh("create", str(description))
        self.wait_for(3)

    def state(self) -> str:
        return self._libvirt.virsh("domstate", self.name).strip()

    def traces(self) -> dict[str, Any]:
        """Give all that a capture changes in its QEMU."""

        def ask(command: str) -> Any:
            return self._libvirt.monitor(self.name, command)

        return {
            "capabilities": ask("query-migrate-capabilities"), "parameters": ask("query-migrate-parameters"),
            "jobs": ask("query-jobs"), "files": ask("query-fdsets"),
            "nodes": [
                (each["node-name"], [bitmap["name"] for bitmap in each.get("dirty-bitmaps", ())])
                for each in ask("query-named-block-nodes")
            ],
        }  # fmt: skip


def number(image: Path, folder: Path) -> int:
    """Give the number that an image of a restored domain has, of whatever format."""
    if image.suffix == ".raw":
        return written(image)
    raw = folder / "raw"
    subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", image, raw], check=True)
    return written(raw)


def _until(true: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it has not come to pass"
        time.sleep(0.05)
