# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy.proxy import Proxy, clashes, flaws, read_proxy

GOOD: dict[str, Any] = {"port": 7080, "to": "{address}:7000"}


@pytest.mark.parametrize(
    ("said", "proxy"),
    [
        ({}, Proxy(7080, "{address}", 7000)),
        ({"mode": "http", "wait_s": 9}, Proxy(7080, "{address}", 7000, "http", wait_s=9)),
        ({"to": "192.0.2.7:7080"}, Proxy(7080, "192.0.2.7", 7080)),
        ({"to": "[2001:db8::7]:80", "address": "{address}"}, Proxy(7080, "2001:db8::7", 80, address="{address}")),
        ({"address": "192.0.2.1"}, Proxy(7080, "{address}", 7000, address="192.0.2.1")),
    ],
)
def test_a_proxy(said: dict[str, Any], proxy: Proxy) -> None:
    assert list(flaws(GOOD | said)) == []
    assert read_proxy(GOOD | said) == proxy


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"port": 0}, ("port", "0 is not a whole number from 1 to 65535", None)),
        ({"port": 7000}, ("port", "is where the service itself is at its server, {address}:7000", None)),
        ({"to": "7000"}, ("to", "7000 is not an address and a port: say {address}:7000, or 192.0.2.1:7000", None)),
        ({"to": "{adress}:7000"}, ("to", "{adress}:7000 is not an address and a port", None)),
        ({"to": "db.example.org:7000"}, ("to", "db.example.org:7000 is not an address and a port", None)),
        ({"to": "{address}:70000"}, ("to", "{address}:70000 is not", None)),
        ({"mode": "htpp"}, ("mode", "there is no mode htpp", "http")),
        ({"address": "0.0.0.0/0"}, ("address", "0.0.0.0/0 is neither an IP address nor {address}", None)),
        ({"wait_s": 0}, ("wait_s", "0 is not a whole number from 1 to 3600", None)),
    ],
)
def test_what_no_proxy_can_be(said: dict[str, Any], wrong: tuple[str, str, str | None]) -> None:
    ((key, why, near),) = flaws(GOOD | said)
    assert (key, near) == (wrong[0], wrong[2])
    assert why.startswith(wrong[1])


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert [key for key, _why, _near in flaws({"port": -1, "to": "x", "mode": "x", "wait_s": 9999})] == [
        "port", "to", "mode", "wait_s",
    ]  # fmt: skip


def test_a_port_is_one_services() -> None:
    assert list(clashes({"db": 7080, "web": 7081, "log": 7080, "net": 7447}, [7447])) == [
        ("log", "7080 is db's port already: choose another one"),
        ("net", "7447 is the agents' port already: choose another one"),
    ]
