# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's commands, with an `ansible` that notes what it is asked."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils import commands

if TYPE_CHECKING:
    from pathlib import Path

INTERFACES = [{"name": "w-osaka", "peer_address": {"__ansible_unsafe": "10.254.0.1/31"}}, {"name": "lan0"}]
INVENTORY = {"_meta": {"hostvars": {"hiroshima-r1": {"testbed_node": {"interfaces": INTERFACES}}, "x": {}}}}


class Ansible:
    """Programs in place of Ansible's. `asked` is what the ad-hoc command was called with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.answers()
        self._script("ansible-inventory", f"echo '{json.dumps(INVENTORY)}'")

    def answers(self, changed: bool = True, **result: Any) -> None:
        answer = json.dumps({"changed": changed, "fault": {"lease_ends_at": 1_795_262_400.0}, **result})
        code = 2 if "msg" in result else 0
        noted = self._folder / "asked"
        self._script("ansible", f'printf "%s\\n" "$@" > {noted}; echo \'hiroshima-r1 | X => {answer}\'; exit {code}')

    def asked(self) -> tuple[str, dict[str, Any]]:
        router, *_become, module, _a, arguments = (self._folder / "asked").read_text().splitlines()
        assert router == "hiroshima-r1"
        return module.removeprefix("okiagari.testbed."), json.loads(arguments)

    def _script(self, name: str, text: str) -> None:
        path = self._folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)


@pytest.fixture
def ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ansible:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TZ", "UTC")
    return Ansible(tmp_path)


@pytest.mark.parametrize(
    ("words", "module", "options", "told"),
    [
        ("linkctl down hiroshima-r1 w-osaka", "link_fault",
         {"fault": "down", "interface": "w-osaka", "state": "present", "lease": "10min"}, "down on w-osaka until"),
        ("linkctl up hiroshima-r1 w-osaka", "link_fault",
         {"fault": "down", "interface": "w-osaka", "state": "absent"}, "no down on w-osaka any more"),
        ("pktloss 100 hiroshima-r1 w-osaka --lease 20s", "link_fault",
         {"fault": "loss", "interface": "w-osaka", "percent": "100", "state": "present", "lease": "20s"},
         "loss of 100 % on w-osaka until"),
        ("pktloss 2.5 hiroshima-r1 w-osaka", "link_fault",
         {"fault": "loss", "interface": "w-osaka", "percent": "2.5", "state": "present", "lease": "10min"},
         "loss of 2.5 % on w-osaka until"),
        ("pktloss 0 hiroshima-r1 w-osaka", "link_fault",
         {"fault": "loss", "interface": "w-osaka", "state": "absent"}, "no loss on w-osaka any more"),
        ("dcroute add 10.2.0.0/24 hiroshima-r1 w-osaka", "route_fault",
         {"fault": "override", "prefix": "10.2.0.0/24", "via": "10.254.0.1", "state": "present", "lease": "10min"},
         "override on 10.2.0.0/24 via 10.254.0.1 until"),
        ("dcroute del 10.2.0.0/24 hiroshima-r1 w-osaka", "route_fault",
         {"fault": "override", "prefix": "10.2.0.0/24", "via": "10.254.0.1", "state": "absent"},
         "no override on 10.2.0.0/24 via 10.254.0.1 any more"),
    ],
)  # fmt: skip
def test_each_command_is_one_fault(
    ansible: Ansible, capsys: pytest.CaptureFixture[str], words: str, module: str, options: dict[str, Any], told: str
) -> None:
    assert commands.main(words.split()) == 0
    assert ansible.asked() == (module, options)
    assert capsys.readouterr().out.startswith(f"hiroshima-r1: {told}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "linkctl down hiroshima-r1 w-osakka",
            "linkctl: there is no interface w-osakka of hiroshima-r1; did you mean w-o",
        ),
        (
            "linkctl down hirosima-r1 w-osaka",
            "there is no router hirosima-r1 in the inventory; did you mean hiroshima-r1?",
        ),
        ("dcroute add 10.2.0.0/24 hiroshima-r1 lan0", "dcroute: lan0 of hiroshima-r1 leads to no neighbour"),
    ],
)
def test_mistakes_are_told_before_anything_is_contacted(
    ansible: Ansible, capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    assert commands.main(words.split()) == 1
    assert told in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        ansible.asked()


@pytest.mark.parametrize(
    "words", ["linkctl dwn r i", "pktloss 101 r i", "pktloss -- -1 r i", "pktloss x r i", "dcroute r"]
)
def test_arguments_that_make_no_sense_show_the_usage(capsys: pytest.CaptureFixture[str], words: str) -> None:
    with pytest.raises(SystemExit):
        commands.main(words.split())
    assert "usage: " in capsys.readouterr().err


def test_what_the_router_refuses_is_told(ansible: Ansible, capsys: pytest.CaptureFixture[str]) -> None:
    ansible.answers(failed=True, msg="foreign root qdisc htb 1: on w-osaka: left untouched")
    assert commands.main(["pktloss", "100", "hiroshima-r1", "w-osaka"]) == 1
    assert capsys.readouterr().err == "pktloss: foreign root qdisc htb 1: on w-osaka: left untouched\n"
