# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.filter.proxy_settings import FilterModule

proxy_settings = FilterModule().filters()["proxy_settings"]
HOSTS = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"}
DB: dict[str, Any] = {"command": ["x"], "proxy": {"port": 7080, "to": "{address}:7000"}}


def text(services: dict[str, Any], name: str = "a") -> str:
    said: str = proxy_settings(services, {"name": name, "hosts": list(HOSTS), "addresses": HOSTS})
    return said


def test_each_candidate_has_a_proxy_and_nobody_else() -> None:
    db = DB | {"candidates": ["b", "c"]}
    assert text({"db": db}) == ""
    said = text({"db": db, "web": {"command": ["x"]}}, "b")
    assert [line.strip() for line in said.splitlines() if line.startswith(("listen", "    server"))] == [
        "listen db", "server b 192.0.2.2:7000", "server c 192.0.2.3:7000 disabled",
    ]  # fmt: skip
    assert "stats socket /run/okiagari-proxy/haproxy.sock mode 600 level admin" in said


@pytest.mark.parametrize("services", [{}, {"web": {"command": ["x"]}}])
def test_without_a_proxy_there_is_nothing_to_say(services: dict[str, Any]) -> None:
    assert text(services) == ""
