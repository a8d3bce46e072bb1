# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""netem and filters: what tc is told, and what it prints. The printed texts are those of iproute2 6.15 on Linux 7.2."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault import classify, netem
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.match import only
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import parse_fault
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import netem_options
from hypothesis import given
from hypothesis import strategies as st

PRINTED = {"seed": 4681518325584956116, "ecn": False, "gap": 0}


@pytest.mark.parametrize(
    ("options", "wanted", "words"),
    [
        ({"limit": 10000, "loss-gemodel": {"p": 0.01, "r": 0.1, "1-h": 0.7, "1-k": 0.001}},
         {"limit": 10000, "loss_gemodel_percent": [1.0, 10.0, 70.0, 0.1]}, "limit 10000 loss gemodel 1% 10% 70% 0.1%"),
        ({"limit": 4, "loss-gemodel": {"p": 0.01, "r": 0.99, "1-h": 1, "1-k": 0}},
         {"limit": 4, "loss_gemodel_percent": [1.0]}, "limit 4 loss gemodel 1%"),
        ({"limit": 1000, "loss-state": {"p13": 0.01, "p31": 0.1, "p32": 0.7, "p23": 0.05, "p14": 0.001}},
         {"limit": 1000, "loss_states_percent": [1.0, 10.0, 70.0, 5.0, 0.1]},
         "limit 1000 loss state 1% 10% 70% 5% 0.1%"),
        ({"limit": 5, "loss-random": {"loss": 1.00001e-06, "correlation": 0}},
         {"limit": 5, "loss_percent": 0.0001}, "limit 5 loss 0.0001%"),
        ({"limit": 3, "delay": {"delay": 60, "jitter": 1e-06, "correlation": 0.995}},
         {"limit": 3, "delay_ms": 60000.0, "jitter_ms": 0.001, "delay_correlation_percent": 99.5},
         "limit 3 delay 60000000us 1us 99.5%"),
        ({"limit": 1000, "delay": {"delay": 0.01, "jitter": 0.001, "correlation": 0.25},
          "loss-random": {"loss": 0.03, "correlation": 0.25}, "reorder": {"reorder": 0.25, "correlation": 0.5},
          "corrupt": {"corrupt": 0.01, "correlation": 0.05},
          "rate": {"rate": 1250000, "packetoverhead": 0, "cellsize": 0, "celloverhead": 0}, "seed": 42, "gap": 5},
         {"limit": 1000, "delay_ms": 10.0, "jitter_ms": 1.0, "delay_correlation_percent": 25.0,
          "distribution": "normal", "loss_percent": 3.0, "loss_correlation_percent": 25.0, "reorder_percent": 25.0,
          "reorder_correlation_percent": 50.0, "reorder_gap": 5, "corrupt_percent": 1.0,
          "corrupt_correlation_percent": 5.0, "rate_bps": 10_000_000, "seed": 42},
         ("limit 1000 delay 10000us 1000us 25% distribution normal loss 3% 25% corrupt 1% 5% reorder 25% 50% gap 5 "
         "rate 10000000bit seed 42")),
        ({"limit": 4, "delay": {"delay": 0.01, "jitter": 0, "correlation": 0},
          "reorder": {"reorder": 0.25, "correlation": 0.5}, "gap": 1},
         {"limit": 4, "delay_ms": 10.0, "reorder_percent": 25.0, "reorder_correlation_percent": 50.0},
         "limit 4 delay 10000us reorder 25% 50%"),
    ],
)  # fmt: skip
def test_what_is_asked_is_told_and_recognised(options: dict[str, Any], wanted: dict[str, Any], words: str) -> None:
    assert " ".join(netem.words(wanted)) == words
    assert netem.agrees(netem.read({**PRINTED, **options}), wanted)
    assert netem.agrees(netem.read(netem_options(words.split())), wanted)


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [
        ({"limit": 10, "loss_percent": 3.1}, {"limit": 10, "loss_percent": 3.0}),
        ({"limit": 10}, {"limit": 10, "loss_percent": 3.0}),
        ({"limit": 10, "loss_percent": 3.0, "delay_ms": 5.0}, {"limit": 10, "loss_percent": 3.0}),
        (
            {"limit": 10, "loss_gemodel_percent": [1.0, 9.0, 100.0, 0.0]},
            {"limit": 10, "loss_gemodel_percent": [1.0, 10.0]},
        ),
        ({}, {"limit": 10, "loss_percent": 3.0}),
        ({"limit": 10**400}, {"limit": 10}),
        ({"limit": 10, "loss_percent": 10**400}, {"limit": 10, "loss_percent": 3.0}),
        ({"limit": 10, "loss_percent": 3.0, "seed": 1}, {"limit": 10, "loss_percent": 3.0, "seed": 42}),
    ],
)
def test_what_differs_is_noticed(installed: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert not netem.agrees(installed, wanted)


@pytest.mark.parametrize(
    ("asked", "limit"),
    [
        ({"loss_percent": 1.0}, 10000),
        ({"delay_ms": 300.0}, 50000),
        ({"rate_bps": 10_000_000}, 84),
        ({"rate_bps": 10_000_000, "delay_ms": 100.0, "jitter_ms": 20.0}, 217),
        ({"rate_bps": 8_000}, 10),
        ({"rate_bps": 10_000_000, "limit": 7}, 7),
    ],
)
def test_the_queue_holds_what_is_under_way(asked: dict[str, Any], limit: int) -> None:
    assert netem.with_limit(asked)["limit"] == limit


BETWEEN = "match u32 0x00640000 0x0fff0000 at -4 match u32 0x00008100 0x0000ffff at -8"
BETWEEN_IP = "match u32 0x00640800 0x0fffffff at -4 match u32 0x00008100 0x0000ffff at -8"
BETWEEN_IPV6 = "match u32 0x006486dd 0x0fffffff at -4 match u32 0x00008100 0x0000ffff at -8"
NESTED = "flower vlan_id 101 vlan_ethtype 802.1Q cvlan_id 100"
HANDED_OVER = ("802.1ad", "flower vlan_id 101")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"s_tag": 101}, [("802.1ad", "flower vlan_id 101")]),
        ({"s_tag": 101, "c_tag": 100}, [("802.1ad", NESTED), HANDED_OVER, ("802.1ad", f"u32 {BETWEEN}")]),
        ({"to": "10.2.0.0/24"}, [("ip", "flower dst_ip 10.2.0.0/24")]),
        ({"to": "10.2.0.1"}, [("ip", "flower dst_ip 10.2.0.1")]),
        ({"to": "0.0.0.0/0", "protocol": "icmp"}, [("ip", "flower ip_proto icmp")]),
        ({"to": "2001:db8::/32", "protocol": "icmp"}, [("ipv6", "flower dst_ip 2001:db8::/32 ip_proto icmpv6")]),
        ({"dscp": "cs0"}, [("ip", "flower ip_tos 0x00/0xfc"), ("ipv6", "flower ip_tos 0x00/0xfc")]),
        ({"to": "10.2.0.0/24", "protocol": "tcp", "port": 80},
         [("ip", f"flower dst_ip 10.2.0.0/24 ip_proto tcp {port} 80") for port in ("dst_port", "src_port")]),
        ({"s_tag": 101, "to": "10.2.0.0/24"}, [("802.1ad", "flower vlan_id 101 vlan_ethtype ip dst_ip 10.2.0.0/24")]),
        ({"s_tag": 101, "c_tag": 100, "to": "10.2.0.0/24", "protocol": "udp", "port": 53, "dscp": 46},
         [*(("802.1ad", f"{NESTED} cvlan_ethtype ip dst_ip 10.2.0.0/24 ip_proto udp ip_tos 0xb8/0xfc {port} 53")
            for port in ("dst_port", "src_port")),
          HANDED_OVER,
          *(("802.1ad",
             (f"u32 {BETWEEN_IP} match u32 0x0a020000 0xffffff00 at 16 match u32 0x00110000 0x00ff0000 at 8 "
              f"match u32 0x00b80000 0x00fc0000 at 0 match u32 {port} at 20"))
            for port in ("0x00000035 0x0000ffff", "0x00350000 0xffff0000"))]),
        ({"s_tag": 101, "c_tag": 100, "to": "2001:db8::/32", "protocol": "icmp", "dscp": "ef"},
         [("802.1ad", f"{NESTED} cvlan_ethtype ipv6 dst_ip 2001:db8::/32 ip_proto icmpv6 ip_tos 0xb8/0xfc"),
          HANDED_OVER,
          ("802.1ad", (f"u32 {BETWEEN_IPV6} match u32 0x20010db8 0xffffffff at 24 match u32 0x00003a00 0x0000ff00 at 4 "
                       "match u32 0x0b800000 0x0fc00000 at 0"))]),
    ],
)  # fmt: skip
def test_filters_catch_what_is_described(asked: dict[str, Any], told: list[tuple[str, str]]) -> None:
    found = classify.filters(only(asked))
    assert [(each["protocol"], " ".join(classify.words(each))) for each in found] == told


