# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import Testbed, loads
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = """\
plugin: okiagari.testbed.testbed
name: lab
prefixes: {sites: 10.0.0.0/12}
profiles:
  wan: {rate: 1gbit}
  far: {extends: wan, delay: 5ms}
core:
  osaka: {number: 1}
sites:
  hiroshima: {number: 1, position: [34.40, 132.71]}
  kanazawa: {number: 2}
circuits:
  - {between: [hiroshima, osaka], profile: far}
  - {between: [kanazawa, osaka], profile: far}
"""


def problems(text):
    with pytest.raises(BadInput) as caught:
        loads(text, "t.yml")
    return str(caught.value).splitlines()


def test_the_good_one_is_good():
    assert list(loads(GOOD).circuits) == ["hiroshima-osaka", "kanazawa-osaka"]


ONE_PROBLEM = {
    "yaml": ("number: 2}", "number: 2", "t.yml:12: not YAML: expected ',' or '}', but got ':'"),
    "top-level key": ("circuits:", "circuit:", "t.yml:12: circuit: unknown key,.*; did you mean circuits?"),
    "prefix key": ("{sites: 10", "{site: 10", "t.yml:3: prefixes.site: unknown key, .* did you mean sites?"),
    "profile key": ("{rate:", "{rat:", "t.yml:5: profiles.wan.rat: .* did you mean rate?"),
    "site key": ("{number: 2}", "{number: 2, titel: K}", "t.yml:11: sites.kanazawa.titel: .* did you mean title?"),
    "end key": (
        "[kanazawa, osaka]",
        "[{node: kanazawa, interfac: e}, osaka]",
        r"t.yml:14: .*\[0\].interfac: .*interface?",
    ),
    "missing key": ("{number: 2}", "{title: K}", "t.yml:11: sites.kanazawa: the key number is missing"),
    "missing name": ("name: lab\n", "", "t.yml:1: the key name is missing"),
    "twice": ("name: lab", "name: lab\nname: lab", r"t.yml:3: name: is given twice \(first in line 2\)"),
    "type": ("{number: 2}", "2", "t.yml:11: sites.kanazawa: must be a mapping of keys to values, not a number"),
    "number type": (
        "{number: 2}",
        "{number: two}",
        "t.yml:11: sites.kanazawa.number: must be a whole number, not text",
    ),
    "bool number": ("{number: 2}", "{number: yes}", "t.yml:11: sites.kanazawa.number: must be .*, not yes or no"),
    "number range": ("{number: 2}", "{number: 100}", "t.yml:11: sites.kanazawa.number: must be from 1 to 99"),
    "number taken": (
        "{number: 2}",
        "{number: 1}",
        r"t.yml:11: sites.kanazawa.number: the number 1 is taken by sites.hiroshima.number \(line 10\); 2 is free",
    ),
    "asn": ("{number: 2}", "{number: 2, asn: 17932}", "t.yml:11: sites.kanazawa.asn: must be a private AS number"),
    "position": ("[34.40, 132.71]", "[34.40]", r"t.yml:10: sites.hiroshima.position: must be \[latitude, longitude\]"),
    "far north": ("[34.40, 132.71]", "[134.4, 32.7]", "t.yml:10: sites.hiroshima.position: the latitude is from"),
    "platform": (
        "{number: 2}",
        "{number: 2, platform: vios}",
        "t.yml:11: .*must be one of linux, vyos; did you mean vyos?",
    ),
    "name": ("  kanazawa:", "  Kana zawa:", "t.yml:11: sites.Kana zawa: a name has only .*; did you mean kana-zawa?"),
    "unnamed": ("  kanazawa:", "  no:", "t.yml:11: sites: the key no is not a word; put it in quotes"),
    "reserved": ("osaka: {", "localhost: {", "t.yml:8: core.localhost: the name localhost has a meaning of its own"),
    "clash": ("osaka: {", "hiroshima: {", "t.yml:8: core.hiroshima: the name hiroshima is taken by sites.hiroshima"),
    "missing end": (
        "[kanazawa, osaka]",
        "[kanasawa, osaka]",
        "t.yml:14: .*no site or router kanasawa; did you mean kanazawa?",
    ),
    "host end": (
        "[kanazawa, osaka]",
        "[kanazawa-kvm1, osaka]",
        "t.yml:14: .*ends at a router, and kanazawa-kvm1 is a KVM host",
    ),
    "itself": ("[kanazawa, osaka]", "[kanazawa, kanazawa-r1]", "t.yml:14: .*a circuit from kanazawa-r1 to itself"),
    "one end": (
        "[kanazawa, osaka]",
        "[kanazawa]",
        r"t.yml:14: circuits\[1\].between: must name the circuit's two ends",
    ),
    "parallel": (
        "[kanazawa, osaka]",
        "[osaka, hiroshima]",
        r"t.yml:14: .*such a circuit already \(line 13\).*`number`",
    ),
    "tag taken": (
        "osaka], profile: far}\n  -",
        "osaka], tag: 109}\n  -",
        r"t.yml:14: .*S-tag 109 is taken by .* \(line 13\)",
    ),
    "tag range": ("[kanazawa, osaka]", "[kanazawa, osaka], tag: 4095", "t.yml:14: .*tag: must be from 1 to 4094"),
    "circuit name": (
        "[kanazawa, osaka]",
        "[kanazawa, osaka], name: hiroshima-osaka",
        "t.yml:14: .*name hiroshima-osaka is taken",
    ),
    "profile": (
        "osaka], profile: far}\n  -",
        "osaka], profile: fra}\n  -",
        "t.yml:13: .*no profile fra; did you mean far?",
    ),
    "extends": (
        "extends: wan",
        "extends: van",
        "t.yml:6: profiles.far.extends: there is no profile van; did you mean wan?",
    ),
    "cycle": ("wan: {", "wan: {extends: far, ", "t.yml:6: .*can't extend itself: wan -> far -> wan"),
    "self": ("wan: {", "wan: {extends: wan, ", "t.yml:5: .*can't extend itself: wan -> wan"),
    "unit": ("5ms", "5msec", "t.yml:6: profiles.far.delay: 5msec has the unknown unit msec.*did you mean ms?"),
    "jitter": (
        "[kanazawa, osaka]",
        "[kanazawa, osaka], jitter: 6ms",
        "t.yml:14: .*jitter 6 ms is more than the delay 5 ms",
    ),
    "no position": (
        "[kanazawa, osaka]",
        "[kanazawa, osaka], delay: distance",
        "t.yml:14: .*without a position of kanazawa and osaka",
    ),
    "not a network": ("10.0.0.0/12", "10.0.0.0/33", "t.yml:3: prefixes.sites: is not a network"),
    "host bits": ("10.0.0.0/12", "10.0.0.1/12", "t.yml:3: prefixes.sites: has bits .*; did you mean 10.0.0.0/12?"),
    "no length": ("10.0.0.0/12", "10.0.0.0", "t.yml:3: prefixes.sites: needs its length"),
    "version": ("10.0.0.0/12", "fd00::/12", "t.yml:3: prefixes.sites: must be an IPv4 network"),
    "multicast": ("10.0.0.0/12", "224.0.0.0/12", "t.yml:3: prefixes.sites: is not a range for hosts"),
    "overlap": (
        "10.0.0.0/12",
        "10.0.0.0/8",
        "t.yml:3: prefixes.sites: sites 10.0.0.0/8 overlaps loopbacks 10.255.0.0/24",
    ),
    "too small": (
        "{number: 2}",
        "{number: 16}",
        "t.yml:11: .*needs subnet 16 .* 10.0.0.0/12 is too small; make it at least a /11",
    ),
    "too many hosts": (
        "{number: 2}",
        "{number: 2, kvm_hosts: 20}",
        "t.yml:11: .*prefixes.management, .*; make it at least a /21",
    ),
    "too many hosts for a segment": (
        "{number: 2}",
        "{number: 2, kvm_hosts: 20}",
        "t.yml:11: .*of prefixes.segments, and 172.30.0.0/20 is too small; make it at least a /19",
    ),
    "no disk": ("{number: 2}", "{number: 2, disks: [0]}", "t.yml:11: .*disks: a disk has at least 1mib"),
    "disk unit": ("{number: 2}", "{number: 2, disks: [4gb]}", "t.yml:11: .*disks: 4gb has the unknown unit gb"),
    "disks": ("{number: 2}", "{number: 2, disks: 4gib}", "t.yml:11: .*disks: must be a list, not text"),
    "many disks": (
        "{number: 2}",
        "{number: 2, disks: [1, 1, 1, 1, 1, 1, 1]}",
        "t.yml:11: .*disks: a host has at most 6 disks",
    ),
    "trunk": (
        "[kanazawa, osaka]",
        "[{node: kanazawa, interface: trunk0}, osaka]",
        "t.yml:14: .*interface .*trunk0.* is taken",
    ),
    "tag": ("name: lab", "name: !vault lab", "t.yml:2: name: the tag !vault has no meaning here"),
    "plugin": (
        "plugin: okiagari.testbed.testbed",
        "plugin: other",
        "t.yml:1: plugin: must be okiagari.testbed.testbed",
    ),
    "interface": (
        "[kanazawa, osaka]",
        "[{node: kanazawa, interface: a b}, osaka]",
        "t.yml:14: .*an interface name has",
    ),
    "lan": (
        "[kanazawa, osaka]",
        "[{node: kanazawa, interface: lan0}, osaka]",
        "t.yml:14: .*interface .*lan0.* is taken",
    ),
    "rules key": ("name: lab", "name: lab\ndrills: {window: []}", "t.yml:3: drills.window: .* did you mean windows?"),
    "pause": ("name: lab", "name: lab\ndrills: {pause: 10 mins}", "t.yml:3: drills.pause: .* did you mean min?"),
    "zone": (
        "name: lab",
        "name: lab\ndrills: {timezone: Asia/Tokio}",
        "t.yml:3: drills.timezone: is not a time zone such as Asia/Tokyo; did you mean Asia/Tokyo?",
    ),
    "no windows": ("name: lab", "name: lab\ndrills: {windows: []}", "t.yml:3: drills.windows: is empty: leave it out"),
    "window": (
        "name: lab",
        "name: lab\ndrills:\n  windows:\n    - mon-fri 22:00-06:00\n    - mon-fir 22:00-06:00",
        r"t.yml:6: drills.windows\[1\]: there is no day fir, only mon, .*; did you mean fri?",
    ),
    "blackout": (
        "{number: 2}",
        "{number: 2, drills: {blackouts: [2026-12-24, 2026-02-30..2026-03-01]}}",
        r"t.yml:11: sites.kanazawa.drills.blackouts\[1\]: there is no date 2026-02-30",
    ),
    "consent": (
        "{number: 2}",
        "{number: 2, drills: {consent: asks}}",
        "t.yml:11: sites.kanazawa.drills.consent: must be one of always, ask, never; did you mean ask?",
    ),
    "core rules": ("osaka: {number: 1}", "osaka: {number: 1, drills: {}}", "t.yml:8: core.osaka.drills: unknown key"),
    "empty": (GOOD, "", "t.yml:1: the description is empty"),
    "list": (GOOD, "[]", "t.yml:1: must be a mapping of keys to values, not a list"),
}


