# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.succession import Succession
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import Outcome, reconcile

if TYPE_CHECKING:
    from collections.abc import Iterator


class Agents:
    """All agents as one: who holds the service, what is ruled, and how many looks a hand-over takes."""

    def __init__(self, holder: str | None = "a", takes: int = 0) -> None:
        self.holder, self._takes = holder, takes
        self.rules: dict[str, Any] = {"revision": 1, "forbidden": [], "preferred": [], "allowed": None}
        self.asked: list[str] = []
        self._next: str | None = None

    def __call__(self, request: dict[str, Any], **_options: Any) -> Iterator[dict[str, Any]]:
        op = request["op"]
        self.asked.append(op)
        assert request["service"] == "db"
        if op == "election":
            if self._next and not self._takes:
                self.holder, self._next = self._next, None
            self._takes -= bool(self._next)
            yield {"holder": self.holder, "decision": {"elected": "b"}, "silent": {"c": "no answer"}}
        elif op == "rules":
            before = dict(self.rules)
            self.rules |= {key: value for key, value in request.items() if key in before}
            yield {"before": before, "after": self.rules}
        else:
            if request["to"] in self.rules["forbidden"]:
                raise OkiagariError(f"{request['to']} is forbidden; allow it first")
            self._next = request["to"]
            yield {"handed_over": True}


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def bring(agents: Agents, to: str | None = None, check: bool = False, **rules: Any) -> Outcome:
    succession = Succession(agents, Clock(), "db", rules, to, 10.0)  # type: ignore[arg-type]
    return reconcile(
        "present", check, read=succession.read, want=succession.want, create=succession.create,
        remove=succession.remove,
    )  # fmt: skip


def test_showing_changes_nothing() -> None:
    agents = Agents()
    assert not bring(agents).changed
    assert set(agents.asked) == {"election", "rules"}
    assert agents.rules["revision"] == 1


def test_rules_are_made_so_once() -> None:
    agents = Agents()
    assert bring(agents, check=True, forbidden=["b", "a", "b"]).changed
    assert agents.rules["forbidden"] == []
    assert bring(agents, forbidden=["b", "a", "b"]).changed
    assert agents.rules["forbidden"] == ["a", "b"]
    assert not bring(agents, forbidden=["a", "b"]).changed
    assert agents.rules["allowed"] is None


def test_an_empty_list_of_allowed_hosts_allows_all_again() -> None:
    agents = Agents()
    assert bring(agents, allowed=["b"]).changed
    assert agents.rules["allowed"] == ["b"]
    assert bring(agents, allowed=[]).changed
    assert agents.rules["allowed"] is None
    assert not bring(agents, allowed=[]).changed


def test_a_service_is_handed_over_after_the_rules_and_waited_for() -> None:
    agents = Agents(takes=3)
    outcome = bring(agents, "b", forbidden=["a"])
    assert (outcome.changed, agents.holder, outcome.after["holder"]) == (True, "b", "b")
    assert agents.asked.index("hand_over") > agents.asked.index("rules")
    agents.asked.clear()
    assert not bring(agents, "b").changed
    assert "hand_over" not in agents.asked


def test_what_is_refused_is_told() -> None:
    with pytest.raises(OkiagariError, match="b is forbidden"):
        bring(Agents(), "b", forbidden=["b"])


@pytest.mark.parametrize(("holder", "has"), [("a", "a has it"), (None, "nobody has it")])
def test_a_hand_over_that_takes_too_long_says_where_to_look(holder: str | None, has: str) -> None:
    with pytest.raises(OkiagariError, match=f"b has not taken db within 10 s; {has}") as raised:
        bring(Agents(holder, takes=10_000), "b")
    assert "okiagari-agent ask query" in str(raised.value)
