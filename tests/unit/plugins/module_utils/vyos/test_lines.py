# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.lines import (
    Changes,
    Path,
    Scope,
    command,
    difference,
    missing,
    parse,
    wanted,
)
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.sampled_from(["a", "b", "c", "br7", "br100", "br101"])
PATHS = st.lists(st.lists(WORDS, min_size=1, max_size=4).map(tuple), max_size=8, unique=True)
SCOPES = st.lists(
    st.lists(st.sampled_from(["a", "b", "br{100..200}"]), min_size=1, max_size=3).map(tuple).map(Scope), max_size=3
)


def read(*lines: str) -> list[Path]:
    return parse("\n".join(lines))


def after(have: list[Path], changes: Changes) -> set[Path]:
    """Give the lines of a configuration to which the changes were made."""
    nodes = {path[:size] for path in have for size in range(1, len(path) + 1)}
    for gone in changes.delete:
        nodes = {node for node in nodes if node[: len(gone)] != gone}
    return nodes | {path[:size] for path in changes.set for size in range(1, len(path) + 1)}


def test_only_what_differs_is_typed() -> None:
    have = read(
        "set interfaces ethernet eth1 mtu '1500'", "set interfaces bridge br100 stp", "set service ssh port '22'"
    )
    want, scopes = wanted(
        ["set interfaces ethernet eth1 mtu 1600", "", "# why", "set interfaces bridge br100 stp"],
        ["interfaces bridge br{100..3999}", "interfaces ethernet eth1 mtu"],
    )
    assert difference(want, have, scopes).commands() == [
        "delete interfaces ethernet eth1 mtu 1500",
        "set interfaces ethernet eth1 mtu 1600",
    ]


def test_a_branch_goes_at_once_but_never_above_its_scope() -> None:
    have = read(
        "set interfaces bridge br101 stp",
        "set interfaces bridge br101 member interface eth1.101",
        "set interfaces bridge br7 stp",
        "set vrf name old table '5'",
    )
    scopes = [Scope.read("interfaces bridge br{100..3999}"), Scope.read("vrf name old protocols")]
    assert difference([], have, scopes).commands() == ["delete interfaces bridge br101"]


def test_a_line_is_there_if_one_begins_with_it() -> None:
    have = read("set protocols bgp neighbor 192.0.2.1 address-family ipv4-unicast nexthop-self")
    want = read("set protocols bgp neighbor 192.0.2.1 address-family ipv4-unicast")
    scope = Scope.read("protocols bgp neighbor 192.0.2.1")
    assert difference(want, have, []) == ((), ())
    assert difference(want, have, [scope]).commands() == [
        "delete protocols bgp neighbor 192.0.2.1 address-family ipv4-unicast nexthop-self"
    ]
    assert missing(want, have) == []
    assert missing(read("set protocols bgp neighbor 192.0.2.2"), have) == [
        ("protocols", "bgp", "neighbor", "192.0.2.2")
    ]


@given(PATHS, PATHS, SCOPES)
def test_changes_lead_to_what_is_wanted(want: list[Path], have: list[Path], scopes: list[Scope]) -> None:
    found = after(have, difference(want, have, scopes))
    needed = {path[:size] for path in want for size in range(1, len(path) + 1)}
    assert needed <= found
    # What is ours and wasn't wanted is gone, and what isn't ours stays.
    assert not [path for path in have if path not in needed and path in found and any(s.holds(path) for s in scopes)]
    assert {path for path in have if not any(scope.holds(path) for scope in scopes)} <= found
    left = sorted(path for path in found if not any(o[: len(path)] == path and o != path for o in found))
    assert difference(want, left, scopes).set == ()


def test_quotes() -> None:
    (path,) = read("set interfaces ethernet eth1 description 'the way to Osaka'")
    assert path[-1] == "the way to Osaka"
    assert command("set", path) == "set interfaces ethernet eth1 description 'the way to Osaka'"
    assert read("set system login banner 'its", "interfaces {", "set service ssh") == [("service", "ssh")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sett interfaces", "must begin with set; did you mean set?"),
        ("delete interfaces", "name a scope that holds it"),
        ("set", "says nothing to set"),
        ("set a 'b", "has a quote without its end"),
        ('set a "it\'s"', "can't be typed"),
        ("set a b?", "can't be typed"),
        ("set a ''", "holds an empty word"),
        ("set a\nset b", "must be one line"),
    ],
)
def test_lines_that_are_none(line: str, message: str) -> None:
    with pytest.raises(BadInput, match=message.replace("?", r"\?")):
        wanted([line], [])


def test_all_that_is_wrong_is_told() -> None:
    with pytest.raises(BadInput) as caught:
        wanted(["set a b", "del a"], ["", "interfaces bridge br{9..1}", "interfaces bridge br{a}", "a"])
    assert [problem.key for problem in caught.value.problems] == ["line 2", "scopes", "scopes", "scopes"]
    assert "everything would be deleted" in str(caught.value)
    assert "the range of br{9..1} is empty" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("br100 x", True),
        ("br3999", True),
        ("br99", False),
        ("br4000", False),
        ("br", False),
        ("br1e2", False),
        ("xbr100", False),
    ],
)
def test_a_range_holds_its_numbers(path: str, held: bool) -> None:
    assert Scope.read("br{100..3999}").holds(path.split()) is held
