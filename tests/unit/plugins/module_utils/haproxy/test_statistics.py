# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from contextlib import suppress

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy import Server, read_statistics
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Counts
from hypothesis import given
from hypothesis import strategies as st

# Columns as HAProxy 2.6 and 3.0 name them, few of the hundred that there are.
HEAD = (
    "# pxname,svname,scur,bout,econ,eresp,wretr,wredis,status,lastchg,"
    "hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,srv_abrt,\n"
)
SAID = HEAD + (
    "db,FRONTEND,3,900,,,,,OPEN,,,,,,,,,\n"
    "db,a,2,800,1,2,3,4,no check,17,,,,,,,5,\n"
    "db,b,0,,,,,,MAINT,,,,,,,,,\n"
    "db,BACKEND,2,900,9,9,9,9,UP,17,,,,,,,9,\n"
    "web,a,0,800,0,0,1,0,MAINT (via db/a),3,1,20,300,4000,7,5,0,\n\n"
)


def test_servers_and_what_passed_to_them() -> None:
    assert read_statistics(SAID) == {
        "db": {"a": Server(False, 2, Counts(800, 15)), "b": Server(True, 0, Counts())},
        "web": {"a": Server(True, 0, Counts(4321, 8))},
    }


def test_a_haproxy_without_services_has_none() -> None:
    assert read_statistics(HEAD) == {}


@pytest.mark.parametrize(
    "said",
    [
        "Unknown command\nhelp",
        "# pxname,svname\ndb,a\n",
        SAID.replace("800", "x"),
        HEAD + "db\n",
        SAID.replace("# pxname", "# name"),
    ],
)
def test_what_is_not_the_table_is_refused(said: str) -> None:
    with pytest.raises(BadValue, match="is not what HAProxy says to show stat"):
        read_statistics(said)


@given(st.text())
def test_whatever_is_said_is_read_or_refused(said: str) -> None:
    with suppress(BadValue):
        read_statistics(HEAD + said)
