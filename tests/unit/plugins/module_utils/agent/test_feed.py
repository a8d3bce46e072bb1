# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that become events of an agent, which is there, away, slow, or refuses them."""

from __future__ import annotations

import io
import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import feed as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import main
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.feed import Backlog, Feed, Told
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue

from .agents import Listener, wait_for

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_262_400.0
JOURNAL = {
    "__REALTIME_TIMESTAMP": "1795262399500000", "__SEQNUM": "7", "__SEQNUM_ID": "ab12", "_HOSTNAME": "naist-kvm1",
    "MESSAGE": "disk is slow", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "kernel", "_SYSTEMD_UNIT": "x.service",
    "_PID": "9",
}  # fmt: skip


def read(told: Told, line: str) -> dict[str, Any]:
    event = told.event(line.encode(), NOW)
    assert event is not None
    return event


def test_lines_of_a_program() -> None:
    told = Told("text", "backup", "t1")
    assert read(told, '{"n": 1}\n') == {
        "source": "backup", "values": {"message": '{"n": 1}'}, "trace": "t1", "important": False, "time": NOW,
    }  # fmt: skip
    assert told.event(b" \n", NOW) is None


def test_lines_with_types() -> None:
    told = Told("json", "backup", "t1")
    said = read(told, '{"n": 1, "ok": true, "trace": "t2", "time": "2026-11-22T10:00:00Z", "level": "fatal"}')
    assert (said["values"]["n"], said["values"]["ok"], said["trace"], said["important"]) == (1, True, "t2", True)
    assert said["time"] == 1795341600.0
    assert read(told, "took=12.5 state=done")["values"] == {"took": 12.5, "state": "done"}
    assert read(told, "just text")["values"] == {"message": "just text"}


def test_lines_of_the_journal_and_what_is_important() -> None:
    line = json.dumps(JOURNAL)
    said = read(Told("journal", host="naist-kvm1"), line)
    assert said == {
        "source": "syslog/kernel", "trace": "", "important": False, "time": NOW - 0.5, "id": ["naist-kvm1/ab12", 7],
        "values": {"message": "disk is slow", "severity": "err", "unit": "x.service", "pid": 9},
    }  # fmt: skip
    assert read(Told("journal", host="other"), line)["host"] == "naist-kvm1"
    for least, important in {"crit": False, "err": True, "debug": True, "none": False}.items():
        assert read(Told("journal", important=least), line)["important"] is important
    assert not read(Told("json", important="none"), '{"level": "fatal"}')["important"]


@pytest.mark.parametrize("unit", ["okiagari-agent.service", "okiagari-agent-syslog.service"])
def test_what_the_agent_says_of_itself_does_not_go_round(unit: str) -> None:
    assert Told("journal").event(json.dumps(JOURNAL | {"_SYSTEMD_UNIT": unit}).encode(), NOW) is None


def test_lines_of_syslog() -> None:
    said = read(Told("syslog"), "<11>1 2026-11-22T10:00:00Z r1 bgpd 42 - - neighbour is gone")
    assert (said["source"], said["host"], said["time"]) == ("syslog/bgpd", "r1", 1795341600.0)
    assert said["values"] == {"facility": "user", "severity": "err", "message": "neighbour is gone", "pid": 42}


@pytest.mark.parametrize("wrong", [{"source": ""}, {"source": "x" * 121}, {"source": "\n"}, {"trace": "a b"}])
def test_a_source_or_trace_that_can_not_be(wrong: dict[str, str]) -> None:
    with pytest.raises(BadValue, match="signs of ASCII"):
        Told(**wrong)


@pytest.fixture
def agent(tmp_path: Path) -> Listener:
    return Listener(tmp_path / "run")


def make(agent: Listener, said: list[str] | None = None, **more: Any) -> Feed:
    return Feed(Told(source="test"), agent.run, "feed/1", (said if said is not None else []).append, **more)


def lines(count: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(count))


def test_all_lines_arrive_in_their_order_in_few_requests(agent: Listener) -> None:
    feed = make(agent)
    with agent.there():
        feed.run(io.BytesIO(lines(5000)))
    assert agent.values() == [{"message": str(number)} for number in range(5000)]
    assert (feed.told, feed.lost) == (5000, 0)
    assert agent.requests < 1000


def test_an_agent_that_comes_back_gets_what_waited(agent: Listener) -> None:
    clock, back = [0.0], threading.Event()

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        back.set()

    feed = make(agent, sleep=sleep, monotonic=lambda: clock[0], patience_s=10**9)
    thread = threading.Thread(target=feed.run, args=(io.BytesIO(lines(2000)),))
    thread.start()
    assert back.wait(60)
    with agent.there():
        thread.join()
    assert agent.values() == [{"message": str(number)} for number in range(2000)]
    assert (feed.told, feed.lost) == (2000, 0)


