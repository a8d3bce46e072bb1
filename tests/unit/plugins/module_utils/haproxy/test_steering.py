# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy import Server, leads_to, orders
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Counts
from hypothesis import given
from hypothesis import strategies as st

READY, MAINTAINED, LEFT = Server(False, 3, Counts()), Server(True, 0, Counts()), Server(True, 3, Counts())


@pytest.mark.parametrize(
    ("a", "b", "holder", "left", "said"),
    [
        (READY, MAINTAINED, "a", "b", []),
        (READY, MAINTAINED, "b", "", ["set server db/b state ready", "set server db/a state maint"]),
        (READY, MAINTAINED, None, "b", []),  # nobody: what waits goes on to be tried at the last one
        (READY, MAINTAINED, "stranger", "b", []),
        (MAINTAINED, MAINTAINED, "a", "ab", ["set server db/a state ready"]),
        (READY, READY, "a", "", ["set server db/b state maint"]),
        (READY, LEFT, "a", "", []),  # some of these may still be on their way to somewhere else
        (READY, LEFT, "a", "b", ["shutdown sessions server db/b"]),
        (READY, LEFT, None, "b", []),
    ],
)
def test_orders(a: Server, b: Server, holder: str | None, left: str, said: list[str]) -> None:
    assert orders("db", {"a": a, "b": b}, holder, left) == said


SERVERS = st.dictionaries(
    st.sampled_from("abcd"),
    st.builds(Server, st.booleans(), st.integers(0, 2), st.just(Counts())), min_size=1,
)  # fmt: skip


def obey(servers: dict[str, Server], said: list[str]) -> dict[str, Server]:
    """Do what HAProxy does, and say that at no time it would have found nobody."""
    servers = dict(servers)
    begun = any(not server.maintained for server in servers.values())
    for order in said:
        if order.startswith("shutdown"):
            name = order.rpartition("/")[2]
            servers[name] = replace(servers[name], sessions=0)
        else:
            _set, _server, place, _state, state = order.split()
            name = place.partition("/")[2]
            servers[name] = replace(servers[name], maintained=state == "maint")
        assert not begun or any(not server.maintained for server in servers.values())
    return servers


@given(SERVERS, st.sampled_from("abcd"))
def test_whatever_is_found_the_holder_is_the_one_that_is_ready(servers: dict[str, Server], holder: str) -> None:
    after = obey(servers, orders("db", servers, holder, ""))
    if holder in servers:
        assert leads_to(after) == holder
        assert after[holder].sessions == servers[holder].sessions
        settled = obey(after, orders("db", after, holder, "abcd"))
        assert not any(server.sessions for name, server in settled.items() if name != holder)
        assert orders("db", settled, holder, "abcd") == []
    else:
        assert after == servers


def test_it_leads_nowhere_while_that_is_not_clear() -> None:
    assert leads_to({"a": MAINTAINED}) is None
    assert leads_to({"a": READY, "b": READY}) is None