@pytest.mark.parametrize(("old", "new", "expected"), ONE_PROBLEM.values(), ids=ONE_PROBLEM)
def test_a_problem_is_told_with_its_place(old, new, expected):
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    assert any(re.match(expected, line) for line in found), found


def test_a_long_interface_name_says_what_to_do():
    text = GOOD.replace("osaka", "osaka-exchange").replace("[hiroshima", "[{node: hiroshima, interface: w-osaka}")
    (problem,) = problems(text)
    assert problem.startswith("t.yml:14: circuits[1].between[0]: the interface name w-osaka-exchange has more than 15")
    assert problem.endswith("shorten osaka-exchange by 1, or write this end as {node: kanazawa, interface: ...}")


def test_the_same_as_number_is_refused():
    text = GOOD.replace("{number: 2}", "{number: 2, asn: 65101}")
    assert problems(text) == [
        "t.yml:8: core.osaka: the AS number 65101 is taken by sites.kanazawa.asn (line 11)",
    ]


def test_all_problems_are_told_at_once_in_order():
    text = GOOD.replace("1gbit", "1gb").replace("{number: 2}", "{numbr: 2}").replace("[hiroshima,", "[hirosima,")
    assert [line.split(":")[1] for line in problems(text)] == ["5", "11", "11", "13"]


