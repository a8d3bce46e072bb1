# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over real files."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.modules import config_files
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    return lambda **options: run_module(config_files.main, capsys, **options)


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def file(path: Path, content: str, **more: str) -> dict[str, str]:
    return {"path": str(path), "content": content, **more}


def test_life(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    options: dict[str, Any] = {"files": [file(tmp_path / "a" / "one", "1\n"), file(tmp_path / "two", "2\n")]}
    planned = run(**options, check=True)
    assert (planned["changed"], tree(tmp_path)) == (True, {})
    done = run(**options)
    assert (done["changed_paths"], done["diff"]) == (planned["changed_paths"], planned["diff"])
    assert done["changed_paths"] == [str(tmp_path / "a" / "one"), str(tmp_path / "two")]
    assert tree(tmp_path) == {"a/one": "1\n", "two": "2\n"}
    again = run(**options)
    assert (again["changed"], again["changed_paths"], again["diff"]) == (False, [], [])
    options["files"][0]["content"] = "1 and a half\n"
    changed = run(**options)
    assert changed["changed_paths"] == [str(tmp_path / "a" / "one")]
    assert changed["diff"] == [
        {
            "before_header": str(tmp_path / "a" / "one"),
            "after_header": str(tmp_path / "a" / "one"),
            "before": "mode: 0644\n1\n",
            "after": "mode: 0644\n1 and a half\n",
        }
    ]
    assert tree(tmp_path) == {"a/one": "1 and a half\n", "two": "2\n"}


def test_modes_are_kept_up(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    path = tmp_path / "secret"
    assert run(files=[file(path, "s", mode="600")])["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not run(files=[file(path, "s", mode="0600")])["changed"]
    path.chmod(0o644)
    assert run(files=[file(path, "s", mode="0600")])["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_owners_are_kept_up(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    mine = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
    path = tmp_path / "mine"
    assert run(files=[file(path, "x", **mine)])["changed"]
    assert not run(files=[file(path, "x", **mine)])["changed"]
    assert (path.stat().st_uid, path.stat().st_gid) == (os.getuid(), os.getgid())


def test_an_owner_may_be_missing_while_it_is_only_checked(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    options = {"files": [file(tmp_path / "a", "x", owner="nobody-at-all"), file(tmp_path / "b", "x", group="nogrp")]}
    assert run(**options, check=True)["changed"]
    refused = run(**options)
    assert refused["msg"].splitlines() == [
        f"{tmp_path}/a: there is no user nobody-at-all",
        f"{tmp_path}/b: there is no group nogrp",
    ]
    assert tree(tmp_path) == {}


def test_what_has_no_place_any_more_goes(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    prune = [str(tmp_path / "60-*.network"), str(tmp_path / "*.network.d" / "ours.conf")]
    for name in ("60-a.network", "60-b.network", "50-c.network", "x.network.d/ours.conf", "y.network.d/ours.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    (tmp_path / "y.network.d" / "theirs.conf").write_text("old")
    (tmp_path / "60-folder.network").mkdir()
    options: dict[str, Any] = {"files": [file(tmp_path / "60-a.network", "new")], "prune": prune}
    planned = run(**options, check=True)
    done = run(**options)
    assert planned["changed_paths"] == done["changed_paths"]
    assert tree(tmp_path) == {"60-a.network": "new", "50-c.network": "old", "y.network.d/theirs.conf": "old"}
    assert not (tmp_path / "x.network.d").exists()
    assert (tmp_path / "60-folder.network").is_dir()
    assert not run(**options)["changed"]


def test_a_link_is_replaced_and_never_followed(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    target = tmp_path / "target"
    target.write_text("untouched")
    (tmp_path / "link").symlink_to(target)
    assert run(files=[file(tmp_path / "link", "untouched")])["changed"]
    assert not (tmp_path / "link").is_symlink()
    assert run(files=[file(tmp_path / "link", "own")])["changed"]
    assert target.read_text() == "untouched"


def test_a_file_that_is_no_text_is_replaced(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    (tmp_path / "a").write_bytes(b"\xff\x00")
    assert run(files=[file(tmp_path / "a", "text")])["changed"]
    assert tree(tmp_path) == {"a": "text"}


def test_ends_of_lines_are_kept(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    assert run(files=[file(tmp_path / "a", "one\r\ntwo")])["changed"]
    assert (tmp_path / "a").read_bytes() == b"one\r\ntwo"
    assert not run(files=[file(tmp_path / "a", "one\r\ntwo")])["changed"]


def test_all_that_is_wrong_is_told(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    refused = run(
        files=[
            {"path": "relative", "content": ""},
            {"path": "/etc/../root/x", "content": ""},
            {"path": "/etc/a", "content": "", "mode": "rw"},
            {"path": "/etc/a", "content": ""},
        ],
        prune=["*.conf", "/*/etc/a/*"],
    )
    assert refused["msg"].splitlines() == [
        "relative: must be an absolute path without dots and double slashes",
        "/etc/../root/x: must be an absolute path without dots and double slashes",
        "/etc/a: rw is not a mode such as 0644",
        "/etc/a: is there twice",
        "*.conf: a glob to prune must be absolute, with wildcards in the last two of its parts only",
        "/*/etc/a/*: a glob to prune must be absolute, with wildcards in the last two of its parts only",
    ]


def test_a_folder_in_the_way_is_an_error(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    (tmp_path / "a").mkdir()
    assert run(files=[file(tmp_path / "a", "x")], check=True)["msg"] == f"{tmp_path}/a: is a directory"
    (tmp_path / "file").write_text("")
    assert "File exists" in run(files=[file(tmp_path / "file" / "b", "x")])["msg"]
