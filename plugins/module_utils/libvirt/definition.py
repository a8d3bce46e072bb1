# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of libvirt, compared by what the wish asks for."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Mapping


def parse(xml: str) -> ET.Element:
    """Give a definition as a tree; raise for what isn't XML."""
    try:
        return ET.fromstring(xml)  # noqa: S314 -- from the role, or from libvirt itself
    except ET.ParseError as error:
        raise OkiagariError(f"the definition is not XML: {error}") from error


def extract(have: ET.Element | None, wanted: ET.Element | None) -> Mapping[str, Any] | None:
    """Reduce what libvirt has to what the wish names: libvirt adds identifiers and defaults of its own."""
    if have is None or wanted is None:
        return None
    children = {
        tag: [extract(*pair) for pair in itertools.zip_longest(have.findall(tag), wanted.findall(tag))]
        for tag in dict.fromkeys(child.tag for child in wanted)
    }
    attributes = {name: have.get(name) for name in wanted.attrib}
    return {"attributes": attributes, "text": (have.text or "").strip(), "children": children}
