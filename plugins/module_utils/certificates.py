# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority of our own: a private folder on the controller, and OpenSSL."""

from __future__ import annotations

import re
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BadInput, OkiagariError, Problem, shown
from .runner import CommandFailed, reason
from .suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .reconcile import Outcome
    from .runner import Runner

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")
_OWN_DAYS = 3650
_SOON_DAYS = 30
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_GOOD = "good"
_NONE = "there is none"

# Nothing here is left to the machine's own openssl.cnf. What a certificate may be used for is marked as not critical:
# QEMU refuses a critical one that says no keyEncipherment, which a key of this kind can't do. Without extendedKeyUsage
# it is good for both ends of a connection.
_CONFIG = """\
[ca]
default_ca = authority
[authority]
database = {directory}/index.txt
new_certs_dir = {directory}/issued
certificate = {directory}/ca.pem
private_key = {directory}/ca.key
default_md = sha256
rand_serial = yes
unique_subject = no
policy = policy
[policy]
commonName = supplied
[req]
distinguished_name = asked
[asked]
[own]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
"""


class Wish(NamedTuple):
    """What certificates shall be like.

    `subject` is the authority's own name, which it gets when it is made. `addresses` are those of names, beside the
    name itself; `days` is how long a certificate lasts. Names to `renew` get another one now, those `revoked` get none.
    """

    subject: str = "Okiagari"
    addresses: Mapping[str, Sequence[str]] = {}
    days: int = _OWN_DAYS
    renew: Sequence[str] = ()
    revoked: Sequence[str] = ()


class Authority:
    """Issues a certificate to each of `names`, which is its common name. Keys are for the owner's eyes only.

    What was issued is kept in `issued`, and OpenSSL's index of it in `index.txt`; what was revoked is on `crl.pem`.
    """

    def __init__(self, runner: Runner, directory: Path, names: Sequence[str], wish: Wish | None = None) -> None:
        self._wish = wish or Wish()
        if problems := list(_problems(names, self._wish)):
            raise BadInput(problems)
        self._runner, self._directory = runner, directory
        self._names = tuple(name for name in dict.fromkeys(names) if name not in self._wish.revoked)
        self._renew = set(self._wish.renew)

    def read(self) -> dict[str, Any]:
        """Give whether there is an authority, what is wrong with the certificate of each name, and who has lost his."""
        if not (self._directory / "ca.pem").exists():
            return {}
        return {
            "authority": True,
            "certificates": {name: self._flaw(name) or _GOOD for name in sorted(self._names)},
            "revocations": (self._directory / "crl.pem").exists(),
            "revoked": sorted(name for name in set(self._wish.revoked) if not self._stands(name)),
        }

    def want(self) -> dict[str, Any]:
        return {
            "authority": True,
            "certificates": dict.fromkeys(sorted(self._names), _GOOD),
            "revocations": True,
            "revoked": sorted(set(self._wish.revoked)),
        }

    def create(self) -> None:
        """Make what is missing; what is good stays."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        (self._directory / "issued").mkdir(exist_ok=True)
        (self._directory / "index.txt").touch()
        if not (self._directory / "ca.pem").exists():
            with self._made("ca") as (key, certificate), self._config() as config:
                request = ("req", "-x509", *_NEW_KEY, "-config", config, "-extensions", "own", "-utf8")
                subject = ("-subj", f"/CN={self._wish.subject}", "-days", str(_OWN_DAYS))
                self._openssl(*request, *subject, "-keyout", key, "-out", certificate)
        revocations = self._directory / "crl.pem"
        for name in sorted(filter(self._stands, set(self._wish.revoked))):
            # Without the list nothing is as wanted, so that what is cut short here is done again.
            revocations.unlink(missing_ok=True)
            self._revoke(name)
        for name in self._names:
            if self._flaw(name):
                self._issue(name)
                self._renew.discard(name)
        # It is good as long as the authority itself, and else stays as it is: hosts have copies.
        if not revocations.exists():
            self._list_revoked()

    def remove(self) -> None:
        """Nothing calls this: an authority is removed by its owner."""
        raise OkiagariError("an authority is not removed by this module: delete its folder")

    def strangers(self) -> list[str]:
        """Give a sentence for each name that is to be revoked and has never had a certificate."""
        known = {name for _state, _serial, name in self._index()}
        problems = [
            Problem("", None, "", f"{name} has never had a certificate of this authority", nearest(name, known))
            for name in self._wish.revoked
            if name not in known
        ]
        return [str(problem) for problem in problems]

    def _issue(self, name: str) -> None:
        with self._made(name) as (key, certificate), self._config(self._alternatives(name)) as config:
            request = f"{certificate}.request"
            ask = ("req", "-new", *_NEW_KEY, "-config", config, "-subj", f"/CN={name}")
            self._openssl(*ask, "-keyout", key, "-out", request)
            sign = ("ca", "-batch", "-notext", "-config", config, "-extensions", "leaf")
            lasts = ("-days", str(self._wish.days))
            self._openssl(*sign, *lasts, "-in", request, "-out", certificate)

    def _revoke(self, name: str) -> None:
        for suffix in ("pem", "key"):
            (self._directory / f"{name}.{suffix}").unlink(missing_ok=True)
        for state, serial, owner in self._index():
            if (state, owner) == ("V", name):
                with self._config() as config:
                    issued = self._directory / "issued" / f"{serial}.pem"
                    self._openssl("ca", "-config", config, "-revoke", str(issued))

    def _list_revoked(self) -> None:
        with TemporaryDirectory(dir=self._directory) as work, self._config() as config:
            made = Path(work, "crl")
            listing = ("ca", "-config", config, "-gencrl", "-crldays", str(_OWN_DAYS))
            self._openssl(*listing, "-out", str(made))
            made.chmod(0o644)
            made.replace(self._directory / "crl.pem")

    def _openssl(self, *argv: str) -> None:
        done = self._runner.run(["openssl", *argv], timeout=60.0)
        if done.rc:
            said = done._replace(err=re.sub(r"^Using configuration from .*\n", "", done.err))
            raise CommandFailed(f"openssl {' '.join(argv)}: {reason(said)}")

    @contextmanager
    def _config(self, alternatives: Sequence[str] = ()) -> Iterator[str]:
        with TemporaryDirectory(dir=self._directory) as work:
            path = Path(work, "openssl.cnf")
            text = _CONFIG.format(directory=re.sub(r"([^\w/.-])", r"\\\1", str(self._directory)))
            path.write_text(text + (f"subjectAltName = {', '.join(alternatives)}\n" if alternatives else ""))
            yield str(path)

    @contextmanager
    def _made(self, name: str) -> Iterator[tuple[str, str]]:
        """Give paths for a key and a certificate, which get their names only when both are complete."""
        with TemporaryDirectory(dir=self._directory) as work:
            key, certificate = Path(work, "key"), Path(work, "pem")
            yield str(key), str(certificate)
            key.chmod(0o600)
            certificate.chmod(0o644)
            # One who is stopped in between leaves none, and not one that its key doesn't belong to.
            (self._directory / f"{name}.pem").unlink(missing_ok=True)
            key.replace(self._directory / f"{name}.key")
            certificate.replace(self._directory / f"{name}.pem")

    def _flaw(self, name: str) -> str:
        """Say why `name` needs another certificate; nothing if the one that it has is good."""
        certificate = self._directory / f"{name}.pem"
        if not certificate.exists() or not (self._directory / f"{name}.key").exists():
            return _NONE
        days = min(_SOON_DAYS, self._wish.days // 3)
        look = ["openssl", "x509", "-noout", "-in", str(certificate)]
        if self._runner.run([*look, "-checkend", str(days * 86400)]).rc:
            return f"it ends within {days} days"
        verify = ["openssl", "verify", "-CAfile", str(self._directory / "ca.pem"), str(certificate)]
        if self._runner.run(verify).rc:
            return "it is of another authority"
        has, wanted = _said(self._runner.run([*look, "-ext", "subjectAltName"]).out), self._alternatives(name)
        if has != wanted:
            return f"it is for {', '.join(has) or 'no address'}, not {', '.join(wanted)}"
        return "another one was asked for" if name in self._renew else ""

    def _alternatives(self, name: str) -> list[str]:
        """Give what a certificate is for beside its common name, which not everybody looks at."""
        own = f"IP:{ip_address(name)}" if _is_address(name) else f"DNS:{name}"
        return sorted({own, *(f"IP:{ip_address(each)}" for each in self._wish.addresses.get(name, ()))})

    def _stands(self, name: str) -> bool:
        """Tell whether `name` has a certificate that isn't revoked."""
        index = any((state, owner) == ("V", name) for state, _serial, owner in self._index())
        return index or (self._directory / f"{name}.pem").exists()

    def _index(self) -> list[tuple[str, str, str]]:
        """Give state (V: valid, R: revoked), serial number and name of each certificate that was issued."""
        path = self._directory / "index.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        entries = [line.split("\t") for line in lines]
        return [(entry[0], entry[3], entry[5].removeprefix("/CN=")) for entry in entries]


