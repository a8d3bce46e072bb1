# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a testbed description may say: its shape is read into entries, and every problem is recorded with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..errors import BadValue, Problem
from ..suggest import nearest
from ..units import bits_per_second, mebibytes, milliseconds, percent, seconds
from .timetable import CONSENT, Rules, SiteRules, blackout, window, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

PLUGIN: Final = "okiagari.testbed.testbed"
PLATFORMS: Final = ("linux", "vyos")
DEFAULT_PREFIXES: Final = {
    "loopbacks": IPv4Network("10.255.0.0/24"),
    "circuits": IPv4Network("10.254.0.0/16"),
    "sites": IPv4Network("10.0.0.0/12"),
    "management": IPv4Network("172.31.0.0/22"),
    "segments": IPv4Network("172.30.0.0/20"),
    "guests": IPv4Network("10.253.0.0/16"),
}
GROUPS: Final = ("all", "ungrouped", "sites", "core", "routers", "kvm-hosts")
LARGEST_NUMBER: Final = 99
UNREADABLE: Final = object()
PARALLEL_CIRCUITS: Final = 4

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}")
_PRIVATE_ASNS = ((64512, 65534), (4200000000, 4294967294))


@dataclass(frozen=True)
class Item:
    """A value of the description and its place. Mappings hold `dict[str, Item]`, lists `list[Item]`.

    It is `UNREADABLE` where YAML gives no value; that is recorded already.
    """

    value: Any
    line: int
    key: str

    def at(self, key: str) -> Item:
        """Give the place of `key` in this mapping, or the mapping's own where it isn't typed."""
        return self.value.get(key, self) if isinstance(self.value, dict) else self


class Problems:
    """Collects what is wrong with one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.found: list[Problem] = []

    def add(self, place: Item, message: str, suggestion: str | None = None) -> None:
        self.found.append(Problem(self._file, place.line, place.key, message, suggestion))

    def read(self, item: Item, reader: Callable[[Item], Any]) -> Any:
        """Give `reader(item)`, or None after recording why it was refused."""
        if item.value is UNREADABLE:
            return None
        try:
            return reader(item)
        except BadValue as error:
            self.add(item, error.message, error.suggestion)
            return None

    def fields(
        self, item: Item, readers: Mapping[str, Callable[[Item], Any]], required: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Read a mapping key by key. Unknown, missing and wrong keys are recorded, and left out of the result."""
        if self.read(item, _mapping) is None:
            return {}
        for key in required:
            if key not in item.value:
                self.add(item, f"the key {key} is missing")
        values = {}
        for key, child in item.value.items():
            if key not in readers:
                self.add(child, f"unknown key, not one of {', '.join(readers)}", nearest(key, readers))
                continue
            value = self.read(child, readers[key])
            if value is not None:
                values[key] = value
        return values


@dataclass(frozen=True)
class Router:
    """A site, as far as it is a router, or a core router."""

    name: str
    number: int
    place: Item
    position: tuple[float, float] | None = None
    asn: int | None = None
    platform: str = "linux"


@dataclass(frozen=True)
class Site(Router):
    title: str | None = None
    kvm_hosts: int = 1
    cpus: int | None = None
    memory: int | None = None
    disks: tuple[int, ...] = ()
    """Sizes of each KVM host's further disks, in MiB."""
    drills: SiteRules = field(default_factory=SiteRules)

    @property
    def router(self) -> str:
        return f"{self.name}-r1"

    def kvm_host(self, index: int) -> str:
        """Give the name of the KVM host with this index, from 1."""
        return f"{self.name}-kvm{index}"


@dataclass(frozen=True)
class End:
    """One end of a circuit: the name of a site or node, and the interface there if it isn't the derived one."""

    node: str
    place: Item
    interface: str | None = None


@dataclass(frozen=True)
class Shape:
    """How a circuit behaves in each direction, in ms, bits per second, percent and bytes; no `rate` is no limit."""

    delay: float | None = 0.0
    """One way; None: as the distance between the two ends asks for."""
    jitter: float = 0.0
    rate: int | None = None
    loss: float = 0.0
    mtu: int = 1500


@dataclass(frozen=True)
class Circuit:
    ends: tuple[End, End]
    shape: Shape
    place: Item
    number: int = 1
    name: str | None = None
    tag: int | None = None


