# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The testbed as a drawing: routers roughly as on a map, circuits with their delay, faults where they stood."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from .faults import Place, places
from .layout import Box, arrange, clip, crosses
from .paths import detour
from .reading import Report, circuits_of, mapping, number, text
from .svg import Element, element, group, markup, title
from .wording import milliseconds

_CHIP = 42.0
_HOST = 20.0
_HOST_DROP = 12.0


@dataclass(frozen=True)
class Sheet:
    """How a drawing is cut: a wide one for screens and paper, a narrow one for telephones."""

    name: str
    width: float
    height: float
    gap: float
    letters: int
    site_titles: bool


WIDE = Sheet("wide", 1040.0, 400.0, 64.0, 24, True)
NARROW = Sheet("narrow", 420.0, 460.0, 54.0, 14, False)


@dataclass
class _Node:
    name: str
    caption: str
    core: bool
    hosts: list[str] = field(default_factory=list)
    width: float = 0.0
    box: Box | None = None
    hosts_above: bool = False


def draw_topology(report: Report, sheet: Sheet) -> str:
    """The drawing as SVG text; empty if the report knows no router."""
    testbed = mapping(report.get("testbed"))
    nodes = _nodes(testbed, sheet)
    if not nodes:
        return ""
    circuits = {name: c for name, c in circuits_of(report).items() if c["a"] in nodes and c["b"] in nodes}
    boxes = [
        Box(node.name, node.width, _CHIP + (_HOST + _HOST_DROP if node.hosts else 0.0), _position(testbed, node.name))
        for node in nodes.values()
    ]
    ends = [(circuit["a"], circuit["b"]) for circuit in circuits.values()]
    tall = sheet.height * max(1.0, len(nodes) / 7) ** 0.5
    placed, height = arrange(boxes, ends, sheet.width - 8, tall, sheet.gap)
    for box in placed:
        nodes[box.name].box = box
    for node in nodes.values():
        node.hosts_above = (
            _falls(
                node,
                [nodes[end] for c in circuits.values() if node.name in (c["a"], c["b"]) for end in (c["a"], c["b"])],
            )
            > 0
        )
    drawing = _Drawing(nodes, circuits, places(report), detour(report), sheet)
    name = text(testbed.get("name"), "the testbed")
    words = f"Topology of {name}: {len(nodes)} routers, {len(circuits)} circuits" + drawing.faults_in_words()
    svg = element(
        "svg",
        {
            "class": f"topology {sheet.name}",
            "viewBox": f"0 0 {sheet.width:.0f} {height:.0f}",
            "role": "img",
            "aria-label": words,
        },
        title(words),
        element("g", {"transform": "translate(4 0)"}, *drawing.parts()),
    )
    return markup(svg)


