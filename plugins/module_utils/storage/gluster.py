# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GlusterFS as a storage engine, through its command line."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from ..errors import BadInput, OkiagariError, Problem
from ..runner import reason
from .engine import Op, StorageEngine
from .heal import Heal, document, heal_counts, split_brain
from .model import MARK, State, Volume, Wanted

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Callable, Sequence

    from ..runner import Runner

_WHOLE_CLUSTER = "all"
_QUORUM_RATIO = "cluster.server-quorum-ratio"

# A minority stops its bricks and refuses to write; no copy is ever chosen by itself when copies contradict each other.
# What reads ahead or answers from memory is off: a guest's disk must find on the bricks what it was told is there.
OPTIONS = {
    "cluster.server-quorum-type": "server",
    "cluster.quorum-type": "auto",
    "cluster.favorite-child-policy": "none",
    "cluster.self-heal-daemon": "on",
    "cluster.heal-timeout": "60",
    "cluster.data-self-heal-algorithm": "full",
    "cluster.locking-scheme": "granular",
    "cluster.eager-lock": "enable",
    "cluster.choose-local": "on",
    "features.shard": "on",
    "network.ping-timeout": "5",
    "network.remote-dio": "disable",
    "client.tcp-user-timeout": "5",
    "server.tcp-user-timeout": "5",
    "performance.strict-o-direct": "on",
    "performance.flush-behind": "off",
    "performance.quick-read": "off",
    "performance.read-ahead": "off",
    "performance.io-cache": "off",
    "performance.stat-prefetch": "off",
    "user.cifs": "off",
}

_GLUSTER = ("gluster", "--mode=script", "--xml")
_NOT_MET = re.compile(r"Staging failed on \S+ Error: Host (\S+) not connected")
_POLL_S = 0.5
_JOIN_S = 60.0
_MOVE_S = 3600.0