def test_u32_matches_are_where_the_headers_have_them() -> None:
    """Against headers made by hand: IPv6, traffic class of EF, UDP, to port 53 of 2001:db8::7."""
    header = bytes.fromhex("6b80000000101140") + bytes(16) + bytes.fromhex("20010db8" + 22 * "0" + "07")
    frame = bytes.fromhex("02118100006486dd") + header + bytes.fromhex("c001003500100000")
    asked = {"s_tag": 5, "c_tag": 100, "to": "2001:db8::7/128", "protocol": "udp", "port": 53, "dscp": 46}
    there, back = (each["match"] for each in classify.filters(only(asked)) if "match" in each)

    def matches(match: list[Any]) -> bool:
        return all(int.from_bytes(frame[8 + at : 12 + at], "big") & mask == value for value, mask, at in match)

    assert (matches(there), matches(back)) == (True, False)
    assert not any(matches(each["match"]) for each in classify.filters(only({**asked, "c_tag": 99})) if "match" in each)


PRINTED_FILTERS = """[{"protocol":"802.1ad","pref":2,"kind":"flower","chain":0},
{"protocol":"802.1ad","pref":2,"kind":"flower","chain":0,"options":{"handle":1,"keys":{"vlan_id":101},"not_in_hw":true,
"actions":[{"order":1,"kind":"gact","control_action":{"type":"goto","chain":1},"prob":{"random_type":"none",
"control_action":{"type":"pass"},"val":0},"index":1,"ref":1,"bind":1}]}},
{"protocol":"802.1ad","pref":1,"kind":"flower","chain":0,"options":{"handle":1,"classid":"fa17:2","keys":{"vlan_id":101,
"vlan_ethtype":"802.1Q","cvlan_id":100,"cvlan_ethtype":"ip","eth_type":"ipv4","ip_tos":184,"ip_tos_mask":"fc",
"dst_ip":"10.2.0.0/24"},"not_in_hw":true}},
{"protocol":"802.1ad","pref":3,"kind":"u32","chain":1,"options":{"fh":"800:","ht_divisor":1}},
{"protocol":"802.1ad","pref":3,"kind":"u32","chain":1,"options":{"fh":"800::800","order":2048,"key_ht":"800","bkt":"0",
"flowid":"fa17:2","not_in_hw":true,"match":{"value":"640800","mask":"fffffff","offmask":"","off":-4},
"match":{"value":"8100","mask":"ffff","offmask":"","off":-8},
"match":{"value":"a020000","mask":"ffffff00","offmask":"","off":16},
"match":{"value":"b80000","mask":"fc0000","offmask":"","off":0}}}]"""