@dataclass(frozen=True)
class Description:
    """What the file says, without the entries that are too wrong to go on with.

    `names` holds the names of these too, so that a circuit to one of them is no further problem.
    """

    name: str
    prefixes: dict[str, IPv4Network]
    sites: dict[str, Site]
    core: dict[str, Router]
    circuits: list[Circuit]
    drills: Rules = field(default_factory=Rules)
    names: set[str] = field(default_factory=set)


def read(root: Item, problems: Problems) -> Description:
    """Read the whole description; what is wrong with it goes to `problems`."""
    keep = _keep
    top = problems.fields(
        root,
        {
            "plugin": _plugin,
            "name": _name,
            "prefixes": keep,
            "profiles": keep,
            "core": keep,
            "sites": keep,
            "circuits": keep,
            "drills": lambda item: _rules(item, problems),
        },
        required=("plugin", "name", "sites"),
    )
    sites_item = top.get("sites", Item({}, root.line, "sites"))
    core_item = top.get("core", Item({}, root.line, "core"))
    sites = _routers(sites_item, problems, Site, {**_SITE, "drills": lambda item: _site_rules(item, problems)})
    core = _routers(core_item, problems, Router, _CORE)
    if "sites" in top and sites_item.value == {}:
        problems.add(sites_item, "a testbed needs at least one site")
    shapes = _profiles(top["profiles"], problems) if "profiles" in top else {}
    circuits_item = top.get("circuits", Item([], root.line, "circuits"))
    circuits = []
    for item in problems.read(circuits_item, _list) or []:
        circuit = _circuit(item, shapes, problems)
        if circuit is not None:
            circuits.append(circuit)
    return Description(
        name=top.get("name", ""),
        prefixes=_prefixes(top["prefixes"], problems) if "prefixes" in top else dict(DEFAULT_PREFIXES),
        sites={site.name: site for site in sites},
        core={router.name: router for router in core},
        circuits=circuits,
        drills=top.get("drills", Rules()),
        names={name for item in (sites_item, core_item) if isinstance(item.value, dict) for name in item.value},
    )


def _routers(
    item: Item, problems: Problems, kind: type[Any], readers: Mapping[str, Callable[[Item], Any]]
) -> list[Any]:
    routers = []
    for name, child in (problems.read(item, _mapping) or {}).items():
        good = problems.read(replace(child, value=name), _name)
        values = problems.fields(child, readers, required=("number",))
        if good is not None and "number" in values:
            routers.append(kind(name=name, place=child, **values))
    return routers


def _prefixes(item: Item, problems: Problems) -> dict[str, IPv4Network]:
    values = problems.fields(item, dict.fromkeys(DEFAULT_PREFIXES, _network))
    prefixes: dict[str, IPv4Network] = {}
    for key, default in DEFAULT_PREFIXES.items():
        prefix = values.get(key, default)
        for other, taken in prefixes.items():
            if prefix.overlaps(taken) and (key in values or other in values):
                problems.add(item.at(key if key in values else other), f"{key} {prefix} overlaps {other} {taken}")
        prefixes[key] = prefix
    # A prefix that can't be read gets all the room there is, so that nothing is said to be too small for it.
    wrong = [
        key for key in DEFAULT_PREFIXES if isinstance(item.value, dict) and key in item.value and key not in values
    ]
    return prefixes | dict.fromkeys(wrong, IPv4Network("0.0.0.0/0"))


def _profiles(item: Item, problems: Problems) -> dict[str, Shape | None]:
    """Give the shape of each profile, with all it extends; None for one that is wrong."""
    typed: dict[str, dict[str, Any]] = {}
    for name, child in (problems.read(item, _mapping) or {}).items():
        problems.read(replace(child, value=name), _name)
        typed[name] = problems.fields(child, {"extends": _text, **_SHAPE})
    shapes: dict[str, Shape | None] = {}

    def shape(name: str, trail: tuple[str, ...]) -> Shape | None:
        if name in shapes:
            return shapes[name]
        shapes[name] = None
        values = dict(typed[name])
        base = values.pop("extends", None)
        place = item.value[name].at("extends")
        if base is None:
            shapes[name] = _shape(Shape(), values)
        elif base in (*trail, name):
            cycle = (*trail, name, base)[(*trail, name).index(base) :]
            problems.add(place, f"a profile can't extend itself: {' -> '.join(cycle)}")
        elif base not in typed:
            problems.add(place, f"there is no profile {base}", nearest(base, typed))
        else:
            under = shape(base, (*trail, name))
            shapes[name] = under and _shape(under, values)
        return shapes[name]

    for name in typed:
        shape(name, ())
    return shapes


