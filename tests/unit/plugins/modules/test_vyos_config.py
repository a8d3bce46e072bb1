# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over a router that keeps its lines in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos import VyosError
from ansible_collections.okiagari.testbed.plugins.modules import vyos_config
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.netmiko_channel import Login

OPTIONS: dict[str, Any] = {"host": "r1", "password": "a secret", "lines": ["set a b", "set a c"], "scopes": ["a"]}


class Memory:
    """Stands for the channel. All logins see the same lines."""

    lines: set[str]
    logins: list[Login]
    commits: int

    def __init__(self, login: Login) -> None:
        self.logins.append(login)
        self.work = set(self.lines)

    def send(self, line: str, timeout: float = 30.0, question: re.Pattern[str] | None = None) -> str:
        verb, _space, rest = line.partition(" ")
        if line == "show version":
            return "Version:          VyOS 1.4.0"
        if line == "show configuration commands":
            return "\n".join(f"set {each}" for each in sorted(self.lines))
        if "wrong" in line:
            return f"  Configuration path: [{rest}] is not valid\n  Set failed"
        if verb == "set":
            self.work.add(rest)
        elif verb == "delete":
            self.work = {each for each in self.work if not f"{each} ".startswith(f"{rest} ")}
        elif verb == "compare":
            return "+ changes" if self.work != self.lines else "No changes between working and active configurations."
        elif verb in ("commit", "commit-confirm"):
            type(self).lines = set(self.work)
            type(self).commits += 1
        elif verb == "discard":
            self.work = set(self.lines)
        return ""

    def close(self) -> None:
        pass


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> type[Memory]:
    kind = type("Router", (Memory,), {"lines": {"a old", "other"}, "logins": [], "commits": 0})
    monkeypatch.setattr(vyos_config, "NetmikoChannel", kind)
    return kind


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    return lambda **options: run_module(vyos_config.main, capsys, **{**OPTIONS, **options})


def test_life(router: type[Memory], run: Callable[..., dict[str, Any]]) -> None:
    would = run(check=True, confirm=0)
    assert (would["changed"], router.commits, router.lines) == (True, 0, {"a old", "other"})
    assert would["commands"] == ["delete a old", "set a b", "set a c"]
    assert would["diff"] == {"prepared": "+ changes"}
    done = run(confirm=0)
    assert {key: done[key] for key in ("changed", "commands", "diff")} == {
        key: would[key] for key in ("changed", "commands", "diff")
    }
    assert (router.lines, router.commits) == ({"a b", "a c", "other"}, 1)
    assert (done["version"], done["revert"]) == ("1.4.0", None)
    again = run()
    assert (again["changed"], again["commands"], again["diff"], router.commits) == (False, [], {"prepared": ""}, 1)


def test_a_change_is_confirmed(router: type[Memory], run: Callable[..., dict[str, Any]]) -> None:
    done = run()
    assert (done["changed"], done["revert"]) == (True, "reload")
    assert done["commands"][0] == "set system config-management commit-confirm reload"
    assert "system config-management commit-confirm reload" in router.lines
    # One login to change, and another one to see that the router is still reached.
    assert len(router.logins) == 2


@pytest.mark.parametrize("check", [True, False])
def test_a_refused_line(router: type[Memory], run: Callable[..., dict[str, Any]], check: bool) -> None:
    refused = run(lines=["set a b", "set wrong 1", "set wrong 2"], check=check, confirm=0)
    assert refused["failed"]
    assert "r1: set wrong 1: Configuration path: [wrong 1] is not valid Set failed\nr1: set wrong 2:" in refused["msg"]
    assert router.commits == 0


def test_bad_input_reaches_no_router(router: type[Memory], run: Callable[..., dict[str, Any]]) -> None:
    assert "line 1: sett a: must begin with set; did you mean set?" in run(lines=["sett a"])["msg"]
    assert "confirm: must be from 0 to 60 minutes" in run(confirm=61)["msg"]
    assert "mutually exclusive" in run(ssh_config="/a", proxy_command="b")["msg"]
    assert router.logins == []


def test_an_older_release_is_refused(router: type[Memory], run: Callable[..., dict[str, Any]]) -> None:
    refused = run(release="1.5")
    assert refused["msg"] == "the lines are for VyOS 1.5 or later, and the router runs 1.4.0"
    assert router.commits == 0


def test_a_login_that_is_refused(
    router: type[Memory], run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(login: Login) -> Memory:
        raise VyosError(f"{login.host} refuses the login of {login.user}")

    monkeypatch.setattr(vyos_config, "NetmikoChannel", refuse)
    refused = run()
    assert refused["msg"] == "r1 refuses the login of vyos"
    assert "a secret" not in str(refused)