def issued(outcome: Outcome) -> dict[str, str]:
    """Give who got a certificate in a step of an authority, and why."""
    before = outcome.before.get("certificates", {})
    return {name: why for name in outcome.after["certificates"] if (why := before.get(name, _NONE)) != _GOOD}


def _problems(names: Sequence[str], wish: Wish) -> Iterator[Problem]:
    for key, given in (("names", names), ("revoked", wish.revoked)):
        for name in given:
            if not _NAME.fullmatch(name):
                yield Problem("", None, key, f"{shown(name)} is not a host's name")
    for key, asked in (("renew", wish.renew), ("addresses", wish.addresses)):
        for name in asked:
            if name not in names:
                yield Problem("", None, key, f"{shown(name)} is none of the names", nearest(name, names))
    for name in wish.renew:
        if name in wish.revoked:
            yield Problem("", None, "renew", f"{name} is revoked, too: leave it out of one of the two")
    for name, addresses in wish.addresses.items():
        yield from _address_problems(name, addresses)
    if not _SUBJECT.fullmatch(wish.subject):
        yield Problem("", None, "subject", f"{shown(wish.subject)} is not a name of letters, digits and spaces")
    if not 1 <= wish.days <= _OWN_DAYS:
        yield Problem("", None, "days", f"{wish.days} is not a number from 1 to {_OWN_DAYS}")


def _address_problems(name: str, addresses: object) -> Iterator[Problem]:
    if not isinstance(addresses, (list, tuple)):
        yield Problem("", None, "addresses", f"{name}: {shown(addresses)} is not a list of IP addresses")
        return
    for address in addresses:
        if not _is_address(address):
            yield Problem("", None, "addresses", f"{name}: {shown(address)} is not an IP address")


def _is_address(value: object) -> bool:
    try:
        ip_address(str(value))
    except ValueError:
        return False
    return True


def _said(text: str) -> list[str]:
    """Read what OpenSSL says of a certificate's addresses."""
    found = re.findall(r"(DNS|IP Address):([^,\s]+)", text)
    return sorted(f"DNS:{value}" if kind == "DNS" else f"IP:{ip_address(value)}" for kind, value in found)
