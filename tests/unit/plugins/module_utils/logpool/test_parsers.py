# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of other programs' logs: what is read of each form, and that any line at all is an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import (
    Emitter,
    Entry,
    Pool,
    journal,
    output,
    syslog,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.entries import MESSAGE_MOST
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
AUTH_CRIT = {"facility": "auth", "severity": "crit"}
USER_NOTICE = {"facility": "user", "severity": "notice"}


def at(*when: int, zone: timezone = UTC, microsecond: int = 0) -> float:
    return datetime(*when, microsecond=microsecond, tzinfo=zone).timestamp()  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for x\n",
            Entry({**AUTH_CRIT, "message": "'su root' failed for x", "msgid": "ID47"},
                  at(2003, 10, 11, 22, 14, 15, microsecond=3000), "mymachine.example.com", "su", important=True),
        ),
        (
            '<165>1 2003-08-24T05:14:15.000003-07:00 h my.p 8 - [ex@1 iut="3" s="a\\"b\\]\\\\c\\d"][f trace="t-1"] hi',
            Entry({"facility": "local4", "severity": "notice", "message": "hi", "pid": 8,
                   "data": {"ex@1": {"iut": "3", "s": 'a"b]\\c\\d'}, "f": {"trace": "t-1"}}},
                  at(2003, 8, 24, 12, 14, 15, microsecond=3), "h", "my.p", "t-1"),
        ),
        ("<34>1 - - - - - -", Entry({**AUTH_CRIT, "message": ""}, important=True)),
        ("<34>1 - h a worker-1 - [x]", Entry({**AUTH_CRIT, "message": "", "pid": "worker-1", "data": {"x": {}}},
                                             None, "h", "a", important=True)),
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            Entry({**AUTH_CRIT, "message": "'su root' failed"}, at(2026, 10, 11, 22, 14, 15), "mymachine", "su",
                  important=True),
        ),
        ("<13>Nov  2 10:00:00 sshd[123]: Accepted",
         Entry({**USER_NOTICE, "message": "Accepted", "pid": 123}, at(2026, 11, 2, 10, 0, 0), None, "sshd")),
        ("Nov 22 10:00:00 naist-kvm1 kernel: [12.3] up",
         Entry({"message": "[12.3] up"}, at(2026, 11, 22, 10, 0, 0), "naist-kvm1", "kernel")),
        ("<13>2026-11-22T10:00:00.5+09:00 h app[1]: m",
         Entry({**USER_NOTICE, "message": "m", "pid": 1}, at(2026, 11, 22, 1, 0, 0, microsecond=500_000), "h", "app")),
        ("<13>no time, no tag", Entry({**USER_NOTICE, "message": "no time, no tag"})),
        ("<13>Feb 30 10:00:00 h app: m", Entry({**USER_NOTICE, "message": "Feb 30 10:00:00 h app: m"})),
        ("<34>1 - - - - - [broken", Entry({**AUTH_CRIT, "message": "1 - - - - - [broken"}, important=True)),
        ("<192>x: y", Entry({"message": "<192>x: y"})),
        ("no syslog at all: none", Entry({"message": "no syslog at all: none"})),
        (b"<13>app: \xff\x00\r\n", Entry({**USER_NOTICE, "message": "\ufffd"}, source="app")),
        ("<13>2026-11-22T10:00:00Z h\u00f6st s\u00f6urce: m",
         Entry({**USER_NOTICE, "message": "m"}, at(2026, 11, 22, 10, 0, 0), "h?st", "s?urce")),
    ],
)  # fmt: skip
def test_lines_of_syslog(line: bytes | str, entry: Entry) -> None:
    assert syslog.parse(line, NOW) == entry


@pytest.mark.parametrize(
    ("now", "line", "expected"),
    [
        (at(2027, 1, 1, 0, 5, 0), "Dec 31 23:59:59", at(2026, 12, 31, 23, 59, 59)),
        (at(2026, 12, 31, 23, 59, 0), "Jan  1 00:00:01", at(2027, 1, 1, 0, 0, 1)),
        (at(2027, 3, 1, 0, 0, 0), "Feb 28 00:00:00", at(2027, 2, 28, 0, 0, 0)),
        (at(2028, 3, 1, 0, 0, 0), "Feb 29 00:00:00", at(2028, 2, 29, 0, 0, 0)),
        (at(1970, 1, 1, 0, 0, 0), "Dec 31 23:59:59", at(1970, 12, 31, 23, 59, 59)),
    ],
)
def test_a_year_that_is_not_told_is_the_nearest(now: float, line: str, expected: float) -> None:
    assert syslog.parse(f"{line} h a: m", now).time == expected


def test_times_without_a_zone_are_in_the_one_that_is_given() -> None:
    tokyo = timezone(timedelta(hours=9))
    expected = at(2026, 11, 22, 10, 0, 0, zone=tokyo)
    for line in ("Nov 22 10:00:00 h a: m", "2026-11-22T10:00:00 h a: m"):
        assert syslog.parse(line, NOW, tokyo).time == expected


