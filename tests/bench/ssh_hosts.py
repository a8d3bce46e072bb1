# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that Ansible reaches by ssh: one OpenSSH server on loopback, at an address for each, and an inventory."""

from __future__ import annotations

import getpass
import json
import os
import pwd
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from unpacked import Unavailable, last_line, program

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORK = "127.0.8"
PACKAGES = ("openssh-server", "libwrap0")
SETTINGS = """\
{listen}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
MaxStartups 100
Subsystem sftp internal-sftp
"""
# As root the server wants a user and a folder of its own, which are there with the installed package only.
AS_ROOT = 'mount --bind "$1" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir /run/sshd && shift && exec "$@"'


class SshHosts:
    """The hosts `names`. Use it in a `with`; raises `Unavailable` where there is no server to be had."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder, self.names = folder, list(names)
        self.inventory = folder / "inventory.json"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        server, libraries = program("sshd", *PACKAGES)
        self.folder.mkdir()
        for key in ("host", "user"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key))
        addresses = {name: f"{NETWORK}.{number}" for number, name in enumerate(self.names, 1)}
        with socket.create_server((NETWORK + ".1", 0)) as free:
            port = free.getsockname()[1]
        settings = self.folder / "sshd_config"
        listen = "\n".join(f"ListenAddress {address}:{port}" for address in addresses.values())
        settings.write_text(SETTINGS.format(listen=listen, folder=self.folder))
        self.inventory.write_text(json.dumps(self._inventory(addresses, port)))
        command = [str(server), "-D", "-e", "-f", str(settings)]
        if os.geteuid() == 0 and not _is_user("sshd"):
            passwd = self.folder / "passwd"
            passwd.write_text(Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
            command = ["unshare", "--mount", "sh", "-c", AS_ROOT, "sh", str(passwd), *command]
        environment = {**os.environ, "LD_LIBRARY_PATH": libraries} if libraries else None
        log = self.folder / "log"
        with log.open("wb") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        end = time.monotonic() + 10
        while not _listens(next(reversed(addresses.values())), port):
            if self._process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise Unavailable(f"sshd doesn't start: {last_line(log.read_text())}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()

    def _inventory(self, addresses: dict[str, str], port: int) -> dict[str, Any]:
        hosts = {name: {"ansible_host": address} for name, address in addresses.items()}
        variables = {
            "ansible_port": port, "ansible_user": getpass.getuser(), "ansible_python_interpreter": sys.executable,
            "ansible_ssh_private_key_file": str(self.folder / "user"),
            "ansible_ssh_common_args": "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        }  # fmt: skip
        return {"all": {"hosts": hosts, "vars": variables}}


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)
