# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that Ansible reaches by ssh: one OpenSSH server on loopback, at an address for each, and an inventory.

Where OpenSSH's server isn't installed, Debian's package is unpacked beside, so that no service starts on this machine.
"""

from __future__ import annotations

import getpass
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

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


class Unavailable(Exception):  # noqa: N818 - it says what there is
    """Something to compare with can't be had on this machine."""


class SshHosts:
    """The hosts `names`. Use it in a `with`; raises `Unavailable` where there is no server to be had."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder, self.names = folder, list(names)
        self.inventory = folder / "inventory.json"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        server, libraries = _server()
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


def cache() -> Path:
    """Give the folder in which what the benchmarks compare with stays from run to run."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "okiagari" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def last_line(said: str) -> str:
    """Give what a program says last: why it failed."""
    return (said.strip().splitlines() or ["it says nothing"])[-1][:300]


def _server() -> tuple[Path, str]:
    """Give OpenSSH's server, and where its libraries are if they aren't where all are."""
    found = shutil.which("sshd", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if found:
        return Path(found), ""
    root = cache() / "openssh-server"
    server = root / "usr" / "sbin" / "sshd"
    if not server.exists():
        if not shutil.which("apt-get"):
            raise Unavailable("there is no sshd; install OpenSSH's server")
        packages = cache() / "packages"
        packages.mkdir(exist_ok=True)
        try:
            _run("apt-get", "--quiet", "download", *PACKAGES, cwd=packages)
            for package in packages.glob("*.deb"):
                _run("dpkg-deb", "--extract", str(package), str(root))
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"there is no sshd, and {error.cmd[0]} says: {last_line(error.stderr)}") from error
        finally:
            shutil.rmtree(packages)
    libraries = {str(path.parent) for path in root.rglob("lib*.so.*")}
    return server, os.pathsep.join(sorted(libraries))


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


def _run(*argv: str, cwd: Path | None = None) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True, cwd=cwd)