class _Drawing:
    """Lines first, then nodes, then labels, so that nothing that is read is covered."""

    def __init__(
        self, nodes: dict[str, _Node], circuits: dict[str, Any], faults: list[Place], used: set[str], sheet: Sheet
    ) -> None:
        self.nodes, self.circuits, self.faults, self.used, self.sheet = nodes, circuits, faults, used, sheet
        self.taken = [node.box for node in nodes.values() if node.box]
        self.lines: list[Element] = []
        self.labels: list[Element] = []

    def faults_in_words(self) -> str:
        told = [f"{place.label} on {place.circuit or place.node}" for place in self.faults]
        return "; faults: " + ", ".join(told) if told else ""

    def parts(self) -> list[Element]:
        # Faults claim their room first: theirs are the labels that must not move far away.
        order = sorted(self.circuits, key=lambda name: not any(place.circuit == name for place in self.faults))
        for name in order:
            self._circuit(name)
        chips = [self._chip(node) for node in self.nodes.values()]
        return [group("lines", *self.lines), group("nodes", *chips), group("labels", *self.labels)]

    def _ends(self, name: str) -> tuple[tuple[float, float], tuple[float, float]]:
        """The circuit's visible line, from box to box; parallel circuits lie side by side."""
        circuit = self.circuits[name]
        a, b = self.nodes[circuit["a"]], self.nodes[circuit["b"]]
        ax, ay = _anchor(a)
        bx, by = _anchor(b)
        twins = sorted(other for other, c in self.circuits.items() if {c["a"], c["b"]} == {circuit["a"], circuit["b"]})
        shift = (twins.index(name) - (len(twins) - 1) / 2) * 18.0
        length = math.hypot(bx - ax, by - ay) or 1.0
        ox, oy = -(by - ay) / length * shift, (bx - ax) / length * shift
        start, end = (ax + ox, ay + oy), (bx + ox, by + oy)
        leaves, arrives = 0.0, 1.0
        if inside := clip(_chip(a), start, end):
            leaves = inside[1]
        if inside := clip(_chip(b), start, end):
            arrives = inside[0]
        if leaves >= arrives:
            leaves, arrives = 0.0, 1.0
        return _along(start, end, leaves), _along(start, end, arrives)

    def _circuit(self, name: str) -> None:
        circuit = self.circuits[name]
        start, end = self._ends(name)
        faults = [place for place in self.faults if place.circuit == name]
        rate = number(circuit.get("rate_bps"))
        told = f"{name}: {circuit['a']} to {circuit['b']}, {milliseconds(circuit.get('delay_ms'))}" + (
            f", {rate / 1e6:g} Mbit/s" if rate else ""
        )
        if faults:
            told += "".join(f"; {place.label}" for place in faults)
            self._broken(start, end, faults, told)
        else:
            kind = "circuit used" if name in self.used else "circuit"
            self.lines.append(element("line", {"class": kind, **_line(start, end)}, title(told)))
        self._delay(start, end, milliseconds(circuit.get("delay_ms")), bool(faults))

    def _broken(self, start: tuple[float, float], end: tuple[float, float], faults: list[Place], told: str) -> None:
        done = any(place.injected for place in faults)
        severed = any(place.breaks for place in faults)
        state = "faulted" if done else "faulted planned"
        length = math.hypot(end[0] - start[0], end[1] - start[1]) or 1.0
        apart = min(0.35, 23.0 / length)
        if severed:
            self.lines.append(
                element("line", {"class": state, **_line(start, _along(start, end, 0.5 - apart))}, title(told))
            )
            self.lines.append(
                element("line", {"class": state, **_line(_along(start, end, 0.5 + apart), end)}, title(told))
            )
        else:
            self.lines.append(element("line", {"class": f"{state} thinned", **_line(start, end)}, title(told)))
        x, y = _along(start, end, 0.5)
        self.labels.append(self._mark(x, y, start, end, faults, state, told))
        self.taken.append(Box("mark", 30, 30, None, x, y))
        label = "; ".join(dict.fromkeys(place.label for place in faults)) + ("" if done else " (not injected)")
        self._pill(
            self._beside(x, y, start, end, _wide(label) * 6.9 + 18, 22.0),
            label,
            f"fault-label {'' if done else 'planned'}".strip(),
        )

    def _mark(
        self,
        x: float,
        y: float,
        start: tuple[float, float],
        end: tuple[float, float],
        faults: list[Place],
        state: str,
        told: str,
    ) -> Element:
        """A cross on a severed circuit, an arrow on a one-way fault (both if it severs one direction only)."""
        parts: list[Element] = [title(told), element("circle", {"r": 13})]
        one_way = {place.towards for place in faults}
        towards = next(iter(one_way)) if len(one_way) == 1 else None
        if towards is None:
            parts.append(element("path", {"d": "M-5-5 5 5M5-5-5 5"}))
        else:
            far = self.nodes[towards].box if towards in self.nodes else None
            turn = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
            if far and math.dist((far.x, far.y), start) < math.dist((far.x, far.y), end):
                turn += 180
            parts.append(element("path", {"d": "M-7 0H6M1-5 6 0 1 5", "transform": f"rotate({turn:.1f})"}))
        return element("g", {"class": f"mark {state}", "transform": f"translate({x:.1f} {y:.1f})"}, *parts)

    def _delay(self, start: tuple[float, float], end: tuple[float, float], words: str, faulted: bool) -> None:
        wide = len(words) * 6.6 + 12
        for share in (0.28, 0.72, 0.36, 0.64, 0.2, 0.8) if faulted else (0.5, 0.4, 0.6, 0.32, 0.68, 0.25, 0.75):
            x, y = _along(start, end, share)
            box = Box("delay", wide, 18.0, None, x, y)
            if not any(box.overlaps(other, 2.0) for other in self.taken):
                break
        else:
            return
        self._pill(box, words, "delay")

    def _beside(
        self, x: float, y: float, start: tuple[float, float], end: tuple[float, float], wide: float, high: float
    ) -> Box:
        """Room for a label near a point, as near as may be, covering as few lines as may be."""
        limit = self.sheet.width - 12
        wide = min(wide, limit)
        steep = abs(end[1] - start[1]) > abs(end[0] - start[0])
        lines = [self._ends(name) for name in self.circuits]
        possible = []
        for reach in (0.0, 8.0, 20.0, 36.0):
            across, down = wide / 2 + 18 + reach, high / 2 + 18 + reach
            level, upright = [(0.0, -down), (0.0, down)], [(across, 0.0), (-across, 0.0)]
            corners = [(sx * (wide / 2 + reach), sy * (high / 2 + 6 + reach)) for sx in (-1, 1) for sy in (-1, 1)]
            for dx, dy in (upright + level if steep else level + upright) + corners:
                box = Box("label", wide, high, None, min(limit - wide / 2, max(wide / 2, x + dx)), y + dy)
                if box.y > high / 2 and not any(box.overlaps(other, 3.0) for other in self.taken):
                    possible.append(box)
        if not possible:
            return Box("label", wide, high, None, min(limit - wide / 2, max(wide / 2, x)), y - high / 2 - 18)

        def cost(box: Box) -> float:
            away = max(abs(box.x - x) - wide / 2, abs(box.y - y) - high / 2, 0.0)
            return away / 18 + sum(crosses(box, *line, 2.0) for line in lines)

        return min(possible, key=cost)

    def _pill(self, box: Box, words: str, kind: str) -> None:
        self.taken.append(box)
        self.labels.append(
            group(
                kind,
                element(
                    "rect",
                    {
                        "x": box.x - box.width / 2,
                        "y": box.y - box.height / 2,
                        "width": box.width,
                        "height": box.height,
                        "rx": box.height / 2,
                    },
                ),
                element("text", {"x": box.x, "y": box.y + 4.2}, words),
            )
        )

    def _chip(self, node: _Node) -> Element:
        x, y = _anchor(node)
        mine = [place for place in self.faults if place.circuit is None and place.node == node.name]
        words = f"{node.name}, {node.caption}" + "".join(f"; {place.label}" for place in mine)
        kind = "node " + ("core" if node.core else "site") + (" faulted" if mine else "")
        shown = _cut(node.name, self.sheet.letters)
        captioned = bool(node.caption) and (self.sheet.site_titles or node.core)
        parts: list[Element] = [
            title(words),
            element(
                "rect",
                {
                    "x": x - node.width / 2,
                    "y": y - _CHIP / 2,
                    "width": node.width,
                    "height": _CHIP,
                    "rx": _CHIP / 2 if node.core else 9.0,
                },
            ),
            element("text", {"class": "name", "x": x, "y": y + (-1.5 if captioned else 4.8)}, shown),
        ]
        if captioned:
            parts.append(
                element("text", {"class": "caption", "x": x, "y": y + 13.5}, _cut(node.caption, self.sheet.letters + 2))
            )
        if mine:
            self.labels.append(
                element(
                    "g",
                    {
                        "class": "mark faulted",
                        "transform": f"translate({x + node.width / 2 - 4:.1f} {y - _CHIP / 2 + 2:.1f})",
                    },
                    element("circle", {"r": 11}),
                    element("path", {"d": "M0-5V1M0 4.6V5"}),
                )
            )
            label = "; ".join(dict.fromkeys(place.label for place in mine))
            wide = _wide(label) * 6.9 + 18
            self._pill(self._beside(x, y - 8, (0, 0), (1, 0), wide, 22.0), label, "fault-label")
        return group(kind, *self._hosts(node, x, y), *parts)

    def _hosts(self, node: _Node, x: float, y: float) -> list[Element]:
        """The KVM hosts sit beside their router, on short threads, where fewer circuits pass."""
        shown = node.hosts if len(node.hosts) <= 3 else [*node.hosts[:2], f"+{len(node.hosts) - 2}"]
        drawn: list[Element] = []
        widths = [_wide(_host(name, node.name)) * 6.3 + 16 for name in shown]
        left = x - (sum(widths) + 6 * (len(shown) - 1)) / 2
        side = -1 if node.hosts_above else 1
        near, far = y + side * _CHIP / 2, y + side * (_CHIP / 2 + _HOST_DROP)
        top = far - _HOST if node.hosts_above else far
        for name, wide in zip(shown, widths, strict=True):
            centre = left + wide / 2
            drawn.append(element("path", {"class": "thread", "d": f"M{centre:.1f} {far:.1f}V{near:.1f}"}))
            drawn.append(
                group(
                    "host",
                    title(f"{name}, KVM host" if name in node.hosts else ", ".join(node.hosts[2:])),
                    element("rect", {"x": left, "y": top, "width": wide, "height": _HOST, "rx": 5}),
                    element("text", {"x": centre, "y": top + 14}, _host(name, node.name)),
                )
            )
            left += wide + 6
        return drawn


