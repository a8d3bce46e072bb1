# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real NETCONF server on loopback: netconfd behind an sshd of its own, its interfaces in a network namespace."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_STARTUP = """<?xml version="1.0" encoding="UTF-8"?>
<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"
      xmlns:ianaift="urn:ietf:params:xml:ns:yang:iana-if-type">
    <interface><name>w-a</name><type>ianaift:ethernetCsmacd</type>
      <ipv4 xmlns="urn:ietf:params:xml:ns:yang:ietf-ip">
        <address><ip>10.254.0.1</ip><prefix-length>24</prefix-length></address>
      </ipv4>
    </interface>
    <interface><name>w-b</name><type>ianaift:ethernetCsmacd</type><enabled>false</enabled></interface>
  </interfaces>
</config>
"""
_SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem netconf "/usr/sbin/netconf-subsystem --ncxserver-sockname={port}@{folder}/ncx.sock"
"""
# The server's port has to be that of the sshd before it, and it reads /sys. For get-interface-ipv4 it asks in vain
# with Debian's package, and ends.
_NETCONFD = """
mount -t sysfs sysfs /sys
ip link add w-a type veth peer name p-a
ip link set w-a up
printf '#!/bin/sh\\n' >{folder}/get-interface-ipv4
chmod +x {folder}/get-interface-ipv4
PATH={folder}:$PATH exec netconfd --target=candidate --startup={folder}/startup.xml --superuser={user} --port={port} \
  --ncxserver-sockname={folder}/ncx.sock --log={folder}/netconfd.log \
  --module=ietf-interfaces --module=ietf-ip --module=ietf-routing \
  --module=ietf-ipv4-unicast-routing --module=ietf-ipv6-unicast-routing
"""


class NetconfServer:
    """netconfd with two interfaces, `w-a` up and `w-b` down, and nothing routed."""

    needed = ("netconfd", "sshd", "ifconfig", "unshare", "ip")

    def __init__(self, folder: Path) -> None:
        self.user = getpass.getuser()
        self.key_file = folder / "user_key"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        words = {"folder": folder, "port": self.port, "user": self.user}
        (folder / "startup.xml").write_text(_STARTUP)
        (folder / "sshd_config").write_text(_SSHD.format(**words))
        Path("/run/sshd").mkdir(exist_ok=True)
        with (folder / "server.log").open("ab") as log:
            self._processes = [
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                for command in (
                    ["unshare", "--net", "--mount", "sh", "-ec", _NETCONFD.format(**words)],
                    [shutil.which("sshd") or "sshd", "-D", "-e", "-f", folder / "sshd_config"],
                )
            ]
        self._wait(folder)
        self.host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])

    @classmethod
    def missing(cls) -> list[str]:
        """Give what this machine lacks for it."""
        return [name for name in cls.needed if not shutil.which(name)] + ([] if os.geteuid() == 0 else ["root"])

    def known_host(self) -> str:
        """Give the line of a `known_hosts` file."""
        return f"[127.0.0.1]:{self.port} {self.host_key}\n"

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()

    def _wait(self, folder: Path) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                if (folder / "ncx.sock").exists():
                    return
            time.sleep(0.1)
        raise RuntimeError((folder / "server.log").read_text())
