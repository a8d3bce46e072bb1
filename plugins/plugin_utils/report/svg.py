# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SVG by elements, so that whatever a report holds is escaped by the serialiser and nothing is pasted into markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Element = ET.Element


def short(value: float) -> str:
    """A coordinate with at most two digits."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def element(tag: str, attributes: Mapping[str, object] | None = None, *children: Element | str | None) -> Element:
    """One element; floats are shortened, None attributes and None children are left out, strings become text."""
    made = ET.Element(tag)
    for name, value in (attributes or {}).items():
        if value is not None:
            made.set(name, short(value) if isinstance(value, float) else str(value))
    for child in children:
        if isinstance(child, ET.Element):
            made.append(child)
        elif child is not None and len(made):
            made[-1].tail = (made[-1].tail or "") + child
        elif child is not None:
            made.text = (made.text or "") + child
    return made


def group(name: str, *children: Element | str | None) -> Element:
    """A group of one class."""
    return element("g", {"class": name}, *children)


def title(words: str) -> Element:
    """What a pointer and a screen reader get."""
    return element("title", None, words)


def markup(drawn: Element) -> str:
    """The element as text to put into a page."""
    return ET.tostring(drawn, encoding="unicode")
