# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wanted volume and the state of a storage cluster. Whether a wish is sound is decided here, before it is begun."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..errors import BadInput, Problem
from ..suggest import nearest

FEWEST_COPIES = 3
MARK = "user.okiagari"
_UNEQUAL = 0.05
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_OPTION = re.compile(r"[a-z]+(?:[.-][a-z0-9-]+)+")
_MEMBER_KEYS = ("name", "address", "site")
_BRICK_KEYS = ("host", "path", "size_mib", "root", "volume_id")


@dataclass(frozen=True)
class Member:
    """A host whose word counts for the quorum, whether or not it holds copies. `address` is its name to the others."""

    name: str
    address: str
    site: str


@dataclass(frozen=True)
class Brick:
    """A folder of a member that holds one copy.

    `size_mib` 0: not known. `root`: it lies on the root file system. `volume_id` is that of the volume whose copy the
    folder holds, empty for none, None for not known.
    """

    host: str
    path: str
    size_mib: int = 0
    root: bool = False
    volume_id: str | None = None


@dataclass(frozen=True)
class Wanted:
    """A volume as it shall be: `bricks` in sets of `replica`, each set at as many sites.

    `shrink`: bricks and members that aren't named any more are removed, after their data has been moved.
    """

    name: str
    replica: int
    members: tuple[Member, ...]
    bricks: tuple[Brick, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    shrink: bool = False
    adopt: bool = False

    def member(self, name: str) -> Member:
        """Give the member of this name."""
        return next(member for member in self.members if member.name == name)

    def place(self, brick: Brick) -> str:
        """Give the brick as the volume manager writes it: ADDRESS:PATH."""
        return f"{self.member(brick.host).address}:{brick.path}"

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(self.place(brick) for brick in self.bricks)

    def site(self, place: str) -> str | None:
        """Give the site of a brick that is written as ADDRESS:PATH."""
        address = place.partition(":")[0]
        return next((member.site for member in self.members if member.address == address), None)

    @property
    def force(self) -> bool:
        """Whether a brick lies on a root file system, with its owner's consent."""
        return any(brick.root for brick in self.bricks)


@dataclass(frozen=True)
class Volume:
    """A volume that is there. `bricks` are in the order of their sets; `online` are those whose process answers.

    One that is `new` was never started: nothing can be in it.
    """

    name: str
    id: str
    replica: int
    started: bool
    bricks: tuple[str, ...]
    options: Mapping[str, str]
    online: frozenset[str] = frozenset()
    new: bool = False

    def mates(self, place: str) -> tuple[str, ...]:
        """Give the other bricks of the set that this brick belongs to."""
        first = self.bricks.index(place) // self.replica * self.replica
        return tuple(brick for brick in self.bricks[first : first + self.replica] if brick != place)


@dataclass(frozen=True)
class State:
    """What a cluster is now. `peers`: address to connected, this host included."""

    peers: Mapping[str, bool] = field(default_factory=dict)
    volume: Volume | None = None
    pending: int = 0
    split_brain: tuple[str, ...] = ()


def parse(arguments: Mapping[str, Any]) -> Wanted:
    """Give the wanted volume that the module's arguments describe. Raises `BadInput` with all that is wrong.

    With `state` absent nothing is asked of the bricks.
    """
    problems: list[Problem] = []
    name, replica = str(arguments.get("name") or ""), int(arguments.get("replica") or FEWEST_COPIES)
    if not _NAME.fullmatch(name):
        problems.append(
            _problem("name", f"{name or 'nothing'} is not a name: a letter, then up to 39 of a-z, 0-9, _ and -")
        )
    if replica < FEWEST_COPIES:
        problems.append(
            _problem("replica", f"{replica} copies can't outvote a lost one, so the volume would split: keep 3 or more")
        )
    members = _members(arguments.get("members") or (), problems)
    bricks = _bricks(arguments.get("bricks") or (), members, problems)
    if not arguments.get("root_consent"):
        problems += [
            _problem(f"bricks.{brick.host}", f"{brick.path} is on the root file system, which a full volume would stop;"
                     " give it a disk of its own, or consent to it")
            for brick in bricks if brick.root
        ]  # fmt: skip
    sites = {member.name: member.site for member in members}
    sets = _sets(bricks, sites, replica, problems) if arguments.get("state") != "absent" else ()
    options = {str(key): _text(value) for key, value in (arguments.get("options") or {}).items()}
    problems += [
        _problem(f"options.{key}", "is not the name of an option, such as network.ping-timeout")
        for key in options
        if not _OPTION.fullmatch(key)
    ]
    if problems:
        raise BadInput(problems)
    return Wanted(name, replica, members, sets, options, bool(arguments.get("shrink")), bool(arguments.get("adopt")))


def _unfinished(wanted: Wanted, volume: Volume) -> bool:
    """Whether it is what a creation of the wanted volume that was cut off before its mark has left."""
    return volume.new and (volume.replica, volume.bricks) == (wanted.replica, wanted.places)


def foreign(wanted: Wanted, have: State) -> list[Problem]:
    """Give what speaks against the wish in the cluster as it is: a name or a folder that something else uses."""
    problems = []
    volume = have.volume
    if volume and MARK not in volume.options and not wanted.adopt and not _unfinished(wanted, volume):
        message = f"there is a volume {wanted.name} already, and it is not Okiagari's; choose another name, or adopt it"
        problems.append(_problem("name", message))
    return problems + [
        _problem(f"bricks.{brick.host}", f"{brick.path} holds data of another volume")
        for brick in wanted.bricks
        if brick.volume_id and (volume is None or brick.volume_id != volume.id)
    ]


def own_address(members: Sequence[Member], name: str) -> str:
    """Give the address of the member that is called `name`."""
    found = next((member.address for member in members if member.name == name), None)
    if found is None:
        names = [member.name for member in members]
        raise BadInput([_problem("member", f"there is no member {name}", nearest(name, names))])
    return found


def warnings(members: Sequence[Member]) -> list[str]:
    """Say which site's loss would stop the whole cluster, because without it there is no majority of members."""
    sites = Counter(member.site for member in members)
    return [
        f"{site} has {count} of {len(members)} members: without it there is no majority, and all writing stops"
        for site, count in sorted(sites.items())
        if 2 * (len(members) - count) <= len(members)
    ]


def _members(given: Sequence[Any], problems: list[Problem]) -> tuple[Member, ...]:
    found: list[Member] = []
    for number, item in enumerate(given):
        values = _mapping(item, f"members[{number}]", _MEMBER_KEYS, problems)
        name, address, site = (str(values.get(key) or "") for key in _MEMBER_KEYS)
        problems += [_problem(f"members[{number}].{key}", "is missing") for key in _MEMBER_KEYS if not values.get(key)]
        if address and not _is_address(address):
            problems.append(_problem(f"members[{number}].address", f"{address} is not an address"))
        found.append(Member(name, address, site))
    if not found:
        problems.append(_problem("members", "there is none"))
    for what, values_of in (("called", [one.name for one in found]), ("at", [one.address for one in found])):
        problems += [
            _problem("members", f"{count} of them are {what} {value}")
            for value, count in Counter(values_of).items()
            if value and count > 1
        ]
    return tuple(found)


def _bricks(given: Sequence[Any], members: Sequence[Member], problems: list[Problem]) -> tuple[Brick, ...]:
    found: list[Brick] = []
    names = [member.name for member in members]
    for number, item in enumerate(given):
        where = f"bricks[{number}]"
        values = _mapping(item, where, _BRICK_KEYS, problems)
        host, path = str(values.get("host") or ""), str(values.get("path") or "")
        if host not in names:
            problems.append(_problem(f"{where}.host", f"there is no member {host or 'given'}", nearest(host, names)))
        if not path.startswith("/") or ".." in PurePosixPath(path).parts or path.rstrip("/") == "":
            problems.append(_problem(f"{where}.path", f"{path or 'nothing'} is not a folder's absolute path"))
        volume_id = values.get("volume_id")
        size = int(values.get("size_mib") or 0)
        brick = Brick(
            host, path.rstrip("/"), size, bool(values.get("root")), None if volume_id is None else str(volume_id)
        )
        found.append(brick)
    problems += [
        _problem("bricks", f"{count} of them are {host}:{path}")
        for (host, path), count in Counter((brick.host, brick.path) for brick in found).items()
        if count > 1
    ]
    return tuple(found)


def _sets(
    bricks: Sequence[Brick], sites: Mapping[str, str], replica: int, problems: list[Problem]
) -> tuple[Brick, ...]:
    """Order the bricks into sets of one brick at each of `replica` sites, always from the sites with most left."""
    known = [brick for brick in bricks if brick.host in sites]
    by_site: dict[str, list[Brick]] = {}
    for brick in known:
        by_site.setdefault(sites[brick.host], []).append(brick)
    if len(by_site) < replica:
        names = f" ({', '.join(sorted(by_site))})" if by_site else ""
        problems.append(
            _problem("bricks", f"{replica} copies need {replica} sites, and there are {len(by_site)}{names}")
        )
        return ()
    if len(known) % replica:
        problems.append(_problem("bricks", f"{len(known)} bricks do not make whole sets of {replica} copies"))
        return ()
    ordered: list[Brick] = []
    order = {site: number for number, site in enumerate(by_site)}
    while any(by_site.values()):
        chosen = sorted(by_site, key=lambda site: (-len(by_site[site]), order[site]))[:replica]
        if not all(by_site[site] for site in chosen):
            crowded = max(by_site, key=lambda site: len(by_site[site]))
            problems.append(
                _problem(
                    "bricks", f"{crowded} has too many: each set of {replica} copies needs {replica} different sites"
                )
            )
            return ()
        one_set = [by_site[site].pop(0) for site in sorted(chosen, key=order.__getitem__)]
        problems += _unequal(one_set)
        ordered += one_set
    return tuple(ordered)


def _unequal(one_set: Sequence[Brick]) -> list[Problem]:
    sizes = {brick.host: brick.size_mib for brick in one_set if brick.size_mib}
    if not sizes or max(sizes.values()) - min(sizes.values()) <= _UNEQUAL * max(sizes.values()):
        return []
    words = ", ".join(f"{host} {size} MiB" for host, size in sizes.items())
    return [_problem("bricks", f"copies of unequal size, of which the smallest would be full first: {words}")]


def _mapping(item: Any, where: str, keys: Sequence[str], problems: list[Problem]) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        problems.append(_problem(where, f"is not a mapping with {', '.join(keys)}"))
        return {}
    problems += [
        _problem(f"{where}.{key}", f"there is no such key here, only {', '.join(keys)}", nearest(str(key), keys))
        for key in item
        if key not in keys
    ]
    return item


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _text(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _problem(key: str, message: str, suggestion: str | None = None) -> Problem:
    return Problem("", None, key, message, suggestion)
