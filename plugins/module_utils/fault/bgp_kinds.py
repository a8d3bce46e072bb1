# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds that concern BGP: a session shut, its BFD off, routes preferred otherwise, a prefix no longer announced.

Sessions are those of FRR's running configuration, named by the neighbour's address and, but for the default, the VRF.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..suggest import nearest
from ..values import whole
from . import frr
from .kind import Kind
from .owned import FRR_MARK
from .parameters import address, prefix, vrf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import State


class _Bgp(Kind):
    capability = "bgp"
    optional: ClassVar = {"vrf": vrf}
    resource: ClassVar[str]

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        name = params["prefix" if cls.resource == "network" else "neighbor"]
        return f"{cls.resource}:{name}" + (f"@{params['vrf']}" if "vrf" in params else "")

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        entry = have[cls.claim(params)]
        place = f"VRF {params['vrf']}" if "vrf" in params else "default VRF"
        if entry["router"] is None:
            return f"there is no BGP in the {place} of this target"
        if absent := cls.absent(params, entry, place):
            return absent
        if frr.marked(map(tuple, entry["lines"])):
            return f"lines of Okiagari without a record stand at {cls.claim(params)}: run the heal_all playbook first"
        return cls.foreign(params, [line[-1] for line in entry["lines"]])

    @classmethod
    def absent(cls, params: Mapping[str, Any], entry: Mapping[str, Any], place: str) -> str | None:
        """Say that what the fault concerns isn't configured, if so."""
        if params["neighbor"] in entry["neighbors"]:
            return None
        near = nearest(params["neighbor"], entry["neighbors"])
        hint = f"; did you mean {near}?" if near else f"; there are {', '.join(entry['neighbors']) or 'none'}"
        return f"{params['neighbor']} is no BGP neighbour in the {place} of this target{hint}"

    @classmethod
    def foreign(cls, params: Mapping[str, Any], lines: list[str]) -> str | None:  # noqa: ARG003
        """Say which of the lines is in the way, if one is."""
        return None


class BgpShutdown(_Bgp):
    """The session is shut: the neighbour is told so, and takes its routes back at once."""

    name = "bgp_shutdown"
    capability = "bgp_shutdown"
    resource = "session"
    parameters: ClassVar = {"neighbor": address}

    @classmethod
    def cuts(cls, params: Mapping[str, Any]) -> bool:
        return "vrf" not in params

    @classmethod
    def foreign(cls, params: Mapping[str, Any], lines: list[str]) -> str | None:
        shut = f"neighbor {params['neighbor']} shutdown"
        if any(line.startswith(shut) for line in lines):
            return f"the session to {params['neighbor']} is shut already, and not by Okiagari"
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        entry = have[cls.claim(params)]
        shut = [entry["router"], f"neighbor {params['neighbor']} shutdown message {FRR_MARK}"]
        return {cls.claim(params): {"lines": [*entry["lines"], shut]}}


class BfdOff(_Bgp):
    """This end of the session has no BFD. Off at both ends, a dead path is noticed only when the hold time is over.

    With BFD at the other end only, the session is down: FRR's BGP waits for a BFD that has been up.
    """

    name = "bfd_off"
    resource = "session"
    parameters: ClassVar = {"neighbor": address}

    @classmethod
    def foreign(cls, params: Mapping[str, Any], lines: list[str]) -> str | None:
        if not any(cls._watches(params, line) for line in lines):
            return f"no BFD watches the session to {params['neighbor']}"
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        lines = have[cls.claim(params)]["lines"]
        return {cls.claim(params): {"lines": [line for line in lines if not cls._watches(params, line[-1])]}}

    @staticmethod
    def _watches(params: Mapping[str, Any], line: str) -> bool:
        return line.split()[:3] == ["neighbor", params["neighbor"], "bfd"]


class _Policy(_Bgp):
    """A kind that sets something of the routes that come `in` from the neighbour or go `out` to it."""

    resource = "session"
    direction: ClassVar[str]

    @classmethod
    @abstractmethod
    def setting(cls, params: Mapping[str, Any], asn: str) -> str:
        """Give what the route-map sets, in FRR's words, on a router of the AS `asn`."""

    @classmethod
    def foreign(cls, params: Mapping[str, Any], lines: list[str]) -> str | None:
        maps = [line for line in lines if line.startswith(f"neighbor {params['neighbor']} route-map ")]
        taken = next((line for line in maps if line.endswith(f" {cls.direction}")), None)
        return f"'{taken}' is there already, and a session has one: left untouched" if taken else None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        entry = have[cls.claim(params)]
        name = frr.route_map(entry["router"], params["neighbor"])
        begin = f"route-map {name} permit 10"
        family = f"address-family ipv{6 if ':' in params['neighbor'] else 4} unicast"
        added = [
            [begin],
            [begin, f"set {cls.setting(params, entry['router'].split()[2])}"],
            [entry["router"], family, f"neighbor {params['neighbor']} route-map {name} {cls.direction}"],
        ]
        return {cls.claim(params): {"lines": [*entry["lines"], *added]}}


class LocalPreference(_Policy):
    """Routes from the neighbour have this local preference (100 is common): its way is taken more, or less, gladly."""

    name = "local_preference"
    parameters: ClassVar = {"neighbor": address, "preference": whole(0, 2**32 - 1)}
    direction = "in"

    @classmethod
    def setting(cls, params: Mapping[str, Any], asn: str) -> str:  # noqa: ARG003
        return f"local-preference {params['preference']}"


class Metric(_Policy):
    """The neighbour is told this metric (MED) with every route; it compares those that it has from one AS."""

    name = "metric"
    parameters: ClassVar = {"neighbor": address, "metric": whole(0, 2**32 - 1)}
    direction = "out"

    @classmethod
    def setting(cls, params: Mapping[str, Any], asn: str) -> str:  # noqa: ARG003
        return f"metric {params['metric']}"


class AsPath(_Policy):
    """The neighbour is told a path that is longer by `prepend` times this router's AS: it takes shorter ways first."""

    name = "as_path"
    parameters: ClassVar = {"neighbor": address, "prepend": whole(1, 10)}
    direction = "out"

    @classmethod
    def setting(cls, params: Mapping[str, Any], asn: str) -> str:
        return " ".join(["as-path prepend", *[asn] * params["prepend"]])


class PrefixWithdrawn(_Bgp):
    """The target no longer announces a prefix of its own."""

    name = "prefix_withdrawn"
    resource = "network"
    parameters: ClassVar = {"prefix": prefix}

    @classmethod
    def absent(cls, params: Mapping[str, Any], entry: Mapping[str, Any], place: str) -> str | None:
        if entry["lines"]:
            return None
        near = nearest(params["prefix"], entry["networks"])
        hint = f"; did you mean {near}?" if near else f"; it announces {', '.join(entry['networks']) or 'none'}"
        return f"this target doesn't announce {params['prefix']} in the {place}{hint}"

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        return {cls.claim(params): {"lines": []}}