def _circuit(item: Item, shapes: Mapping[str, Shape | None], problems: Problems) -> Circuit | None:
    def ends(between: Item) -> tuple[End, End] | None:
        if not isinstance(between.value, list) or len(between.value) != 2:
            raise BadValue("must name the circuit's two ends, such as [hiroshima, osaka]")
        a, b = (_end(end, problems) for end in between.value)
        return (a, b) if a and b else None

    def profile(named: Item) -> Shape | None:
        name = _text(named)
        if name not in shapes:
            raise BadValue(f"there is no profile {name}", nearest(name, shapes))
        return shapes[name]

    readers = {"between": ends, "profile": profile, "name": _name, "number": _parallel, "tag": _tag, **_SHAPE}
    values = problems.fields(item, readers, required=("between",))
    if "between" not in values:
        return None
    shape = _shape(values.get("profile", Shape()), {key: values[key] for key in _SHAPE if key in values})
    if any(key not in values for key in item.value):
        # The jitter can't be compared with a delay that was left out because it is wrong.
        shape = replace(shape, jitter=0.0)
    return Circuit(
        ends=values["between"],
        shape=shape,
        place=item,
        number=values.get("number", 1),
        name=values.get("name"),
        tag=values.get("tag"),
    )


def _end(item: Item, problems: Problems) -> End | None:
    if isinstance(item.value, dict):
        values = problems.fields(item, {"node": _text, "interface": _interface}, required=("node",))
        return End(values["node"], item, values.get("interface")) if "node" in values else None
    node = problems.read(item, _text)
    return End(node, item) if node is not None else None


def _shape(base: Shape, values: Mapping[str, Any]) -> Shape:
    changes = dict(values)
    if changes.get("delay") == _DISTANCE:
        changes["delay"] = None
    return replace(base, **changes)


def _rules(item: Item, problems: Problems) -> Rules:
    values = problems.fields(item, {"timezone": _timezone, **_times(problems), "pause": _pause})
    return Rules(**{"pause_s" if key == "pause" else key: value for key, value in values.items()})


def _site_rules(item: Item, problems: Problems) -> SiteRules:
    return SiteRules(**problems.fields(item, {"consent": _consent, **_times(problems)}))


def _times(problems: Problems) -> dict[str, Callable[[Item], Any]]:
    def each(reader: Callable[[object], T]) -> Callable[[Item], tuple[T, ...]]:
        def read_all(item: Item) -> tuple[T, ...]:
            children = _list(item)
            if not children:
                raise BadValue("is empty: leave it out if nothing is meant by it")
            values = [problems.read(child, lambda child: reader(child.value)) for child in children]
            return tuple(value for value in values if value is not None)

        return read_all

    return {"windows": each(window), "blackouts": each(blackout)}


def _keep(item: Item) -> Item:
    return item


def _mapping(item: Item) -> dict[str, Item]:
    if not isinstance(item.value, dict):
        raise BadValue(f"must be a mapping of keys to values, not {_kind(item.value)}")
    return item.value


def _list(item: Item) -> list[Item]:
    if not isinstance(item.value, list):
        raise BadValue(f"must be a list, not {_kind(item.value)}")
    return item.value


def _text(item: Item) -> str:
    if not isinstance(item.value, str) or not item.value.strip():
        raise BadValue(f"must be text, not {_kind(item.value)}")
    return item.value


def _plugin(item: Item) -> str:
    if item.value != PLUGIN:
        raise BadValue(f"must be {PLUGIN}")
    return PLUGIN


def _name(item: Item) -> str:
    name = _text(item)
    if not _NAME.fullmatch(name):
        raise BadValue(
            "a name has only small letters, digits and inner hyphens, and begins with a letter", _corrected(name)
        )
    return name