def test_an_agent_that_stays_away_is_waited_for_so_long_and_what_is_lost_is_said(agent: Listener) -> None:
    clock: list[float] = [0.0]
    said: list[str] = []

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    reading, writing = os.pipe()
    feed = make(agent, said, sleep=sleep, monotonic=lambda: clock[0], patience_s=3.0)
    with os.fdopen(reading, "rb") as stream:
        thread = threading.Thread(target=feed.run, args=(stream,))
        thread.start()
        os.write(writing, b"lost\n")
        wait_for(lambda: said)
        assert said[0].endswith("1 events are given up")
        assert clock[0] == pytest.approx(3.0, abs=module._RETRY_S)
        with agent.there():
            os.write(writing, b"not lost\n")
            wait_for(lambda: len(agent.told) == 2)
            os.close(writing)
            thread.join()
    assert agent.values() == [{"message": "not lost"}, {"event": "lines_lost", "lines": 1}]
    assert (feed.told, feed.lost) == (1, 1)


def test_an_answer_that_is_lost_doubles_nothing(agent: Listener) -> None:
    feed = make(agent, sleep=lambda _seconds: None)
    whole = feed._tell
    broken: list[int] = []

    def lose(events: list[dict[str, Any]]) -> None:
        whole(events)
        if not broken:
            broken.append(1)
            raise module.Away("gone")

    feed._tell = lose  # type: ignore[method-assign]
    with agent.there():
        feed.run(io.BytesIO(lines(10)))
    assert agent.values() == [{"message": str(number)} for number in range(10)]
    assert feed.told == 10


def test_what_is_refused_is_counted_and_the_rest_goes_on(agent: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 1)
    agent.refuse = "1"
    said: list[str] = []
    feed = make(agent, said)
    with agent.there():
        feed.run(io.BytesIO(lines(3)))
    assert [values for values in agent.values() if "message" in values] == [{"message": "0"}, {"message": "2"}]
    assert {"event": "lines_lost", "lines": 1} in agent.values()
    assert said == ["the agent refuses some of 1 events: event 1: no"]
    assert (feed.told, feed.lost) == (2, 1)


def test_a_program_is_as_slow_as_the_agent_but_not_held_up_by_one_that_is_away() -> None:
    backlog = Backlog(100)
    thread = threading.Thread(target=lambda: [backlog.put({"n": number}, 10) for number in range(15)])
    thread.start()
    wait_for(lambda: len(backlog._events) == 10)
    assert thread.is_alive()
    backlog.away(True)
    thread.join()
    assert backlog.dropped == 5
    assert [event["n"] for event in backlog.take()] == list(range(5, 15))
    backlog.end()
    backlog.put({"n": 99}, 10)
    assert backlog.take() == []


def test_a_batch_goes_into_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_BYTES", 100)
    backlog = Backlog(10_000)
    for size in (60, 60, 500, 10):
        backlog.put({"size": size}, size)
    assert [[event["size"] for event in backlog.take()] for _batch in range(3)] == [[60, 60], [500], [10]]


def test_letters_that_json_makes_long_still_go_into_a_request(agent: Listener) -> None:
    with agent.there():
        feed = make(agent)
        feed.run(io.BytesIO(("\u3042" * 6000 + "\n").encode() * 600))
    assert (feed.told, feed.lost) == (600, 0)
    assert agent.values()[0]["cut"] == 1000


class Standard:
    """Standard input of a command."""

    def __init__(self, said: bytes) -> None:
        self.buffer = io.BytesIO(said)

    def isatty(self) -> bool:
        return True


def test_the_command(agent: Listener, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(main.signal, "signal", lambda *_said: None)
    monkeypatch.setattr(main.sys, "stdin", Standard(b'{"n": 1}\n'))
    with agent.there():
        words = ["feed", "--json", "--source", "x", "--trace", "t", "--run", str(agent.run)]
        assert main.main(words) == 0
    ((origin, number),) = agent.told
    assert origin.startswith("feed/")
    assert number == 1
    assert "1 events told, 0 lost" in capsys.readouterr().err
    monkeypatch.setattr(main.sys, "stdin", Standard(b"x\n"))
    assert main.main(["feed", "--run", str(agent.run), "--patience", "0"]) == 1
    assert "0 events told, 1 lost" in capsys.readouterr().err
    assert main.main(["feed", "--trace", "a b"]) == 1
    assert "the trace is a b" in capsys.readouterr().err
