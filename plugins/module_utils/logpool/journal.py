# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of systemd's journal as `journalctl --output=json` writes them."""

from __future__ import annotations

import re
from typing import Any, Final

from .entries import SEVERITIES, Entry, decoded, entry, host_name, source_name, text_entry, trace_in
from .event import ORIGIN
from .jsonline import json_mapping

_KNOWN: Final = frozenset(("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_TIMESTAMP", "SYSLOG_RAW"))
_WHOLE = re.compile(r"[0-9]{1,18}")


def parse(line: bytes | str) -> Entry:
    """Give what a line says; one that is no journal's is its text.

    Fields that the journal itself adds are left out, but for the unit and the process. Where it numbers its entries
    (systemd 254 and later), a line that is fed twice is one event.
    """
    text = decoded(line)
    said = json_mapping(text)
    if said is None or not ("__REALTIME_TIMESTAMP" in said or "MESSAGE" in said):
        return text_entry(text)
    fields = {key: found for key, value in said.items() if (found := _field(value)) is not None}
    priority = fields.get("PRIORITY", "")
    severity = SEVERITIES[int(priority)] if priority in tuple("01234567") else None
    own = {key.lower(): value for key, value in fields.items() if key not in _KNOWN and not key.startswith("_")}
    values: dict[str, Any] = {**own, "message": fields.get("MESSAGE", "")}
    values |= {"severity": severity} if severity else {}
    values |= {"unit": fields["_SYSTEMD_UNIT"]} if "_SYSTEMD_UNIT" in fields else {}
    values |= {"pid": int(fields["_PID"])} if _WHOLE.fullmatch(fields.get("_PID", "")) else {}
    host = host_name(fields.get("_HOSTNAME"))
    return entry(
        text,
        values,
        time=_microseconds(fields.get("_SOURCE_REALTIME_TIMESTAMP") or fields.get("__REALTIME_TIMESTAMP", "")),
        host=host,
        source=source_name(fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM") or fields.get("_SYSTEMD_UNIT")),
        trace=trace_in(values),
        important=severity in SEVERITIES[:3],
        id=_id(host, fields),
    )


def _field(value: object) -> str | None:
    """Give a field as text. What isn't UTF-8 is a list of bytes; of a field that is there several times, the first."""
    if isinstance(value, list) and value:
        if all(isinstance(byte, int) and 0 <= byte <= 255 for byte in value):
            return bytes(value).decode("utf-8", "replace")
        value = value[0]
    return value if isinstance(value, str) else None


def _microseconds(said: str) -> float | None:
    return int(said) / 1e6 if _WHOLE.fullmatch(said) and int(said) < 1e17 else None


def _id(host: str | None, fields: dict[str, str]) -> tuple[str, int] | None:
    number, journal = fields.get("__SEQNUM", ""), fields.get("__SEQNUM_ID", "")
    origin = f"{host}/{journal}"
    if not (host and journal and ORIGIN.fullmatch(origin) and _WHOLE.fullmatch(number) and int(number)):
        return None
    return origin, int(number)
