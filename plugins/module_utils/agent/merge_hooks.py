# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a service with the consistency `available` says that what several of its servers did becomes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..election.charter import AVAILABLE, QUORUM
from ..errors import BadValue, Problem, shown
from ..suggest import nearest
from ..values import Shape, choice, file_path, mismatch, whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ..authority import Timing
    from ..watch import Watch

DISCARD = "discard"
_SHAPE: dict[str, Shape] = {"export": [str], "merge": [str], "snapshot?": [str], "folder?": str}
_FORM = f"{{export: [PROGRAM, ...], merge: [PROGRAM, ...]}}, or {DISCARD} where what they did may be lost"
_FEWEST = 3


@dataclass(frozen=True)
class MergeHooks:
    """Programs: `export` writes the state of a server that has stopped to its output, `merge` reads it from its input.

    `snapshot` writes that of a server that runs; it is empty where the service allows one server only. `folder` is
    where the service keeps its state, for the hooks to know; it may be empty.
    """

    export: tuple[str, ...]
    merge: tuple[str, ...]
    folder: str = ""
    snapshot: tuple[str, ...] = ()


def read_hooks(consistency: str, said: Mapping[str, Any] | str | None) -> tuple[MergeHooks | None, list[Problem]]:
    """Give what a service says under `merge`, None where it discards, and all that is wrong with it."""
    problems = [Problem("", None, *flaw) for flaw in _flaws(consistency, said)]
    if problems or not isinstance(said, dict):
        return None, problems
    words = {key: tuple(said[key]) for key in ("export", "merge", "snapshot") if key in said}
    return MergeHooks(**words, folder=said.get("folder", "")), []


def wrong_servers(
    consistency: str, said: Mapping[str, Any] | str | None, servers: int, candidates: Collection[str]
) -> Iterator[Problem]:
    """Say why a service with these hooks can't have so many servers beside each other on purpose."""
    try:
        whole(1, max(len(candidates), 1))(servers)
    except BadValue as error:
        yield Problem("", None, "servers", f"{error.message}: each runs at another candidate")
    if servers > 1 and consistency != AVAILABLE:
        yield Problem("", None, "servers", f"is {servers}, and the consistency {consistency} means never two servers")
    elif servers > 1 and isinstance(said, dict) and "snapshot" not in said:
        yield Problem(
            "", None, "merge.snapshot",
            f"is missing: servers is {servers}, so say what writes the state of a server that runs",
        )  # fmt: skip


def unheard(timing: Timing, watch: Watch) -> Iterator[Problem]:
    """Say where announcements come too seldom for their absence to mean anything."""
    if watch.silence_s < _FEWEST * timing.keepalive_s:
        yield Problem(
            "", None, "watch.silence_s",
            f"is {watch.silence_s:g} s, and a server says every {timing.keepalive_s:g} s that it serves: one message "
            f"that is lost would be its end; choose {_FEWEST * timing.keepalive_s:g} s or more, or a shorter "
            "timing.keepalive_s",
        )  # fmt: skip


def _flaws(consistency: str, said: Mapping[str, Any] | str | None) -> Iterator[tuple[str, str, str | None]]:
    if consistency == QUORUM and said is not None:
        yield "merge", f"is only for the consistency {AVAILABLE}: otherwise there is one server at a time", None
    elif consistency != AVAILABLE:
        return
    elif said is None:
        yield "merge", f"is missing: say how what two servers did becomes one, by {_FORM}", None
    elif isinstance(said, str):
        try:
            choice((DISCARD,), "way to merge")(said)
        except BadValue as error:
            yield "merge", error.message, error.suggestion
    else:
        yield from _wrong_hooks(said)


def _wrong_hooks(said: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    known = [key.removesuffix("?") for key in _SHAPE]
    yield from ((f"merge.{shown(key)}", "is not known", nearest(key, known)) for key in said if key not in known)
    for name, shape in _SHAPE.items():
        key = name.removesuffix("?")
        if wrong := mismatch(said, {name: shape}, "merge"):
            yield f"merge.{key}", wrong.removeprefix(f"merge.{key} "), None
        elif isinstance(shape, list) and key in said and not said[key]:
            yield f"merge.{key}", "is empty: say what is to be run", None
    if isinstance(said.get("folder"), str):
        try:
            file_path(said["folder"])
        except BadValue as error:
            yield "merge.folder", error.message.replace("a file", "a folder"), None
