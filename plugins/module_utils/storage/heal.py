# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GlusterFS says of copies that aren't equal: how many wait to be made anew, and which contradict each other."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import NamedTuple

from ..errors import OkiagariError

_CONNECTED = "Connected"


class Heal(NamedTuple):
    """`pending`: brick to the number of entries that it holds newer than others. `silent`: bricks without an answer."""

    pending: dict[str, int]
    silent: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(self.pending.values())


def heal_counts(text: str) -> Heal:
    """Read `gluster --xml volume heal VOLUME info summary`."""
    pending: dict[str, int] = {}
    silent = []
    for brick in document(text).iter("brick"):
        name = brick.findtext("name", "")
        if brick.findtext("status") != _CONNECTED:
            silent.append(name)
            continue
        pending[name] = int(brick.findtext("totalNumberOfEntries") or brick.findtext("numberOfEntries") or 0)
    return Heal(pending, tuple(silent))


def split_brain(text: str) -> tuple[str, ...]:
    """Read `gluster --xml volume heal VOLUME info split-brain`: the files whose copies contradict each other."""
    files = {file.text or str(file.get("gfid")) for file in document(text).iter("file")}
    return tuple(sorted(files))


def document(text: str) -> ET.Element:
    """Give the answer of a `gluster --xml` command; raise `OkiagariError` with its reason if it refused."""
    try:
        root = ET.fromstring(text)  # noqa: S314 -- from the volume manager on this host
    except ET.ParseError as error:
        line = next((line.strip() for line in text.splitlines() if line.strip()), "it said nothing")
        raise OkiagariError(f"gluster: {line}") from error
    if root.findtext("opRet", "0") not in ("0", ""):
        raise OkiagariError(f"gluster: {root.findtext('opErrstr') or root.findtext('output') or 'refused'}")
    return root