def _corrected(name: str) -> str | None:
    better = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")
    return better if better != name and _NAME.fullmatch(better) else None


def _interface(item: Item) -> str:
    name = _text(item)
    if not _INTERFACE.fullmatch(name):
        raise BadValue("an interface name has at most 15 letters, digits, dots and hyphens, and begins with a letter")
    return name


def _integer(least: int, most: int) -> Callable[[Item], int]:
    def reader(item: Item) -> int:
        value = item.value
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadValue(f"must be a whole number, not {_kind(value)}")
        if not least <= value <= most:
            raise BadValue(f"must be from {least} to {most}")
        return value

    return reader


def _position(item: Item) -> tuple[float, float]:
    values = [child.value for child in item.value] if isinstance(item.value, list) else []
    if len(values) != 2 or any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        raise BadValue("must be [latitude, longitude] in degrees, such as [34.40, 132.71]")
    latitude, longitude = values
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise BadValue("the latitude is from -90 to 90 and the longitude from -180 to 180 degrees")
    return float(latitude), float(longitude)


def _asn(item: Item) -> int:
    value = _integer(1, 2**32 - 1)(item)
    if not any(least <= value <= most for least, most in _PRIVATE_ASNS):
        ranges = " or ".join(f"{least} to {most}" for least, most in _PRIVATE_ASNS)
        raise BadValue(f"must be a private AS number, {ranges}")
    return value


def _platform(item: Item) -> str:
    return _one_of(item, PLATFORMS)


def _one_of(item: Item, choices: tuple[str, ...]) -> str:
    name = _text(item)
    if name not in choices:
        raise BadValue(f"must be one of {', '.join(choices)}", nearest(name, choices))
    return name


def _timezone(item: Item) -> str:
    zone(item.value)
    return str(item.value)


def _pause(item: Item) -> float:
    return seconds(item.value)


def _consent(item: Item) -> str:
    return _one_of(item, CONSENT)


def _network(item: Item) -> IPv4Network:
    text = _text(item)
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        raise BadValue("is not a network such as 10.0.0.0/12") from None
    if not isinstance(loose, IPv4Network):
        raise BadValue("must be an IPv4 network")
    if "/" not in text:
        raise BadValue("needs its length, such as 10.0.0.0/12")
    if str(loose.network_address) != text.split("/")[0]:
        raise BadValue("has bits set to the right of its length", str(loose))
    if loose.is_multicast or loose.is_loopback or loose.is_link_local or loose.is_reserved:
        raise BadValue("is not a range for hosts")
    return loose


def _disks(item: Item) -> tuple[int, ...]:
    sizes = tuple(mebibytes(size.value) for size in _list(item))
    if any(size < 1 for size in sizes):
        raise BadValue("a disk has at least 1mib")
    if len(sizes) > _MOST_DISKS:
        raise BadValue(f"a host has at most {_MOST_DISKS} disks")
    return sizes


def _delay(item: Item) -> float | str:
    return _DISTANCE if item.value == _DISTANCE else milliseconds(item.value)


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "yes or no", int: "a number", float: "a number"}
    if value is None or (isinstance(value, str) and not value.strip()):
        return "nothing"
    return names.get(type(value), f"a {type(value).__name__}")


_DISTANCE: Final = "distance"
_MOST_DISKS: Final = 6
_tag = _integer(1, 4094)
_parallel = _integer(1, PARALLEL_CIRCUITS)
_SHAPE: Final[dict[str, Callable[[Item], Any]]] = {
    "delay": _delay,
    "jitter": lambda item: milliseconds(item.value),
    "rate": lambda item: bits_per_second(item.value),
    "loss": lambda item: percent(item.value),
    "mtu": _integer(576, 9216),
}
_CORE: Final[dict[str, Callable[[Item], Any]]] = {
    "number": _integer(1, LARGEST_NUMBER),
    "position": _position,
    "asn": _asn,
    "platform": _platform,
}
_SITE: Final[dict[str, Callable[[Item], Any]]] = {
    "title": _text,
    **_CORE,
    "kvm_hosts": _integer(0, 200),
    "cpus": _integer(1, 1024),
    "memory": lambda item: mebibytes(item.value),
    "disks": _disks,
}