def test_filters_are_recognised_as_tc_prints_them() -> None:
    wanted = classify.filters(only({"s_tag": 101, "c_tag": 100, "to": "10.2.0.0/24", "dscp": "ef"}))
    found = classify.read(PRINTED_FILTERS)
    assert classify.same(found, wanted)
    assert not classify.same(found[:2], wanted)
    assert not classify.same([], wanted)
    assert classify.read("") == []


@pytest.mark.parametrize(
    "shown", ["[{", "[1]", '[{"options": {"keys": 5}}]', '[{"options": {"match": {"value": "x"}}}]', "7"]
)
def test_filters_that_tc_never_prints_are_one_clear_error(shown: str) -> None:
    with pytest.raises(OkiagariError, match="tc filter show: its output "):
        classify.read(shown)


shares = st.floats(0.001, 100).map(lambda value: round(value, 3))
impairments = st.fixed_dictionaries(
    {"interface": st.just("w-a"), "loss": shares},
    optional={
        "delay": st.fixed_dictionaries({"delay": st.floats(0.001, 10)}, optional={"jitter": st.just(0.0005)}),
        "rate": st.integers(8000, 10**11),
        "corrupt": st.fixed_dictionaries({"percent": shares}, optional={"correlation": shares}),
        "duplicate": shares,
        "seed": st.integers(1, 2**63 - 1),
    },
)


@given(impairments)
def test_whatever_is_asked_is_recognised_once_it_is_installed(params: dict[str, Any]) -> None:
    parsed = parse_fault({"id": "x", "kind": "impairment", "params": params, "lease_s": 20})
    assert parse_fault(parsed.to_dict()) == parsed
    from ansible_collections.okiagari.testbed.plugins.module_utils.fault.kinds import KINDS

    wanted = KINDS["impairment"].want(parsed.params, {})["qdisc:w-a"]["netem"]
    assert netem.agrees(netem.read(netem_options(netem.words(wanted))), wanted)