def _nodes(testbed: dict[str, Any], sheet: Sheet) -> dict[str, _Node]:
    sites = mapping(testbed.get("sites"))
    found: dict[str, _Node] = {}
    hosts: list[tuple[str, dict[str, Any]]] = []
    for name, value in mapping(testbed.get("nodes")).items():
        node = mapping(value)
        if node.get("kind") == "kvm_host":
            hosts.append((name, node))
            continue
        core = node.get("role") == "core"
        caption = "core" if core else text(mapping(sites.get(text(node.get("site")))).get("title"))
        found[name] = _Node(name, caption, core)
    for name, node in hosts:
        home = [
            router
            for router in found
            if mapping(mapping(testbed.get("nodes")).get(router)).get("site") == node.get("site")
        ]
        if home and node.get("site") is not None:
            found[home[0]].hosts.append(name)
    for made in found.values():
        captioned = made.caption if sheet.site_titles or made.core else ""
        letters = max(_wide(_cut(made.name, sheet.letters)) * 7.6, _wide(_cut(captioned, sheet.letters + 2)) * 6.2)
        made.width = max(78.0 if sheet.site_titles else 64.0, letters + 26)
        row = sum(_wide(_host(host, made.name)) * 6.3 + 22 for host in made.hosts[:3]) - 6
        made.width = max(made.width, row if made.hosts else 0.0)
    return found


