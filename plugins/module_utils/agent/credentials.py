# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an agent's own certificate can be used at all, told before anything else, with the reason if not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..errors import BadInput, OkiagariError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .config import Config

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
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import NameOID

    tls = config.tls
    missing = [path for path in (tls.authority, tls.certificate, tls.key) if not path.exists()]
    if missing:
        yield from ((path, f"is missing: {_AGAIN}") for path in missing)
        return
    try:
        authority = x509.load_pem_x509_certificate(tls.authority.read_bytes())
        own = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
        key = serialization.load_pem_private_key(tls.key.read_bytes(), password=None)
    except ValueError as error:
        raise OkiagariError(
            f"the certificates in {tls.certificate.parent} can't be read ({error}): {_AGAIN}"
        ) from error
    try:
        own.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        yield tls.certificate, f"was not issued by {tls.authority}: {_AGAIN}"
    names = [str(name.value) for name in own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [config.name]:
        yield tls.certificate, f"is for {' '.join(names) or 'nobody'}, not for {config.name}: {_AGAIN}"
    if now > own.not_valid_after_utc:
        yield tls.certificate, f"has expired on {own.not_valid_after_utc:%Y-%m-%d}: {_AGAIN}"
    if now < own.not_valid_before_utc:
        yield tls.certificate, f"is not valid before {own.not_valid_before_utc:%Y-%m-%d %H:%M}: set this host's clock"
    if own.public_key() != key.public_key():
        yield tls.key, f"doesn't belong to {tls.certificate}: {_AGAIN}"
