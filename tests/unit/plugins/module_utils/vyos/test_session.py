# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions with a router whose rarer answers are scripted; the usual ones are in tests/contract/test_vyos.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos import ChannelLost, Session, VyosError
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.lines import Changes
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.session import Clock, Version

if TYPE_CHECKING:
    import re

CHANGE = Changes((), (("interfaces", "ethernet", "eth1", "disable"),))
LINE = "set interfaces ethernet eth1 disable"
RELOAD_LINE = "set system config-management commit-confirm reload"
NONE = "No changes between working and active configurations."
USUAL = {
    "show configuration commands": RELOAD_LINE,
    "systemctl is-active commit-confirm.timer": "inactive",
    "compare": "+ disable",
    "commit-confirm 2": "commit-confirm will automatically reload\nProceed ? [Y/n] ",
    "y": "Initialized commit-confirm; 2 minutes to confirm before reload",
    "confirm": "Reboot timer stopped",
    "save": "Done",
}


class Script:
    """A channel that answers as scripted. After a commit there is nothing left to compare."""

    def __init__(self, **answers: str | Exception) -> None:
        self.answers: dict[str, str | Exception] = {
            **USUAL,
            **{key.replace("_", " "): say for key, say in answers.items()},
        }
        self.typed: list[str] = []
        self.closed = 0

    def send(self, line: str, timeout: float = 30.0, question: re.Pattern[str] | None = None) -> str:
        self.typed.append(line)
        if line == "y" and "keep" not in self.answers:
            self.answers["compare"] = NONE
            self.answers["show configuration commands"] = f"{RELOAD_LINE}\n{LINE}"
        answer = self.answers.get(line, "")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1


class Ticks(Clock):
    """Time that passes at once."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def apply(script: Script, confirm: int = 2) -> None:
    with Session("r1", lambda: script, Ticks()) as session:
        session.apply(CHANGE, confirm, save=True)


def test_the_order_of_things() -> None:
    script = Script()
    apply(script)
    assert script.typed == [
        "show configuration commands",
        "systemctl is-active commit-confirm.timer",
        "configure",
        LINE,
        "compare",
        "commit-confirm 2",
        "y",
        "compare",
        "show configuration commands",
        "confirm",
        "save",
        "exit",
    ]
    assert script.closed == 2


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"save": "Error: No space left on device"}, "r1: the change is made, but not saved: Error: No space left"),
        ({"confirm": "Failed to stop"}, "r1: confirm: Failed to stop"),
        ({"keep": "all to compare"}, r"r1: commit-confirm 2: not all was committed: Initialized"),
        ({"compare": ""}, "r1: compare: no answer"),
        ({"configure": "Cannot enter configuration mode"}, "r1: configure: Cannot enter"),
        ({LINE: "something that nobody has seen before"}, f"r1: {LINE}: something that nobody has seen before"),
        ({LINE: "Warning: this is old\nSet failed"}, "Warning: this is old Set failed"),
    ],
)
def test_what_goes_wrong_is_told(answers: dict[str, str], message: str) -> None:
    script = Script(**answers)
    with pytest.raises(OkiagariError, match=message):
        apply(script)
    left = script.typed[script.typed.index("configure") :]
    assert left[-1] == ("configure" if "configure" in answers else "exit")


def test_a_warning_is_no_refusal() -> None:
    script = Script(**{LINE: "WARNING: this will go away one day"})
    apply(script)
    assert "confirm" in script.typed


def test_a_broken_connection_is_not_typed_at() -> None:
    script = Script(compare=ChannelLost("gone"))
    with pytest.raises(ChannelLost, match="gone"):
        apply(script)
    assert script.typed[-1] == "compare"


def test_a_commit_that_is_never_answered_is_taken_back() -> None:
    script = Script(y=ChannelLost("no answer to y"))

    def connect() -> Script:
        # The new login finds the former configuration.
        return Script() if script.typed else script

    with (
        Session("r1", connect, Ticks()) as session,
        pytest.raises(VyosError, match=r"no answer to y\. .*has taken it back"),
    ):
        session.apply(CHANGE, 2, save=True)
    assert script.typed[-1] == "y"


def test_a_change_that_locks_us_out_is_taken_back() -> None:
    script = Script()
    tries: list[str] = []

    def connect() -> Script:
        if script.typed and len(tries) < 3:
            tries.append("refused")
            raise VyosError("r1 refuses the login of vyos")
        return Script() if script.typed else script

    with Session("r1", connect, Ticks()) as session, pytest.raises(VyosError) as caught:
        session.apply(CHANGE, 2, save=True)
    assert str(caught.value) == (
        "r1 refuses the login of vyos. The change was not confirmed, and r1 has taken it back: "
        "it runs its former configuration again"
    )
    assert "confirm" not in script.typed
    assert script.typed[-1] == "exit"


def test_a_session_is_entered_first() -> None:
    with pytest.raises(ValueError, match="entered first"):
        Session("r1", Script).version()


@pytest.mark.parametrize(
    ("text", "number"), [("1.4.0", (1, 4)), ("1.5-rolling-202411080007", (1, 5)), ("1.3.8", (1, 3)), ("dev", (99, 0))]
)
def test_versions(text: str, number: tuple[int, int]) -> None:
    with Session("r1", lambda: Script(show_version=f"Version:          VyOS {text}\n")) as session:
        assert session.version() == Version(text, number)


def test_another_machine() -> None:
    script = Script(show_version="-bash: show: command not found")
    with Session("r1", lambda: script) as session, pytest.raises(VyosError, match="doesn't answer like a VyOS router"):
        session.version()
