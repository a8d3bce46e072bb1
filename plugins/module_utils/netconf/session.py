# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session with a NETCONF server. Changes go through the candidate, whole or not at all."""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ET
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PATIENCE_S = 30
_PORT = 830


class NetconfError(OkiagariError):
    """A server refused something, or isn't as it must be."""


class NetconfLost(NetconfError):  # noqa: N818 -- as the rest of the tree
    """The connection to a server can't be made, or broke."""


class Session:
    """One session, over a `manager` of ncclient that is connected."""

    def __init__(self, name: str, manager: Any) -> None:
        self._name = name
        self._manager = manager

    def capabilities(self) -> frozenset[str]:
        """Give the capabilities and the modules of the server by name, such as `:candidate` and `ietf-routing`."""
        found = set()
        for uri in self._manager.server_capabilities:
            path, _question, query = str(uri).partition("?")
            found.add(path.partition(":capability")[2])
            found |= {word.removeprefix("module=") for word in query.split("&") if word.startswith("module=")}
        return frozenset(found - {""})

    def config(self, subtree: str) -> ET.Element:
        """Give what the running configuration has of `subtree`."""
        with self._asking("get-config"):
            return self._read(self._manager.get_config("running", ("subtree", subtree)))

    def state(self, subtree: str) -> ET.Element:
        """Give what the server knows of `subtree`, configuration and state."""
        with self._asking("get"):
            return self._read(self._manager.get(("subtree", subtree)))

    def trial(self, edits: Sequence[str], seconds: int, token: str) -> None:
        """Make a change that the server takes back after `seconds`, or at `cancel` with the same `token`."""
        with self._candidate(edits), self._asking("commit"):
            self._manager.commit(confirmed=True, timeout=str(seconds), persist=token)

    def change(self, edits: Sequence[str]) -> None:
        """Make a change for good."""
        with self._candidate(edits), self._asking("commit"):
            self._manager.commit()

    def cancel(self, token: str) -> None:
        """Have the change of `trial` taken back now. Raises `NetconfError` if none waits under `token`."""
        with self._asking("cancel-commit"):
            self._manager.cancel_commit(persist_id=token)

    def hold(self) -> None:
        """Keep everybody else from changing the candidate, until the session ends. Raises `NetconfError`."""
        with self._asking("lock"):
            self._manager.lock("candidate")

    def close(self) -> None:
        """End the session. Never raises."""
        with suppress(Exception):
            self._manager.close_session()

    @contextmanager
    def _candidate(self, edits: Sequence[str]) -> Iterator[None]:
        """Edit the candidate for a commit, under its lock; somebody else's edits there have the lock refused.

        Each edit is tested as it is made. A `validate` of its own isn't asked for: commit does it anyway, and after one
        netconfd 2.13 says ok to the commit and leaves the running configuration as it was.
        """
        self.hold()
        try:
            for edit in edits:
                with self._asking("edit-config"):
                    self._manager.edit_config(
                        f"<config>{edit}</config>",
                        target="candidate",
                        default_operation="merge",
                        test_option="test-then-set",
                    )
            yield
        except NetconfError:
            with suppress(NetconfError), self._asking("discard-changes"):
                self._manager.discard_changes()
            raise
        finally:
            # A server that refused a commit may refuse this too; the lock ends with the session at the latest.
            with suppress(NetconfError), self._asking("unlock"):
                self._manager.unlock("candidate")

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        from ncclient import NCClientError
        from ncclient.operations import RPCError

        try:
            yield
        except RPCError as error:
            said = " ".join(str(error.message or error.tag or error).split())
            raise NetconfError(f"{self._name}: {what}: {said}") from error
        except (NCClientError, OSError, EOFError) as error:
            raise NetconfLost(f"the connection to {self._name} broke at {what}: {error}") from error

    def _read(self, reply: Any) -> ET.Element:
        try:
            return ET.fromstring(reply.data_xml)  # noqa: S314 -- ncclient has parsed it, without external entities
        except (ET.ParseError, AttributeError, TypeError) as error:
            raise NetconfError(f"{self._name}: its answer holds no data: {error}") from error


def connect(login: Mapping[str, Any]) -> Session:
    """Log in as `login` says, with the keys of a module's option `device`. Raises `NetconfError` or `NetconfLost`."""
    manager = _library("ncclient.manager")
    paramiko = _library("paramiko")
    transport = _library("ncclient.transport.errors")
    host, port = login["host"], login.get("port") or _PORT
    proxy = login.get("proxy_command")
    try:
        return Session(
            host,
            manager.connect_ssh(
                host=host,
                port=port,
                username=login["user"],
                password=login.get("password"),
                key_filename=str(Path(login["key_file"]).expanduser()) if "key_file" in login else None,
                hostkey_verify=True,
                hostkey_b64=_known_key(paramiko, login["known_hosts"], host, port) if "known_hosts" in login else None,
                allow_agent="key_file" not in login and "password" not in login,
                look_for_keys="key_file" not in login and "password" not in login,
                ssh_config=login.get("ssh_config"),
                sock=paramiko.ProxyCommand(proxy.replace("%h", host).replace("%p", str(port))) if proxy else None,
                timeout=_PATIENCE_S,
                manager_params={"timeout": _PATIENCE_S},
            ),
        )
    except transport.AuthenticationError as error:
        raise NetconfError(f"{host} refuses the login of {login['user']}") from error
    except transport.SSHUnknownHostError as error:
        where = login.get("known_hosts", "~/.ssh/known_hosts")
        raise NetconfError(f"the host key of {host} isn't in {where}, or is another one there") from error
    except (transport.TransportError, paramiko.SSHException, OSError, EOFError) as error:
        raise NetconfLost(f"{host} can't be reached by NETCONF: {error}") from error


def _known_key(paramiko: Any, file: str, host: str, port: int) -> str:
    try:
        known = paramiko.HostKeys(str(Path(file).expanduser()))
    except OSError as error:
        raise NetconfError(f"there is no file {file} with known host keys") from error
    keys = known.lookup(f"[{host}]:{port}") or known.lookup(host) or {}
    for key in keys.values():
        return str(key.get_base64())
    raise NetconfError(f"the host key of {host} isn't in {file}; put it there after you have checked it")


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NetconfError("the Python library ncclient is needed where the module runs") from error
