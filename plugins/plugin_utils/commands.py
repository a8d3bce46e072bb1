# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The distcloud paper's three commands (P5.7), each one fault with a lease on one router."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from ..module_utils.errors import BadValue, OkiagariError
from ..module_utils.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LEASE = "10min"

# A module of the collection, and its options.
Task = tuple[str, dict[str, Any]]


def linkctl(asked: argparse.Namespace, interface: Mapping[str, Any]) -> Task:  # noqa: ARG001
    """Take the interface down, or end that."""
    state = "present" if asked.state == "down" else "absent"
    return "link_fault", {"fault": "down", "interface": asked.interface, "state": state}


def pktloss(asked: argparse.Namespace, interface: Mapping[str, Any]) -> Task:  # noqa: ARG001
    """Lose so many percent of what leaves the interface; 0 ends that."""
    loss = {"fault": "loss", "interface": asked.interface}
    if float(asked.percent) == 0:
        return "link_fault", {**loss, "state": "absent"}
    return "link_fault", {**loss, "percent": asked.percent, "state": "present"}


def dcroute(asked: argparse.Namespace, interface: Mapping[str, Any]) -> Task:
    """Send what is meant for a prefix to the neighbour at the interface, or end that."""
    peer = interface.get("peer_address")
    if peer is None:
        raise OkiagariError(f"{asked.interface} of {asked.router} leads to no neighbour: name a circuit's interface")
    route = {"fault": "override", "prefix": asked.route, "via": str(peer).partition("/")[0]}
    return "route_fault", {**route, "state": "present" if asked.action == "add" else "absent"}


_COMMANDS: dict[str, Callable[[argparse.Namespace, Mapping[str, Any]], Task]] = {
    "linkctl": linkctl,
    "pktloss": pktloss,
    "dcroute": dcroute,
}


def parser(command: str) -> argparse.ArgumentParser:
    """Give the reader of a command's arguments, in the paper's order."""
    made = argparse.ArgumentParser(command, description=_COMMANDS[command].__doc__)
    if command == "linkctl":
        made.add_argument("state", choices=("down", "up"))
    elif command == "pktloss":
        made.add_argument("percent", type=_percent, metavar="{100|0|N}", help="percent of the packets")
    else:
        made.add_argument("action", choices=("add", "del"))
        made.add_argument("route", help="a prefix such as 10.2.0.0/24")
    made.add_argument("router", help="its name in the inventory")
    made.add_argument("interface", help="its name on the router, such as w-osaka")
    made.add_argument("--lease", default=_LEASE, help=f"when the router ends it by itself (default: {_LEASE})")
    made.add_argument("-i", "--inventory", default=None, help="default: that of ansible.cfg")
    return made


def main(argv: Sequence[str]) -> int:
    """Run a command by its name and arguments; give 0, or 1 after saying what was wrong."""
    command, *words = argv
    asked = parser(command).parse_args(words)
    where = ["-i", asked.inventory] if asked.inventory else []
    try:
        module, options = _COMMANDS[command](asked, _interface(asked.router, asked.interface, where))
        if options["state"] == "present":
            options["lease"] = asked.lease
        result = _run(asked.router, module, options, where)
    except OkiagariError as error:
        sys.stderr.write(f"{command}: {error}\n")
        return 1
    sys.stdout.write(f"{asked.router}: {told(options, result)}\n")
    return 0


def told(options: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Say in one line what stands now."""
    place = options.get("interface") or f"{options['prefix']} via {options['via']}"
    if options["state"] == "absent":
        return (
            f"no {options['fault']} on {place} any more" if result["changed"] else f"no {options['fault']} on {place}"
        )
    ends = time.strftime("%H:%M:%S", time.localtime(result["fault"]["lease_ends_at"]))
    share = f" of {options['percent']} %" if "percent" in options else ""
    return f"{options['fault']}{share} on {place} until {ends}"


def _percent(text: str) -> str:
    if not 0 <= float(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 100")
    return text


def _interface(router: str, name: str, where: Sequence[str]) -> Mapping[str, Any]:
    """Give what the testbed says of an interface, so that a misspelt name is told before anything is contacted."""
    done = _ansible("ansible-inventory", *where, "--list")
    if done.returncode:
        raise OkiagariError(done.stderr.strip())
    hosts = json.loads(done.stdout, object_hook=lambda item: item.get("__ansible_unsafe", item))["_meta"]["hostvars"]
    nodes = {node: found["testbed_node"] for node, found in hosts.items() if "testbed_node" in found}
    if router not in nodes:
        raise BadValue(f"there is no router {router} in the inventory", nearest(router, nodes))
    interfaces: dict[str, Mapping[str, Any]] = {each["name"]: each for each in nodes[router]["interfaces"]}
    if name not in interfaces:
        raise BadValue(f"there is no interface {name} of {router}", nearest(name, interfaces))
    return interfaces[name]


def _run(router: str, module: str, options: Mapping[str, Any], where: Sequence[str]) -> dict[str, Any]:
    arguments = json.dumps(options)
    done = _ansible("ansible", router, *where, "--become", "-m", f"okiagari.testbed.{module}", "-a", arguments)
    _host, arrow, answer = done.stdout.partition(" => ")
    try:
        result: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise OkiagariError(done.stdout.strip() or done.stderr.strip()) from None
    if done.returncode or not arrow:
        raise OkiagariError(str(result.get("msg", answer)).strip())
    return result


def _ansible(*argv: str) -> subprocess.CompletedProcess[str]:
    quiet = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=quiet)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
