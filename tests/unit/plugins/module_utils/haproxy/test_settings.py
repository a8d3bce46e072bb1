# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's settings as text; tests/contract/test_proxies.py gives them to a real one."""

from __future__ import annotations

from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy import Listener, Proxy, settings

HOSTS = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "2001:db8::3"}


def section(name: str, listeners: dict[str, Listener]) -> list[str]:
    text = settings("/run/x.sock", listeners, "192.0.2.2")
    _before, _name, rest = text.partition(f"listen {name}\n")
    return [line.strip() for line in rest.partition("\n\n")[0].splitlines()]


def test_each_candidate_is_a_server_and_one_is_ready() -> None:
    assert section("db", {"db": Listener(Proxy(7080, "{address}", 7000), HOSTS)}) == [
        "mode tcp",
        "bind *:7080",
        "retries 120",
        "server a 192.0.2.1:7000",
        "server b 192.0.2.2:7000 disabled",
        "server c [2001:db8::3]:7000 disabled",
    ]


def test_what_speaks_http_has_more() -> None:
    lines = section("db", {"db": Listener(Proxy(80, "{address}", 8080, "http", wait_s=7), HOSTS)})
    assert {"mode http", "retries 14", "option abortonclose", "option forwardfor"} <= set(lines)
    assert "option abortonclose" not in section("db", {"db": Listener(Proxy(80, "{address}", 8080), HOSTS)})


def test_it_listens_where_it_is_told_and_a_guest_has_its_own_address() -> None:
    lines = section("db", {"db": Listener(Proxy(7000, "192.0.2.50", 7000, address="{address}"), HOSTS)})
    assert lines[1] == "bind 192.0.2.2:7000"
    assert lines[3:] == [
        "server a 192.0.2.50:7000", "server b 192.0.2.50:7000 disabled", "server c 192.0.2.50:7000 disabled",
    ]  # fmt: skip
    assert section("db", {"db": Listener(Proxy(7000, "::1", 7000, address="::1"), HOSTS)})[1] == "bind [::1]:7000"


def test_services_are_apart_and_in_one_order() -> None:
    listeners = {"web": Listener(Proxy(2, "{address}", 9), HOSTS), "db": Listener(Proxy(1, "{address}", 8), HOSTS)}
    text = settings("/run/x.sock", listeners, "192.0.2.1")
    assert text == settings("/run/x.sock", dict(reversed(listeners.items())), "192.0.2.1")
    assert text.index("listen db") < text.index("listen web")
    assert "stats socket /run/x.sock mode 600 level admin" in text
    assert settings("/run/x.sock", {}, "192.0.2.1") == ""
