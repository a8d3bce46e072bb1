# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage cluster's own certificate authority: a private folder on the controller, and OpenSSL."""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, OkiagariError, Problem
from ..runner import output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..runner import Runner

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DAYS = "3650"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_SOON_S = 30 * 86400


class Authority:
    """Issues a certificate to each of `names`, which is its common name. Keys are for the owner's eyes only."""

    def __init__(self, runner: Runner, directory: Path, names: Sequence[str]) -> None:
        bad = [name for name in names if not _NAME.fullmatch(name)]
        if bad:
            raise BadInput([Problem("", None, "names", f"{name or 'nothing'} is not a host's name") for name in bad])
        self._runner, self._directory, self._names = runner, directory, tuple(dict.fromkeys(names))

    def read(self) -> dict[str, Any]:
        """Give whether there is an authority, and who of the names has a certificate of it that is good for a month."""
        if not (self._directory / "ca.pem").exists():
            return {}
        return {"authority": True, "names": sorted(name for name in self._names if self._good(name))}

    def want(self) -> dict[str, Any]:
        return {"authority": True, "names": sorted(self._names)}

    def create(self) -> None:
        """Make what is missing; what is good stays."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        if not (self._directory / "ca.pem").exists():
            with self._made("ca") as (key, certificate):
                request = ("openssl", "req", "-x509", *_NEW_KEY, "-days", _DAYS, "-subj", "/CN=Okiagari storage")
                output(self._runner, [*request, "-keyout", key, "-out", certificate], timeout=60.0)
        for name in self._names:
            if not self._good(name):
                self._issue(name)

    def remove(self) -> None:
        """Nothing calls this: an authority is removed by its owner."""
        raise OkiagariError("an authority is not removed by this module: delete its folder")

    def _issue(self, name: str) -> None:
        authority = ("-CA", str(self._directory / "ca.pem"), "-CAkey", str(self._directory / "ca.key"))
        with self._made(name) as (key, certificate):
            request = f"{certificate}.request"
            subject = ("-subj", f"/CN={name}")
            output(self._runner, ["openssl", "req", *_NEW_KEY, *subject, "-keyout", key, "-out", request], timeout=60.0)
            serial = ("-set_serial", f"0x{secrets.token_hex(16)}")
            extensions = Path(f"{certificate}.extensions")
            extensions.write_text(_extensions(name))
            sign = ("openssl", "x509", "-req", "-in", request, *authority, *serial, "-days", _DAYS)
            output(self._runner, [*sign, "-extfile", str(extensions), "-out", certificate], timeout=60.0)

    @contextmanager
    def _made(self, name: str) -> Iterator[tuple[str, str]]:
        """Give paths for a key and a certificate, which get their names only when both are complete."""
        with TemporaryDirectory(dir=self._directory) as work:
            key, certificate = Path(work, "key"), Path(work, "pem")
            yield str(key), str(certificate)
            key.chmod(0o600)
            certificate.chmod(0o644)
            key.replace(self._directory / f"{name}.key")
            certificate.replace(self._directory / f"{name}.pem")

    def _good(self, name: str) -> bool:
        certificate = self._directory / f"{name}.pem"
        if not certificate.exists() or not (self._directory / f"{name}.key").exists():
            return False
        verify = ["openssl", "verify", "-CAfile", str(self._directory / "ca.pem"), str(certificate)]
        lasts = ["openssl", "x509", "-checkend", str(_SOON_S), "-noout", "-in", str(certificate)]
        return self._runner.run(verify).rc == 0 and self._runner.run(lasts).rc == 0


def _extensions(name: str) -> str:
    """Give what a certificate says beside its common name: an address is only looked for here."""
    try:
        ip_address(name)
    except ValueError:
        return "basicConstraints=CA:FALSE\n"
    return f"basicConstraints=CA:FALSE\nsubjectAltName=IP:{name}\n"
