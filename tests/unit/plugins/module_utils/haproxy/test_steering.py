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

READY, MAINTAINED = Server(False, 9, 3, Counts()), Server(True, 9, 0, Counts())
LEFT = Server(True, 1, 3, Counts())


@pytest.mark.parametrize(
    ("a", "b", "holder", "said"),
    [
        (READY, MAINTAINED, "a", []),
        (READY, MAINTAINED, "b", ["set server db/b state ready", "set server db/a state maint"]),
        (READY, MAINTAINED, None, []),  # nobody: what waits goes on to be tried at the last one
        (READY, MAINTAINED, "stranger", []),
        (MAINTAINED, MAINTAINED, "a", ["set server db/a state ready"]),
        (READY, READY, "a", ["set server db/b state maint"]),
        (READY, LEFT, "a", []),  # some of these may still be on their way to somewhere else
        (READY, replace(LEFT, changed_s=2), "a", ["shutdown sessions server db/b"]),
        (READY, replace(LEFT, changed_s=2), None, []),
    ],
)
def test_orders(a: Server, b: Server, holder: str | None, said: list[str]) -> None:
    assert orders("db", {"a": a, "b": b}, holder) == said


SERVERS = st.dictionaries(
    st.sampled_from("abcd"),
    st.builds(Server, st.booleans(), st.integers(0, 5), st.integers(0, 2), st.just(Counts())), min_size=1,
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
    after = obey(servers, orders("db", servers, holder))
    if holder in servers:
        assert leads_to(after) == holder
        assert after[holder].sessions == servers[holder].sessions
        late = {name: replace(server, changed_s=2) for name, server in after.items()}
        settled = obey(late, orders("db", late, holder))
        assert not any(server.sessions for name, server in settled.items() if name != holder)
        assert orders("db", settled, holder) == []
    else:
        assert after == servers


def test_it_leads_nowhere_while_that_is_not_clear() -> None:
    assert leads_to({"a": MAINTAINED}) is None
    assert leads_to({"a": READY, "b": READY}) is None
