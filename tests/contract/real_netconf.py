# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real NETCONF server on loopback: netconfd, behind an SSH server of the test's own and in a network namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from ssh_server import SshServer

if TYPE_CHECKING:
    from pathlib import Path

    import paramiko

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
# Its port has to be that of the SSH server before it, and it reads /sys. Debian's package lacks the program
# get-interface-ipv4, and without it the server ends.
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
    """netconfd with two interfaces, `w-a` up and `w-b` down, and nothing routed; `user` may do everything."""

    needed = ("netconfd", "ifconfig", "unshare", "ip")

    def __init__(self, folder: Path, user: str, password: str) -> None:
        self._user = user
        self._socket = folder / "ncx.sock"
        self._log = folder / "server.log"
        self._server = SshServer({user: password}, self._serve, subsystem="netconf")
        self.port = self._server.port
        self.known_host = self._server.known_host
        (folder / "startup.xml").write_text(_STARTUP)
        script = _NETCONFD.format(folder=folder, port=self.port, user=user)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", "--mount", "sh", "-ec", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while not self._socket.exists():
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    @classmethod
    def missing(cls) -> list[str]:
        """Give what this machine lacks for it."""
        return [name for name in cls.needed if not shutil.which(name)] + ([] if os.geteuid() == 0 else ["root"])

    def stop(self) -> None:
        self._server.stop()
        self._process.terminate()
        self._process.wait()

    def _serve(self, channel: paramiko.Channel) -> None:
        """Do what sshd does for `Subsystem netconf /usr/sbin/netconf-subsystem`."""
        environment = {**os.environ, "USER": self._user, "SSH_CONNECTION": f"127.0.0.1 40000 127.0.0.1 {self.port}"}
        command = ["/usr/sbin/netconf-subsystem", f"--ncxserver-sockname={self.port}@{self._socket}"]
        with (
            self._log.open("ab") as log,
            subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
            ) as process,
        ):
            assert process.stdin
            assert process.stdout
            answers = threading.Thread(target=self._answer, args=(process.stdout, channel))
            answers.start()
            with suppress(OSError):
                while received := channel.recv(65536):
                    process.stdin.write(received)
            process.stdin.close()
            answers.join()

    @staticmethod
    def _answer(said: IO[bytes], channel: paramiko.Channel) -> None:
        with suppress(OSError, EOFError):
            while part := said.read(65536):
                channel.sendall(part)
            channel.close()
