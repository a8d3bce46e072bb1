# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a host's replicas, by requests of its agent, which has no room for the libraries that this needs.

    {"do": "head", "service": "db"}                     {"head": {"term": 2, "epoch": 7, "root": "..."}, "roots": [...]}
    {"do": "take", "service": "db", "path": "..."}      the same; or {"refused": why}, {"missing": root}
    {"do": "whole", "service": "db", "path": "..."}     the same, after a pack of all of it was written to that file

A replica from which a guest is being restored is not touched: {"busy": why}.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..values import choice, text
from .pack import Pack
from .replica import Missing, Refused, Replica

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Kept:
    """The replica of one service: its folder and the service's key."""

    folder: Path
    key: bytes


class Keep:
    """The replicas at the host `name`, by their services; `sign` and `verify` are those of a pack."""

    def __init__(
        self, name: str, kept: Mapping[str, Kept], sign: Callable[[bytes], bytes],
        verify: Callable[[str, bytes, bytes], object],
    ) -> None:  # fmt: skip
        self._name, self._kept, self._sign, self._verify = name, kept, sign, verify

    def do(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Give the answer to a request; raise `OkiagariError` for what can't be done."""
        service = choice(self._kept, "service")(request.get("service"))
        does: dict[str, Callable[[Replica, Path], None]] = {"take": self._take, "whole": self._whole}
        do = choice(("head", *does), "request")(request.get("do"))
        path = None if do == "head" else Path(text(request.get("path")))
        kept = self._kept[service]
        try:
            replica = Replica(kept.folder, service, kept.key)
        except OkiagariError as error:
            return {"busy": str(error)}
        try:
            if path:
                does[do](replica, path)
        except Missing as error:
            return {"missing": error.parent}
        except Refused as error:
            return {"refused": error.message}
        else:
            return _held(replica)
        finally:
            replica.close()

    def _take(self, replica: Replica, path: Path) -> None:
        with path.open("rb") as file:
            replica.take(Pack(file, self._verify))

    def _whole(self, replica: Replica, path: Path) -> None:
        if replica.head is None:
            raise OkiagariError("there is no state of it here yet")
        with path.open("wb") as file:
            replica.whole(file, self._name, self._sign)


def _held(replica: Replica) -> dict[str, Any]:
    epochs = [epoch for epoch in (replica.head, *replica.back) if epoch]
    head = replica.head and {key: getattr(replica.head, key) for key in ("term", "epoch", "root")}
    return {"head": head, "roots": [epoch.root for epoch in epochs]}