class Gluster(StorageEngine):
    """GlusterFS, seen from one member at `address`; `wait` and `now` are the clock."""

    name = "gluster"

    def __init__(
        self,
        runner: Runner,
        address: str,
        wait: Callable[[float], object] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner, self._address, self._wait, self._now = runner, address, wait, now

    def capabilities(self) -> frozenset[str]:
        return frozenset({"replicate", "replace", "grow", "shrink", "fence", "tls", "nfs"})

    def gather(self, volume: str) -> State:
        peers = self._peers()
        if peers is None:
            return State()
        found = self._volume(volume)
        return State({self._address: True, **peers}, found)

    def heal(self, volume: str) -> Heal:
        """Give how many entries wait for self-heal. Asks every brick."""
        return heal_counts(self._ask("volume", "heal", volume, "info", "summary"))

    def split_brain(self, volume: str) -> tuple[str, ...]:
        """Give the files whose copies contradict each other. Asks every brick."""
        return split_brain(self._ask("volume", "heal", volume, "info", "split-brain"))

    def render(self, have: State, want: Wanted) -> list[Op]:
        ops = [
            Op(("peer", "probe", member.address), "joined", (member.address,))
            for member in want.members
            if member.address not in have.peers
        ]
        if have.volume is None:
            return ops + self._creation(want)
        # Who may connect comes first: a new brick's host has to be let in before its brick is one.
        missing = {key: value for key, value in self.options(want).items() if have.volume.options.get(key) != value}
        ops += _settings(want.name, missing)
        ops += self._bricks(have, have.volume, want)
        if not have.volume.started:
            ops.append(Op(("volume", "start", want.name)))
        elif stopped := stopped_bricks(have, want):
            ops.append(Op(("volume", "start", want.name, "force"), "online", tuple(stopped)))
        if want.shrink:
            keep = {member.address for member in want.members} | {self._address}
            ops += [Op(("peer", "detach", address)) for address in have.peers if address not in keep]
        return ops

    def render_removal(self, have: State) -> list[Op]:
        volume = have.volume
        if volume is None:
            return []
        stop = [Op(("volume", "stop", volume.name, "force"))] if volume.started else []
        return [*stop, Op(("volume", "delete", volume.name))]

    def apply(self, ops: Sequence[Op]) -> None:
        for op in ops:
            self._act(op.argv)
            if op.until == "joined":
                self._until(f"{', '.join(op.subject)} to join", _JOIN_S, lambda op=op: self._joined(op.subject))  # type: ignore[misc]
            elif op.until == "online":
                what = f"{', '.join(op.subject)} to run"
                self._until(what, _JOIN_S, lambda op=op: set(op.subject) <= self._online(op.argv[2]))  # type: ignore[misc]
            elif op.until == "moved":
                self._until("the data to be moved", _MOVE_S, lambda op=op: self._moved(op))  # type: ignore[misc]

    @staticmethod
    def options(want: Wanted) -> dict[str, str]:
        """Give all options of a volume: those that make it safe, then those that its owner names."""
        return {**OPTIONS, MARK: "on", **want.options}

    def _creation(self, want: Wanted) -> list[Op]:
        self.require("replicate")
        force = ("force",) if want.force else ()
        create = ("volume", "create", want.name, "replica", str(want.replica), "transport", "tcp", *want.places, *force)
        # The options stand before the first client or self-heal daemon can see the volume without them.
        return [Op(create), *_settings(want.name, self.options(want)), Op(("volume", "start", want.name))]

    def _bricks(self, have: State, volume: Volume, want: Wanted) -> list[Op]:
        """The way to the wanted bricks: emptied ones first, then replaced, then more, then fewer."""
        problems: list[Problem] = []
        force = ("force",) if want.force else ()
        ops = self._emptied(volume, want, problems)
        new = [place for place in want.places if place not in volume.bricks]
        old = [place for place in volume.bricks if place not in want.places]
        pairs = _pairs(volume, old, new, want)
        for gone, come in pairs:
            self._mind_mates(have, volume, gone, problems)
            ops.append(Op(("volume", "replace-brick", volume.name, gone, come, "commit", "force")))
        more = [place for place in new if place not in {come for _gone, come in pairs}]
        fewer = [place for place in old if place not in {gone for gone, _come in pairs}]
        ops += self._more(volume, want, more, force, problems)
        ops += self._fewer(volume, want, fewer, problems)
        if problems:
            raise BadInput(problems)
        return ops

    def _emptied(self, volume: Volume, want: Wanted, problems: list[Problem]) -> list[Op]:
        """Bricks whose disk was exchanged: their folder is there, and has no mark of the volume."""
        # What was never started has marked none yet.
        if volume.new:
            return []
        ops = []
        for brick in want.bricks:
            place = want.place(brick)
            if place in volume.bricks and brick.volume_id == "" and place not in volume.online:
                if not all(mate in volume.online for mate in volume.mates(place)):
                    problems.append(
                        _problem(place, "its disk is empty, but another copy is offline: bring that back first")
                    )
                ops.append(Op(("volume", "reset-brick", volume.name, place, "start")))
                ops.append(Op(("volume", "reset-brick", volume.name, place, place, "commit", "force")))
        return ops

    def _mind_mates(self, have: State, volume: Volume, place: str, problems: list[Problem]) -> None:
        """A brick must not go while the others of its set aren't complete: it might hold the last good copy."""
        absent = [mate for mate in volume.mates(place) if mate not in volume.online]
        if absent:
            problems.append(_problem(place, f"can't be replaced while {', '.join(absent)} is offline"))
        if place in volume.online and have.pending:
            problems.append(_problem(place, f"can't be replaced while {have.pending} entries wait for self-heal"))

    def _more(
        self, volume: Volume, want: Wanted, more: list[str], force: tuple[str, ...], problems: list[Problem]
    ) -> list[Op]:
        if not more:
            return []
        sets = len(volume.bricks) // volume.replica
        add = ("volume", "add-brick", volume.name)
        if want.replica > volume.replica and len(more) == sets * (want.replica - volume.replica):
            return [Op((*add, "replica", str(want.replica), *more, *force))]
        if want.replica == volume.replica and len(more) % want.replica == 0:
            return [Op((*add, *more, *force)), Op(("volume", "rebalance", volume.name, "start"))]
        problems.append(
            _problem(
                "bricks",
                f"{', '.join(more)}: bricks are added in whole sets of {want.replica}, "
                "or one to each set together with one more copy",
            )
        )
        return []

    def _fewer(self, volume: Volume, want: Wanted, fewer: list[str], problems: list[Problem]) -> list[Op]:
        if not fewer:
            return []
        if not want.shrink:
            problems.append(_problem("bricks", f"{', '.join(fewer)} would be removed: say so (shrink), or name them"))
            return []
        remove = ("volume", "remove-brick", volume.name)
        if want.replica < volume.replica:
            return [Op((*remove, "replica", str(want.replica), *fewer, "force"))]
        if any(mate not in fewer for place in fewer for mate in volume.mates(place)):
            problems.append(
                _problem("bricks", f"{', '.join(fewer)}: bricks are removed in whole sets of {volume.replica}")
            )
            return []
        return [Op((*remove, *fewer, "start"), "moved", tuple(fewer)), Op((*remove, *fewer, "commit"))]

    def _peers(self) -> dict[str, bool] | None:
        """The other members, or None where no manager answers."""
        try:
            root = document(self._ask("peer", "status"))
        except OkiagariError:
            return None
        found = {}
        for peer in root.iter("peer"):
            names = [name.text or "" for name in peer.iter("hostname")]
            # 3: in the cluster. One that is still on its way counts as absent, and is probed (again).
            if peer.findtext("state") == "3":
                found[next((name for name in names if name[:1].isdigit() or ":" in name), names[0])] = (
                    peer.findtext("connected") == "1"
                )
        return found

    def _volume(self, name: str) -> Volume | None:
        volumes = document(self._ask("volume", "info")).iter("volume")
        found = next((volume for volume in volumes if volume.findtext("name") == name), None)
        if found is None:
            return None
        started = found.findtext("statusStr") == "Started"
        return Volume(
            name,
            (found.findtext("id") or "").lower(),
            int(found.findtext("replicaCount") or 1),
            started,
            tuple(brick.findtext("name", "") for brick in found.iter("brick")),
            {option.findtext("name", ""): option.findtext("value", "") for option in found.iter("option")},
            self._online(name) if started else frozenset(),
            found.findtext("statusStr") == "Created",
        )

    def _online(self, name: str) -> frozenset[str]:
        nodes = document(self._ask("volume", "status", name)).iter("node")
        return frozenset(
            f"{node.findtext('hostname')}:{node.findtext('path')}" for node in nodes if node.findtext("status") == "1"
        )

    def _joined(self, addresses: Sequence[str]) -> bool:
        peers = self._peers() or {}
        return all(peers.get(address) for address in addresses)

    def _moved(self, op: Op) -> bool:
        argv = [*op.argv[:-1], "status"]
        root: ET.Element = document(self._ask(*argv))
        states = {node.findtext("statusStr", "") for node in root.iter("node")}
        if "failed" in states:
            raise OkiagariError(f"{' '.join(op.argv)}: the data could not be moved; the bricks are still there")
        return states <= {"completed"} and bool(states)

    def _until(self, what: str, patience: float, done: Callable[[], bool]) -> None:
        deadline = self._now() + patience
        while not done():
            if self._now() > deadline:
                raise OkiagariError(f"gluster: waited {patience:g} s for {what}")
            self._wait(_POLL_S)

    def _act(self, argv: Sequence[str]) -> None:
        """Do what changes something. Members that joined a moment ago may not have met each other yet."""
        deadline = self._now() + _JOIN_S
        while True:
            try:
                self._ask(*argv)
            except OkiagariError as error:
                stranger = _NOT_MET.search(str(error))
                known = stranger and (stranger[1] == self._address or self._joined([stranger[1]]))
                if not known or self._now() > deadline:
                    raise
            else:
                return
            self._wait(_POLL_S)

    def _ask(self, *arguments: str) -> str:
        done = self._runner.run([*_GLUSTER, *arguments], timeout=120.0)
        # Refusals come as XML on standard output, some with a code and some without; commands that only act may say in
        # plain words that they did.
        if done.out.lstrip().startswith("<"):
            try:
                document(done.out)
            except OkiagariError as error:
                raise OkiagariError(f"{' '.join(arguments)}: {error}") from error
        if done.rc:
            raise OkiagariError(f"gluster {' '.join(arguments)}: {reason(done)}")
        return done.out


def stopped_bricks(have: State, want: Wanted) -> list[str]:
    """Give the wanted bricks that don't run although their member is there, unless their disk was exchanged."""
    volume = have.volume
    if volume is None or not volume.started:
        return []
    return [
        place
        for brick, place in zip(want.bricks, want.places, strict=True)
        if place in volume.bricks
        and place not in volume.online
        and brick.volume_id != ""
        and have.peers.get(want.member(brick.host).address)
    ]


def _pairs(volume: Volume, old: Sequence[str], new: Sequence[str], want: Wanted) -> list[tuple[str, str]]:
    """Which new brick takes the place of which old one: at the same site if possible, never at a site of its mates."""
    left = list(new)
    pairs: list[tuple[str, str]] = []
    for at_home in (True, False):
        for place in (each for each in old if each not in {gone for gone, _come in pairs}):
            taken = dict(pairs)
            mates = {want.site(taken.get(mate, mate)) for mate in volume.mates(place)}
            fits = [other for other in left if want.site(other) not in mates]
            if at_home:
                fits = [other for other in fits if want.site(other) == want.site(place)]
            if fits:
                left.remove(fits[0])
                pairs.append((place, fits[0]))
    return pairs


def _settings(volume: str, options: dict[str, str]) -> list[Op]:
    """One command for all options of the volume; what holds for the whole cluster is set apart."""
    own = [word for key, value in options.items() if key != _QUORUM_RATIO for word in (key, value)]
    ops = [Op(("volume", "set", volume, *own))] if own else []
    if _QUORUM_RATIO in options:
        ops.append(Op(("volume", "set", _WHOLE_CLUSTER, _QUORUM_RATIO, options[_QUORUM_RATIO])))
    return ops


def _problem(key: str, message: str) -> Problem:
    return Problem("", None, key, message)
