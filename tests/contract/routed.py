# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of routers and hosts, each a namespace whose kernel forwards, along ways that a test sets.

Namespaces have no names: a process keeps each, and ends with this one, however that one ends. Needs root and iproute2.
"""

from __future__ import annotations

import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


class Routed:
    """A namespace for each of these names, at an address of 10.97.0.0/24, by which it answers whoever asks."""

    def __init__(self, names: Sequence[str]) -> None:
        self.addresses = {name: f"10.97.0.{number}" for number, name in enumerate(names, 1)}
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}
        self._links: dict[tuple[str, str], str] = {}
        """The address of the second one on its link with the first."""

    def __enter__(self) -> Self:
        try:
            for name, address in self.addresses.items():
                keeper = subprocess.Popen(
                    ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
                self._keepers[name] = keeper
                assert keeper.stdout
                keeper.stdout.readline()
                # A router that answers only so often would be taken for a silent one by a test in a hurry.
                self.sh(name, f"""
                    ip link set lo up; ip addr add {address}/32 dev lo; cd /proc/sys/net/ipv4
                    echo 1 > ip_forward; echo 0 > icmp_ratelimit; echo 1 > fib_multipath_hash_policy
                """)  # fmt: skip
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        for keeper in self._keepers.values():
            keeper.communicate()

    def inside(self, name: str) -> list[str]:
        """Give what has to stand before a command for it to run in a namespace, and to end with this thread."""
        return [*self._enter(name), "setpriv", "--pdeathsig", "KILL"]

    def sh(self, name: str, command: str) -> None:
        argv = [*self._enter(name), "sh", "-ec", command]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}: {command}: {done.stderr}")

    def way(self, *names: str) -> None:
        """Have packets between the first and the last of these go by way of the others, both there and back."""
        for way in (names, names[::-1]):
            for here, following in pairwise(way):
                self._join(here, following)
                self.route(here, way[-1], following)

    def route(self, here: str, to: str, *by: str) -> None:
        """Have what goes from or through `here` to a host go on to a neighbour, or be spread over several."""
        hops = " ".join(f"nexthop via {self._links[(here, each)]}" for each in by)
        self.sh(here, f"ip route replace {self.addresses[to]} src {self.addresses[here]} {hops}")

    def lose(self, here: str, to: str) -> None:
        """Have what goes through `here` to a host vanish without a word."""
        self.sh(here, f"ip route replace blackhole {self.addresses[to]}")

    def silence(self, here: str, to: str) -> None:
        """Have a router say nothing to a host, whose packets it forwards all the same."""
        self.sh(here, f"ip rule add iif lo to {self.addresses[to]} blackhole")

    def _join(self, a: str, b: str) -> None:
        if (a, b) in self._links:
            return
        number = len(self._links) // 2
        self.sh(a, f"ip link add to-{b} type veth peer name to-{a} netns {self._keepers[b].pid}")
        for here, there, last in ((a, b, 1), (b, a, 2)):
            self.sh(here, f"ip addr add 10.98.{number}.{last}/30 dev to-{there}; ip link set to-{there} up")
            self._links[(there, here)] = f"10.98.{number}.{last}"

    def _enter(self, name: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._keepers[name].pid}/ns/net"]
