# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that keeps a host's replicas: one line of JSON asks, and one answers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from ..checkpoint.allocator import keep_memory
from ..checkpoint.keep import Keep, Kept
from ..errors import OkiagariError
from ..values import from_json, mapping
from .envelope import Envelopes
from .states import folder

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from .config import Config


def run(config: Config, asking: BinaryIO, answering: BinaryIO) -> int:
    """Answer requests until there are no more."""
    keep_memory()
    envelopes = envelopes_of(config)
    kept = {
        name: Kept(folder(config, name) / "replica", key_of(service.checkpoint.key))
        for name, service in config.services.items()
        if service.has_replica(config.name) and service.checkpoint
    }
    keep = Keep(config.name, kept, envelopes.sign, envelopes.verify)
    for line in asking:
        try:
            said = keep.do(mapping(from_json(line.decode("utf-8", "replace"))))
        except (OkiagariError, OSError) as error:
            said = {"error": str(error)}
        answering.write(json.dumps(said).encode() + b"\n")
        answering.flush()
    return 0


def envelopes_of(config: Config) -> Envelopes:
    """Give what this host signs by, and knows others' signatures by."""
    certificates = {name: peer.certificate for name, peer in config.peers.items()}
    return Envelopes(config.name, config.tls.key, certificates, time.time)


def key_of(path: Path) -> bytes:
    """Read a service's key."""
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise OkiagariError(f"{path} holds no key of a service: {error}; run playbooks/agents.yml") from error
