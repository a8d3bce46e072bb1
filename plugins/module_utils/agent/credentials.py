# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an agent's own certificate can be used at all, told before anything else, with the reason if not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from ..errors import BadInput, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cryptography.x509 import Certificate

    from .config import Config

_Loaded = TypeVar("_Loaded")
SOON_DAYS = 30
_AGAIN = "run playbooks/agents.yml, which makes and brings new ones"


def check(config: Config, now: datetime | None = None) -> str:
    """Raise `BadInput` with all that is wrong with this host's certificate; give a word if it is to expire soon."""
    problems = [Problem(str(path), None, "", message) for path, message in _problems(config, now or datetime.now(UTC))]
    if problems:
        raise BadInput(problems)
    left = (_end(config) - (now or datetime.now(UTC))).days
    return f"{config.tls.certificate} expires in {left} days: {_AGAIN}" if left < SOON_DAYS else ""


def _end(config: Config) -> datetime:
    from cryptography import x509

    return x509.load_pem_x509_certificate(config.tls.certificate.read_bytes()).not_valid_after_utc


def _problems(config: Config, now: datetime) -> Iterator[tuple[Path, str]]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import NameOID

    tls = config.tls
    authority, wrong_authority = _read(tls.authority, x509.load_pem_x509_certificate)
    own, wrong_own = _read(tls.certificate, x509.load_pem_x509_certificate)
    key, wrong_key = _read(tls.key, lambda pem: serialization.load_pem_private_key(pem, password=None))
    unread = ((tls.authority, wrong_authority), (tls.certificate, wrong_own), (tls.key, wrong_key))
    yield from ((path, wrong) for path, wrong in unread if wrong)
    for path, certificate in ((tls.authority, authority), (tls.certificate, own)):
        if certificate is not None:
            yield from ((path, wrong) for wrong in _wrong_times(certificate, now))
    if own is None:
        return
    if authority is not None and not _issued(own, authority):
        yield tls.certificate, f"was not issued by {tls.authority}: {_AGAIN}"
    names = [str(name.value) for name in own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [config.name]:
        yield tls.certificate, f"is for {' '.join(names) or 'nobody'}, not for {config.name}: {_AGAIN}"
    if key is not None and own.public_key() != key.public_key():
        yield tls.key, f"doesn't belong to {tls.certificate}: {_AGAIN}"


def _read(path: Path, load: Callable[[bytes], _Loaded]) -> tuple[_Loaded | None, str]:
    """Give what is in a file, or what is wrong with it."""
    try:
        return load(path.read_bytes()), ""
    except FileNotFoundError:
        return None, f"is missing: {_AGAIN}"
    except OSError as error:
        return None, f"can't be read: {error.strerror}"
    except (ValueError, TypeError) as error:
        return None, f"is not what it should be ({str(error).splitlines()[0]}): {_AGAIN}"


def _wrong_times(certificate: Certificate, now: datetime) -> Iterator[str]:
    if now > certificate.not_valid_after_utc:
        yield f"has expired on {certificate.not_valid_after_utc:%Y-%m-%d}: {_AGAIN}"
    if now < certificate.not_valid_before_utc:
        yield f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}: set this host's clock"


def _issued(own: Certificate, authority: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        own.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
