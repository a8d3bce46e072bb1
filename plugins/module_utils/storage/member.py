# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as a member of a storage cluster: the manager's settings, its identity, its service."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import OkiagariError
from ..runner import output
from ..target.system import write_safely
from .mount import MountDesire, same, write_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .mount import Mount

_SETTINGS = "etc/glusterfs/glusterd.vol"
_DROP_IN = "etc/systemd/system/glusterd.service.d/okiagari.conf"
_SECURE = "var/lib/glusterd/secure-access"
_SERVICE = "glusterd.service"

# Bricks outlive their manager: it may be restarted without a copy going offline. The address may come up after it.
_UNIT = """\
[Unit]
StartLimitIntervalSec=0

[Service]
KillMode=process
Restart=on-failure
RestartSec=1
"""


class Identity(NamedTuple):
    """What a member proves itself with, and whom it believes; all PEM."""

    authority: str
    certificate: str
    key: str


class BrickDesire:
    """Brings a brick's folder to be there, on its own mounted disk if it has one, as `reconcile` takes it."""

    def __init__(self, runner: Runner, mount: Mount | None, path: Path) -> None:
        if mount and Path(mount.where) not in path.parents:
            raise OkiagariError(f"the brick {path} is not below {mount.where}, where its disk is mounted")
        self._disk = MountDesire(runner, mount, filesystem=True) if mount else None
        self._path = path

    def read(self) -> dict[str, Any]:
        """Give the folder, and the disk that it is on."""
        disk = self._disk.read() if self._disk else {}
        folder = {"path": str(self._path)} if self._path.is_dir() else {}
        return {**disk, **folder}

    def want(self) -> dict[str, Any]:
        """Give what `read` shows once it is there. Raises `OkiagariError` for a disk that holds something else."""
        return {**(self._disk.want() if self._disk else {}), "path": str(self._path)}

    def create(self) -> None:
        """Mount first: a folder below a disk that isn't mounted would be on the wrong file system."""
        if self._disk and self._disk.read() != self._disk.want():
            self._disk.create()
        self._path.mkdir(mode=0o755, parents=True, exist_ok=True)


class MemberDesire:
    """Brings the volume manager of this host to listen at `address`, as `reconcile` takes it.

    `silence_s` is how long a peer may be silent before it counts as gone. `root` is / but in tests.
    """

    def __init__(
        self, runner: Runner, address: str, silence_s: int, identity: Identity | None, root: Path = Path("/")
    ) -> None:
        self._runner, self._address, self._silence = runner, address, silence_s
        self._identity, self._root = identity, root

    def read(self) -> dict[str, Any]:
        """Give the settings, digests of the identity, whether connections are encrypted, whether the service runs."""
        settings = self._root / _SETTINGS
        if not settings.exists():
            return {}
        return {
            "settings": settings.read_text(encoding="utf-8"),
            "identity": {path.name: _digest(path.read_text(encoding="utf-8")) for path in self._pem() if path.exists()},
            "encrypted": (self._root / _SECURE).exists(),
            "unit": same(self._root / _DROP_IN, _UNIT, 0o644),
            "running": self._is("is-active") and self._is("is-enabled"),
        }

    def want(self) -> dict[str, Any]:
        """Give what `read` shows once the wish is true."""
        kept = self.read().get("identity", {}) if self._identity is None else {}
        digests = {path.name: _digest(text) for path, (text, _mode) in self._identity_files().items()}
        return {
            "settings": settings_text(self._address, self._silence),
            "identity": {**kept, **digests},
            "encrypted": self._identity is not None,
            "unit": True,
            "running": True,
        }

    def create(self) -> None:
        """Write what differs; then start the service, or restart it if anything was written."""
        changed = write_all(self._files())
        secure = self._root / _SECURE
        if secure.exists() is not (self._identity is not None):
            changed = True
            if self._identity is None:
                secure.unlink()
            else:
                secure.parent.mkdir(parents=True, exist_ok=True)
                write_safely(secure, b"option transport.socket.ssl-cert-depth 1\n", 0o644)
        if changed:
            output(self._runner, ["systemctl", "daemon-reload"])
        output(self._runner, ["systemctl", "enable", "--quiet", _SERVICE])
        output(self._runner, ["systemctl", "restart" if changed else "start", _SERVICE], timeout=120.0)

    def _files(self) -> dict[Path, tuple[str, int]]:
        return {
            self._root / _SETTINGS: (settings_text(self._address, self._silence), 0o644),
            self._root / _DROP_IN: (_UNIT, 0o644),
            **self._identity_files(),
        }

    def _identity_files(self) -> Mapping[Path, tuple[str, int]]:
        if self._identity is None:
            return {}
        authority, certificate, key = self._pem()
        return {
            authority: (self._identity.authority, 0o644),
            certificate: (self._identity.certificate, 0o644),
            key: (self._identity.key, 0o600),
        }

    def _pem(self) -> tuple[Path, Path, Path]:
        ssl = self._root / "etc/ssl"
        return ssl / "glusterfs.ca", ssl / "glusterfs.pem", ssl / "glusterfs.key"

    def _is(self, question: str) -> bool:
        return self._runner.run(["systemctl", question, "--quiet", _SERVICE]).rc == 0


def settings_text(address: str, silence_s: int) -> str:
    """Give glusterd's own settings: only the storage address, and a dead peer noticed after `silence_s`."""
    interval = max(1, silence_s // 4)
    family = "    option transport.address-family inet6\n" if ":" in address else ""
    return (
        "volume management\n"
        "    type mgmt/glusterd\n"
        "    option working-directory /var/lib/glusterd\n"
        "    option transport-type socket\n"
        f"{family}"
        f"    option transport.socket.bind-address {address}\n"
        "    option transport.socket.listen-port 24007\n"
        f"    option transport.socket.keepalive-time {interval}\n"
        f"    option transport.socket.keepalive-interval {interval}\n"
        "    option transport.socket.keepalive-count 3\n"
        f"    option transport.tcp-user-timeout {silence_s}\n"
        "    option transport.socket.read-fail-log off\n"
        "    option ping-timeout 0\n"
        "    option event-threads 1\n"
        "    option max-port 60999\n"
        "end-volume\n"
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]