def _position(testbed: dict[str, Any], name: str) -> tuple[float, float] | None:
    node = mapping(mapping(testbed.get("nodes")).get(name))
    for place in (node, mapping(mapping(testbed.get("sites")).get(text(node.get("site"))))):
        at = place.get("position")
        if isinstance(at, list) and len(at) == 2:
            latitude, longitude = number(at[0]), number(at[1])
            if latitude is not None and longitude is not None:
                return latitude, longitude
    return None


def _anchor(node: _Node) -> tuple[float, float]:
    """The centre of the router itself: its box also holds its hosts."""
    box = node.box or Box(node.name, 0, 0)
    return box.x, box.y + (1 if node.hosts_above else -1) * (box.height - _CHIP) / 2


def _chip(node: _Node) -> Box:
    """The router's own rectangle."""
    x, y = _anchor(node)
    return Box(node.name, node.width, _CHIP, None, x, y)


def _falls(node: _Node, ends: list[_Node]) -> float:
    """How steeply a node's circuits leave downwards (positive) or upwards."""
    here = node.box or Box(node.name, 0, 0)
    steep = 0.0
    for end in ends:
        there = end.box or here
        steep += (there.y - here.y) / (math.dist((here.x, here.y), (there.x, there.y)) or 1.0)
    return steep


def _along(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _line(start: tuple[float, float], end: tuple[float, float]) -> dict[str, float]:
    return {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}


def _host(name: str, router: str) -> str:
    """A host's name without what it shares with its router: kvm1 beside hiroshima-r1."""
    prefix = router.rsplit("-", 1)[0] + "-"
    return _cut(name.removeprefix(prefix), 10)


def _wide(words: str) -> int:
    """Columns that a text takes; East Asian letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in words)


def _cut(words: str, columns: int) -> str:
    if _wide(words) <= columns:
        return words
    kept = ""
    for letter in words:
        if _wide(kept + letter) > columns - 1:
            break
        kept += letter
    return kept.rstrip() + "\u2026"
