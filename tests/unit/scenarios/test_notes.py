# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The notes' hooks over a real tally: a union, which loses nothing and may be done twice; and what a client proves."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.unit.roles.guest_image.serving_tally import serving
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
NOTES = ROOT / "scenarios" / "split_available" / "notes.py"
SPEC = importlib.util.spec_from_file_location("notes", NOTES)
assert SPEC
assert SPEC.loader
notes: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(notes)

KEYS = st.text("abc", min_size=1, max_size=2)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]), max_size=5).map(str.strip)
CONTENTS = st.dictionaries(KEYS, VALUES)


@contextmanager
def tally(kept: dict[str, str]) -> Iterator[tuple[Any, Path]]:
    """Run a tally that keeps this, and give a client of it and its folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        lines, _http = stack.enter_context(serving(folder))
        client = stack.enter_context(notes.Client("127.0.0.1", lines, 5.0))
        for key, value in kept.items():
            client.ask(f"set {key} {value}")
        yield client, folder


def contents(client: Any) -> dict[str, str]:
    return {key: client.get(key) for key in client.ask("keys").split()}


@given(here=CONTENTS, there=CONTENTS)
@settings(max_examples=25)
def test_a_merge_keeps_what_either_had_and_may_be_done_twice(here: dict[str, str], there: dict[str, str]) -> None:
    with tally(here) as (client, _folder):
        notes.merge(client, there, "b")
        merged = contents(client)
        assert merged.items() >= here.items()
        assert all(merged[key] == value or merged[f"{key}~b"] == value for key, value in there.items())
        assert merged.keys() <= here.keys() | there.keys() | {f"{key}~b" for key in here.keys() & there.keys()}
        sequence = json.loads(client.ask("status"))["sequence"]
        notes.merge(client, there, "b")
        assert (contents(client), json.loads(client.ask("status"))["sequence"]) == (merged, sequence)


def test_the_hook_exports_what_a_server_that_has_stopped_kept(tmp_path: Path) -> None:
    kept = {"a": "1", "motto": "fall seven times, rise eight", "empty": ""}
    with tally(kept) as (_client, folder):
        (tmp_path / "log").write_bytes((folder / "log").read_bytes())
    beside = ROOT / "roles" / "guest_image" / "files" / "guest"
    done = subprocess.run(
        [sys.executable, str(NOTES), "export", str(tmp_path)],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(beside)},
    )  # fmt: skip
    assert dict(map(json.loads, done.stdout.splitlines())) == kept


def test_a_server_that_runs_is_written_as_one_that_has_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    kept = {"a": "1", "motto": "fall seven times, rise eight", "empty": "", **{f"k{each}": "v" for each in range(450)}}
    with tally(kept) as (client, _folder):
        notes.snapshot(client)
    assert dict(map(json.loads, capsys.readouterr().out.splitlines())) == kept


def test_what_the_server_refuses_fails_the_merge() -> None:
    with tally({}) as (client, _folder), pytest.raises(OSError, match="at most"):
        notes.merge(client, {"a": "x" * 40000}, "b")


def test_the_judge_names_what_was_answered_and_is_not_there() -> None:
    with tally({"h-1": "1", "h-2": "2", "h-4": "other"}) as (client, _folder):
        said = notes.judge(client, [(1.0, "h-1", "1"), (3.5, "h-2", "2"), (3.6, "h-3", "3"), (3.7, "h-4", "4")])
    assert said == {"answers": 4, "outage_s": 2.5, "missing": ["h-3", "h-4"]}


def test_one_server_is_told_from_none() -> None:
    with tally({}) as (client, _folder):
        port = client._socket.getpeername()[1]
        assert notes.main("servers", str(port), "127.0.0.1", "127.0.0.2") == 0
        assert notes.main("servers", str(port), "127.0.0.2") == 1
        assert notes.main("all", str(port), "127.0.0.1") == 0
        assert notes.main("all", str(port), "127.0.0.1", "127.0.0.2") == 1
