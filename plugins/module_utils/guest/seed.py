# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest is told: a NoCloud seed (volume `cidata`), whose files are written as JSON, which is YAML too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .iso import iso_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .machine import Network


def seed(name: str, networks: Iterable[Network], authorized_keys: Sequence[str]) -> bytes:
    """Give the seed disk of the machine `name`; the same machine has the same seed on every host."""
    user = {"hostname": name, "ssh_authorized_keys": list(authorized_keys), "disable_root": False}
    meta = {"instance-id": name, "local-hostname": name}
    network = {"version": 2, "ethernets": {f"net{at}": _ethernet(one) for at, one in enumerate(networks)}}
    return iso_image(
        "cidata",
        {
            "user-data": b"#cloud-config\n" + _json(user),
            "meta-data": _json(meta),
            "network-config": _json(network),
        },
    )


def _ethernet(network: Network) -> dict[str, Any]:
    addresses = [network.address] if network.address else []
    routes = [{"to": "default", "via": network.gateway}] if network.gateway else []
    return {
        "match": {"macaddress": network.mac},
        "mtu": network.mtu,
        "dhcp4": False,
        **({"addresses": addresses} if addresses else {}),
        **({"routes": routes} if routes else {}),
    }


def _json(data: object) -> bytes:
    return json.dumps(data, indent=1, sort_keys=True).encode() + b"\n"