def test_a_line_of_the_journal() -> None:
    said: dict[str, Any] = {
        "__REALTIME_TIMESTAMP": "1795262400000009", "_SOURCE_REALTIME_TIMESTAMP": "1795262400000001",
        "MESSAGE": [104, 105, 255], "PRIORITY": "2", "_HOSTNAME": "naist-kvm1", "SYSLOG_IDENTIFIER": "sshd",
        "_SYSTEMD_UNIT": "ssh.service", "_PID": "12", "CODE_LINE": "3", "TRACE_ID": ["t1", "t2"], "_UID": "0",
        "COREDUMP": None, "__SEQNUM": "7", "__SEQNUM_ID": "abc",
    }  # fmt: skip
    expected = Entry(
        {"message": "hi\ufffd", "severity": "crit", "unit": "ssh.service", "pid": 12, "code_line": "3",
         "trace_id": "t1"},
        1795262400.000001, "naist-kvm1", "sshd", "t1", important=True, id=("naist-kvm1/abc", 7),
    )  # fmt: skip
    assert journal.parse(json.dumps(said)) == expected
    assert journal.parse(json.dumps({**said, "__SEQNUM": "0"})).id is None
    assert journal.parse('{"MESSAGE": "m"}') == Entry({"message": "m"})
    for line in ('{"message": "m"}', "MESSAGE=m", "[]"):
        assert journal.parse(line) == Entry({"message": line})


def test_a_line_of_the_journal_that_is_fed_twice_is_one_event() -> None:
    pool, line = Pool(lambda: NOW), '{"MESSAGE": "m", "_HOSTNAME": "h", "__SEQNUM": "7", "__SEQNUM_ID": "abc"}'
    for run in ("r1", "r2"):
        pool.add(journal.parse(line).event(Emitter("h", run, lambda: NOW), "journal"))
    assert len(pool) == 1


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ('{"a": [1, {"b": null}], "time": "2026-11-22T10:00:00Z", "trace": "x", "level": "FATAL"}',
         Entry({"a": [1, {"b": None}], "time": "2026-11-22T10:00:00Z", "trace": "x", "level": "FATAL"},
               at(2026, 11, 22, 10, 0, 0), trace="x", important=True)),
        ('{"ts": 1795262400123}', Entry({"ts": 1795262400123}, 1795262400.123)),
        ('{"time": 12, "ts": 1795262400.5}', Entry({"time": 12, "ts": 1795262400.5}, 1795262400.5)),
        ('{"time": true, "trace": 5, "level": "error"}', Entry({"time": True, "trace": 5, "level": "error"})),
        (' a=1 b="x \\"y\\"" c=-2.5 d=true e= f=007 g.h=1e5 trace_id=t ',
         Entry({"a": 1, "b": 'x "y"', "c": -2.5, "d": True, "e": "", "f": "007", "g.h": "1e5", "trace_id": "t"},
               trace="t")),
        ('n="1" n2=99999999999999999999', Entry({"n": "1", "n2": "99999999999999999999"})),
        ("starting with a=1", Entry({"message": "starting with a=1"})),
        ('a="open', Entry({"message": 'a="open'})),
        ("{}", Entry({"message": "{}"})),
        ("", Entry({"message": ""})),
        ('{"a": NaN}', Entry({"message": '{"a": NaN}'})),
        ('{"a": 1e999}', Entry({"message": '{"a": 1e999}'})),
        ("x" * (MESSAGE_MOST + 3), Entry({"message": "x" * MESSAGE_MOST, "cut": 3})),
    ],
)  # fmt: skip
def test_lines_of_programs(line: str, entry: Entry) -> None:
    assert output.parse(line) == entry


PARSERS: list[Callable[[bytes | str], Entry]] = [lambda line: syslog.parse(line, NOW), journal.parse, output.parse]
journal_fields = st.dictionaries(
    st.sampled_from(["__REALTIME_TIMESTAMP", "MESSAGE", "PRIORITY", "_HOSTNAME", "SYSLOG_IDENTIFIER", "_PID",
                     "__SEQNUM", "__SEQNUM_ID", "TRACE", "OTHER"]),
    st.none() | st.text(max_size=5) | st.integers() | st.lists(st.integers(-1, 256)) | st.sampled_from(["7", "9" * 18]),
)  # fmt: skip
syslog_parts = st.lists(
    st.sampled_from(["<34>", "1 ", "- ", "[a", ' b="', '"]', "Feb 29 ", "00:00:00 ", "99:99:99 ", "h ", "a[", "]: ",
                     "0001-01-01T00:00:00Z ", "9999-12-31T23:59:59-23:59 ", "time=", "9999-12-31T23:59:59-09:00", " ",
                     "\\", "x"]),
    max_size=12,
).map("".join)  # fmt: skip
lines = st.text() | st.binary() | journal_fields.map(json.dumps) | syslog_parts


@pytest.mark.parametrize("parse", PARSERS, ids=["syslog", "journal", "output"])
@given(line=lines)
def test_any_line_is_an_event(parse: Callable[[bytes | str], Entry], line: bytes | str) -> None:
    pool = Pool(lambda: NOW, retention_s=NOW, most_bytes=10**6)
    assert pool.add(parse(line).event(Emitter("naist-kvm1", "r1", lambda: NOW), "tail"))


@pytest.mark.parametrize("parse", PARSERS, ids=["syslog", "journal", "output"])
@pytest.mark.parametrize(
    "line",
    ['{"MESSAGE": "' + "\U0001f600" * 20_000 + '"}', '{"a": ' + "[" * 40 + "]" * 40 + "}",
     "<34>1 - - - - - [a" + ' b="c"' * 10_000, "<34>" + "\x01" * 100_000, "a=1 " * 50_000 + "b"],
    ids=["wide", "deep", "open", "control", "pairs"],
)  # fmt: skip
def test_a_line_that_is_too_much_is_cut(parse: Callable[[bytes | str], Entry], line: str) -> None:
    entry = parse(line)
    assert Pool(lambda: NOW).add(entry.event(Emitter("naist-kvm1", "r1", lambda: NOW), "tail"))
    assert len(entry.values["message"]) <= MESSAGE_MOST
