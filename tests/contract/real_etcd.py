# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real quorum store on loopback: etcd, with the settings of the role quorum_store, and certificates."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from ansible_collections.okiagari.testbed.plugins.module_utils.certificates import Authority, Wish
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from ansible_collections.okiagari.testbed.tests.contract.debian_program import debian_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROLE = Path(__file__).parents[2] / "roles/quorum_store"


class Refused(Exception):  # noqa: N818
    """A member didn't let somebody in, or is not there."""


class RealEtcd:
    """`count` members on 127.0.0.1 and up, which start with `start`.

    Their certificates, and those of clients, are of the authority in the folder `authority`, which is made where there
    is none. With `places` there is a member at each of those addresses instead; they say what stands before its
    command, so that it runs in a network namespace for example.
    """

    def __init__(
        self, folder: Path, authority: Path, count: int = 3, places: Mapping[str, Sequence[str]] | None = None
    ) -> None:  # fmt: skip
        self.folder, self.authority = folder, authority
        addresses = list(places or [f"127.0.0.{number}" for number in range(1, count + 1)])
        self.members = tuple(f"etcd-{number}" for number in range(1, len(addresses) + 1))
        self._addresses = dict(zip(self.members, addresses, strict=True))
        self._inside = dict(zip(self.members, (places or {}).values(), strict=False))
        ports = [(2379, 2380)] * len(addresses) if places else free_ports(addresses)
        self._ports = dict(zip(self.members, ports, strict=True))
        self.endpoints = {
            member: f"https://{self._addresses[member]}:{self._ports[member][0]}" for member in self.members
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # A member believes another only if it comes from an address of its certificate: here from this one.
        both = {member: [address, "127.0.0.1"] for member, address in self._addresses.items()}
        self.issue(*self.members, addresses=both)

    def issue(self, *names: str, addresses: dict[str, list[str]] | None = None) -> None:
        """Give each name a certificate of the authority, unless it has one."""
        Authority(SubprocessRunner(), self.authority, names, Wish("Test", addresses or {})).create()

    def revoke(self, *names: str) -> None:
        """Believe no certificate that these ever got, at no member."""
        Authority(SubprocessRunner(), self.authority, (), Wish(revoked=names)).create()
        for member in self.members:
            shutil.copy(self.authority / "crl.pem", self._identity(member))

    def start(self, *members: str) -> None:
        """Start these members, or all."""
        for member in members or self.members:
            self._start(member)

    def wait(self, *members: str) -> None:
        """Wait until these members, or all, answer through a majority."""
        deadline = time.monotonic() + 120
        while not all(self.healthy(member) for member in members or self.members):
            assert time.monotonic() < deadline, self.said(*self.members)
            time.sleep(0.05)

    def healthy(self, member: str) -> bool:
        """Tell whether a majority decides what is asked of `member`."""
        with suppress(Refused):
            return bool(self.ask(member, "/health", name=member)[1].get("health") == "true")
        return False

    def rejoin(self, member: str, through: str) -> None:
        """Give a member that has lost its data its place again, as the role does. The others have to be a majority."""
        _code, known = self.ask(through, "/v3/cluster/member/list", {}, name=through)
        [lost] = [each["ID"] for each in known["members"] if each["name"] == member]
        peer = f"https://{self._addresses[member]}:{self._ports[member][1]}"
        for change, body in (("remove", {"ID": lost}), ("add", {"peerURLs": [peer]})):
            deadline = time.monotonic() + 60
            # Members that have known each other for less than 5 s refuse to change who is one.
            while self.ask(through, f"/v3/cluster/member/{change}", body, through, timeout=60)[0] != http.client.OK:
                assert time.monotonic() < deadline, self.said(through)
                time.sleep(0.5)
        self._start(member, "existing")

    def leader(self) -> str:
        """Give the member that leads, as one that answers sees it."""
        for member in self._processes:
            with suppress(Refused):
                _code, answer = self.ask(member, "/v3/maintenance/status", {}, name=member)
                _code, known = self.ask(member, "/v3/cluster/member/list", {}, name=member)
                return str(next(each["name"] for each in known["members"] if each["ID"] == answer["leader"]))
        raise Refused("no member answers")

    def runs(self, member: str) -> bool:
        """Say whether a member was started and not ended since; raise `AssertionError` if it ended by itself."""
        process = self._processes.get(member)
        assert process is None or process.poll() is None, self.said(member)
        return process is not None

    def process(self, member: str) -> subprocess.Popen[bytes]:
        return self._processes[member]

    def pause(self, member: str) -> None:
        """Let a member do nothing, as if the network had lost it, until `resume`."""
        self._processes[member].send_signal(signal.SIGSTOP)

    def resume(self, member: str) -> None:
        self._processes[member].send_signal(signal.SIGCONT)

    def stop(self, *members: str) -> None:
        """End these members, or all, as systemd does; their data stays."""
        self._end(signal.SIGTERM, members or tuple(self._processes))

    def kill(self, *members: str) -> None:
        """End these members, or all, as a power cut does, but for what the kernel still writes."""
        self._end(signal.SIGKILL, members or tuple(self._processes))

    def lose(self, member: str) -> None:
        """Take a member's data away. It must not run."""
        shutil.rmtree(self.folder / member / "data")

    def ask(
        self, member: str, path: str, body: dict[str, Any] | None = None, name: str | None = None, timeout: float = 10.0
    ) -> tuple[int, dict[str, Any]]:
        """Ask `member` as `name` does, or as nobody; give the code and the content. Raise `Refused` if none comes."""
        context = ssl.create_default_context(cafile=str(self.authority / "ca.pem"))
        if name:
            context.load_cert_chain(self.authority / f"{name}.pem", self.authority / f"{name}.key")
        address, port = self._addresses[member], self._ports[member][0]
        connection = http.client.HTTPSConnection(address, port, timeout=timeout, context=context)
        try:
            connection.request(
                "POST" if body is not None else "GET", path, json.dumps(body) if body is not None else None
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"{member}: {error}") from error
        finally:
            connection.close()

    def said(self, *members: str) -> str:
        """Give what these members wrote."""
        return "\n".join((self.folder / member / "log").read_text(errors="replace")[-4000:] for member in members)

    def settings(self, member: str, state: str = "new") -> dict[str, str]:
        """Give the variables that the role gives to a member."""
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
        template = environment.from_string((ROLE / "templates/etcd.env.j2").read_text())
        text = template.render(
            ansible_managed="",
            inventory_hostname=member,
            testbed={"name": "test"},
            quorum_store_directory=self.folder / member / "data",
            quorum_store_identity=self._identity(member),
            quorum_store_address=self._addresses[member],
            quorum_store_client_port=self._ports[member][0],
            quorum_store_peer_port=self._ports[member][1],
            quorum_store_cluster=",".join(
                f"{each}=https://{self._addresses[each]}:{self._ports[each][1]}" for each in self.members
            ),
            quorum_store_state=state,
            quorum_store_heartbeat_ms=150,
            quorum_store_election_ms=1500,
        )
        return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))

    def _start(self, member: str, state: str = "new") -> None:
        identity = self._identity(member)
        identity.mkdir(parents=True, exist_ok=True)
        for ours, its in (
            ("ca.pem", "ca.pem"),
            (f"{member}.pem", "member.pem"),
            (f"{member}.key", "member.key"),
            ("crl.pem", "crl.pem"),
        ):
            shutil.copy(self.authority / ours, identity / its)
        (self.folder / member / "data").mkdir(mode=0o700, exist_ok=True)
        with (self.folder / member / "log").open("ab") as log:
            self._processes[member] = subprocess.Popen(
                [*self._inside.get(member, []), *debian_program("etcd", "etcd-server")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], **self.settings(member, state)},
            )

    def _end(self, number: int, members: tuple[str, ...]) -> None:
        for member in members:
            self._processes[member].send_signal(number)
            # A paused process only ends by SIGTERM when it goes on.
            self._processes[member].send_signal(signal.SIGCONT)
        for member in members:
            self._processes.pop(member).wait()

    def _identity(self, member: str) -> Path:
        return self.folder / member / "identity"


def free_ports(addresses: list[str]) -> list[tuple[int, int]]:
    """Give two ports for each address that nobody uses now."""
    with ExitStack() as stack:
        found = []
        for address in addresses:
            pair = [stack.enter_context(socket.create_server((address, 0))) for _port in range(2)]
            found.append((int(pair[0].getsockname()[1]), int(pair[1].getsockname()[1])))
        return found