def test_a_problem_with_one_thing_is_none_of_another():
    assert len(problems(GOOD.replace("kanazawa: {number: 2}", "kanazawa: {number: x}"))) == 1
    assert len(problems(GOOD.replace("kanazawa: {number: 2}", "kanazawa: {number: 1}"))) == 1
    assert (
        len(problems(GOOD.replace("kanazawa: {number: 2}", "kanazawa: !x y").replace("[kanazawa", "[kanazawa-r1"))) == 1
    )
    assert len(problems(GOOD.replace("10.0.0.0/12", "10.0.0.0/99").replace("number: 2", "number: 20"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "&a {a: *a}",
        "[" * 5000,
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)),
        "? [a]\n: b",
        "? {a: b}\n: c",
        "a: !!int ''",
        "a: !!timestamp x",
        "a: 2026-99-99",
        "a: !!binary x",
        "a: " + "9" * 5000,
        "a: *b",
        "--- a\n--- b",
        "a: \x00",
        "=: =",
        "<<: {a: b}",
        "%YAML 9.9\n---\n",
        "sites: {a: {number: .nan, position: [.nan, .inf]}}",
    ],
    ids=range(18),
)
def test_strange_yaml_is_refused(text):
    assert problems(text)


KEYS = [
    "plugin",
    "name",
    "prefixes",
    "profiles",
    "core",
    "sites",
    "circuits",
    "number",
    "position",
    "title",
    "kvm_hosts",
    "platform",
    "asn",
    "cpus",
    "memory",
    "disks",
    "loopbacks",
    "management",
    "extends",
    "delay",
    "jitter",
    "rate",
    "loss",
    "mtu",
    "between",
    "profile",
    "tag",
    "node",
    "interface",
    "drills",
    "windows",
    "blackouts",
    "timezone",
    "consent",
    "a",
    "b",
    "c",
    "wan",
]
VALUES = [
    "okiagari.testbed.testbed",
    "10.0.0.0/8",
    "172.16.0.0/30",
    "4ms",
    "distance",
    "1gbit",
    "0%",
    "a-kvm1",
    "a-r1",
    "vyos",
    "mon-fri 22:00-06:00",
    "2026-12-24..2027-01-03",
    "ask",
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 120),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(KEYS + VALUES),
)
structures = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=20,
)
routers = st.dictionaries(
    st.sampled_from(["a", "b", "c", "a-r1", "sites"]),
    st.fixed_dictionaries(
        {"number": st.one_of(st.integers(-1, 110), scalars)},
        optional={
            "kvm_hosts": st.integers(-1, 300),
            "asn": scalars,
            "position": structures,
            "platform": scalars,
            "drills": structures,
        },
    ),
)
ends = st.one_of(st.sampled_from(["a", "b", "c", "a-kvm1", "b-r1", "d"]), structures)
shapes = dict.fromkeys(("delay", "jitter", "rate", "loss", "mtu"), scalars)
descriptions = st.fixed_dictionaries(
    {"plugin": st.just("okiagari.testbed.testbed"), "name": st.just("t"), "sites": routers},
    optional={
        "core": st.one_of(routers, structures),
        "drills": structures,
        "prefixes": st.one_of(
            st.dictionaries(st.sampled_from(["sites", "circuits", "loopbacks", "management"]), st.sampled_from(VALUES)),
            structures,
        ),
        "profiles": st.dictionaries(
            st.sampled_from("abc"), st.fixed_dictionaries({}, optional={"extends": st.sampled_from("abcd"), **shapes})
        ),
        "circuits": st.lists(
            st.fixed_dictionaries(
                {"between": st.one_of(st.lists(ends, min_size=2, max_size=2), structures)},
                optional={
                    "profile": st.sampled_from("abcd"),
                    "number": st.integers(0, 5),
                    "tag": scalars,
                    "name": scalars,
                    **shapes,
                },
            ),
            max_size=4,
        ),
    },
)


@settings(max_examples=500)
@given(st.one_of(structures, descriptions))
def test_any_structure_is_a_testbed_or_bad_input(data):
    _load(yaml.safe_dump(data))


@given(st.text(alphabet=st.sampled_from("ab:-{}[],&*!|>'\"#%@ \n\t0\x00\ud7ff")))
def test_any_text_is_a_testbed_or_bad_input(text):
    _load(text)


def _load(text):
    try:
        testbed = loads(text)
    except BadInput as error:
        lines = [problem.line for problem in error.problems]
        assert None not in lines
    else:
        assert Testbed.from_dict(testbed.to_dict()) == testbed
