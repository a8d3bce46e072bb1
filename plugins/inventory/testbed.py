# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: testbed
short_description: Hosts, groups and variables from one description of a wide-area testbed
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Reads a C(testbed.yml), which says which sites, core routers and circuits a testbed has, and derives everything
    else from it, such as host names, addresses, AS numbers, S-tags and interface names.
  - Every site has a router C(SITE-r1) and its KVM hosts C(SITE-kvm1), C(SITE-kvm2) and so on; core routers have
    their own names.
  - All that is wrong with the description is reported at once, each with its line and, where there is one, the
    spelling that is probably meant.
  - The groups are V(sites) with a group for each site in it, V(core), V(routers) and V(kvm_hosts). Hyphens become
    underscores in the names of groups.
  - All hosts and also C(localhost) have the variable C(testbed), which is the whole resolved testbed. Each host has
    C(ansible_host), which is its management address, and C(testbed_node), which is its own part of the testbed with
    its C(name).
  - The variable C(testbed_consent) is the folder C(consent) beside the file, where sites approve drills.
options:
  plugin:
    description: Marks the file as one for this plugin.
    type: str
    required: true
    choices: [okiagari.testbed.testbed]
  name:
    description: The name of the testbed.
    type: str
    required: true
  prefixes:
    description: IPv4 networks of which all addresses are taken. They must not overlap.
    type: dict
    suboptions:
      loopbacks:
        description: For the routers' loopback addresses.
        type: str
        default: 10.255.0.0/24
      circuits:
        description: For the circuits, of which each gets a C(/31).
        type: str
        default: 10.254.0.0/16
      sites:
        description: For the sites, of which each gets a C(/16) and its LAN the first C(/24) in it.
        type: str
        default: 10.0.0.0/12
      management:
        description: For the management addresses of all nodes.
        type: str
        default: 172.31.0.0/22
      segments:
        description: For the bridged segments of all sites, of which each gets a quarter.
        type: str
        default: 172.30.0.0/20
  profiles:
    description:
      - Circuit profiles by name. A profile may have the keys C(delay), C(jitter), C(rate), C(loss) and C(mtu) of a
        circuit.
      - With C(extends) it names another profile on which it builds.
    type: dict
  core:
    description:
      - Core routers by name, each with C(number) and optionally C(position), C(asn) and C(platform) as for a site.
    type: dict
  sites:
    description:
      - Sites by name. Everything about a site is derived from its C(number), from 1 to 99, which must never change.
      - C(title) is its name for people, C(position) its latitude and longitude in degrees.
      - C(kvm_hosts) is the number of its KVM hosts, 1 by default; C(cpus) and C(memory) say how large each of them is.
      - C(disks) is a list of the sizes of each KVM host's further disks, such as V(4gib).
      - C(asn) is a private AS number instead of the derived one; C(platform) of its router is V(linux) or V(vyos).
      - C(drills) says when drills may touch it, with C(windows) and C(blackouts) as for O(drills), and whether they
        may at all (C(consent), which is V(always), V(ask) or V(never)).
    type: dict
    required: true
  circuits:
    description:
      - Circuits as a list. C(between) names the two ends, which are sites or routers.
      - An end may be written as a mapping of C(node) and C(interface) if the interface has a name of its own.
      - C(profile) names a profile; C(delay), C(jitter), C(rate), C(loss) and C(mtu) have precedence over it.
      - C(number) tells parallel circuits between the same two ends apart, from 1 to 4.
      - C(name) and C(tag) are typed only where the derived name or S-tag isn't wanted.
    type: list
    elements: dict
  drills:
    description: When drills may run. Without it they may at any time.
    type: dict
    suboptions:
      timezone:
        description: The time zone that all windows and dates are in.
        type: str
        default: UTC
      windows:
        description: When drills may run, such as V(mon-fri 22:00-06:00). Without it they may at any time.
        type: list
        elements: str
      blackouts:
        description: Dates on which they may not, such as V(2026-12-24) or V(2026-12-24..2027-01-03).
        type: list
        elements: str
      pause:
        description: At least so much time between the end of a drill and the start of the next.
        type: str
notes:
  - The file must be named C(testbed.yml) or C(testbed.yaml).
"""

EXAMPLES = r"""
# testbed.yml
plugin: okiagari.testbed.testbed
name: lab

profiles:
  wan: {rate: 1gbit, jitter: 0.2ms, loss: 0%}
  regional: {extends: wan, delay: 2ms}

core:
  osaka: {number: 1, position: [34.69, 135.50]}

sites:
  hiroshima: {number: 1, title: Hiroshima University, position: [34.40, 132.71]}
  kanazawa: {number: 2, title: Kanazawa University, position: [36.54, 136.71], kvm_hosts: 2}

circuits:
  - {between: [hiroshima, osaka], profile: regional}
  - {between: [kanazawa, osaka], profile: regional}
  - {between: [hiroshima, kanazawa], profile: wan, delay: distance}
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

from ..module_utils.errors import BadInput
from ..module_utils.topology import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader

    from ..module_utils.errors import Problem


class InventoryModule(BaseInventoryPlugin):
    NAME = "okiagari.testbed.testbed"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path) and Path(path).name in ("testbed.yml", "testbed.yaml"))

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: Any = True) -> None:
        super().parse(inventory, loader, path, cache)
        try:
            testbed = load(path).to_dict()
        except BadInput as error:
            raise AnsibleParserError(f"the testbed description has {_count(error.problems)}:\n{error}") from error
        # The implicit localhost is in no group, but it has the variables of `all`.
        inventory.set_variable("all", "testbed", testbed)
        inventory.set_variable("all", "testbed_consent", str(Path(path).absolute().with_name("consent")))
        for group in ("sites", "core", "routers", "kvm_hosts"):
            inventory.add_group(group)
        for site in testbed["sites"]:
            inventory.add_child("sites", inventory.add_group(_group(site)))
        for name, node in testbed["nodes"].items():
            inventory.add_host(name, group="core" if node["role"] == "core" else _group(node["site"]))
            inventory.add_host(name, group="routers" if node["kind"] == "router" else "kvm_hosts")
            inventory.set_variable(name, "ansible_host", node["management"])
            inventory.set_variable(name, "testbed_node", {"name": name, **node})


def _group(site: str) -> str:
    return site.replace("-", "_")


def _count(problems: Sequence[Problem]) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
