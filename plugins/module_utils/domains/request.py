# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of `domain_checkpoint`, read and judged as a whole before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadInput, Problem, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"choices": ["probed", "captured", "restored", "query"], "required": True},
    "folder": {"type": "path"},
    "name": {"type": "str"},
    "uri": {"type": "str"},
    "keep": {"type": "int", "default": 2},
    "timeout": {"type": "int", "default": 600},
    "epoch": {"type": "int"},
    "disks": {"type": "path"},
    "overwrite": {"type": "bool", "default": False},
    "paused": {"type": "bool", "default": False},
}

_OF_STATE = {
    "probed": {"uri"},
    "captured": {"folder", "name", "uri", "keep", "timeout"},
    "restored": {"folder", "name", "uri", "epoch", "disks", "overwrite", "paused"},
    "query": {"folder"},
}
_MOST_EPOCHS = 1000
_LONGEST_S = 24 * 3600


class Request(NamedTuple):
    """What is asked for. An `epoch` of None is the newest one; a restore may leave the `name` empty."""

    state: str
    folder: Path = Path("/")
    name: str = ""
    uri: str = ""
    keep: int = 2
    timeout_s: float = 600.0
    epoch: int | None = None
    disks: Path | None = None
    overwrite: bool = False
    paused: bool = False


def request(params: Mapping[str, Any]) -> Request:
    """Give what a module's parameters ask for; raise `BadInput` with all that is wrong with them."""
    problems = [Problem("", None, key, message) for key, message in _problems(params)]
    if problems:
        raise BadInput(problems)
    return Request(
        params["state"], Path(params["folder"] or "/"), params["name"] or "", params["uri"] or "", params["keep"],
        float(params["timeout"]), params["epoch"], Path(params["disks"]) if params["disks"] else None,
        params["overwrite"], params["paused"],
    )  # fmt: skip


def _problems(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    state = params["state"]
    for key, value in params.items():
        if key in ARGUMENTS and value not in (ARGUMENTS[key].get("default"), state) and key not in _OF_STATE[state]:
            yield (
                key,
                f"is for state {' and '.join(each for each in _OF_STATE if key in _OF_STATE[each])}, not for {state}",
            )
    if state != "probed" and not params["folder"]:
        yield "folder", "is missing"
    for key in ("folder", "disks"):
        if params[key]:
            yield from _not_absolute(key, params[key])
    name, uri = params["name"], params["uri"]
    if state == "captured" and not name:
        yield "name", "is missing: name the domain to capture"
    elif name and (name.startswith("-") or not name.isprintable() or "/" in name):
        yield "name", f"{shown(name)} is not a domain's name"
    if uri is not None and (not uri.startswith("qemu") or not uri.isprintable()):
        yield "uri", f"{shown(uri)} is not the URI of a libvirt that runs QEMU, such as qemu:///system"
    if not 1 <= params["keep"] <= _MOST_EPOCHS:
        yield "keep", f"{shown(params['keep'])} is not a whole number from 1 to {_MOST_EPOCHS}"
    if not 1 <= params["timeout"] <= _LONGEST_S:
        yield "timeout", f"{shown(params['timeout'])} is not a number of seconds from 1 to {_LONGEST_S}"
    if params["epoch"] is not None and params["epoch"] < 1:
        yield "epoch", f"{params['epoch']} is not the number of an epoch, which begin with 1"


def _not_absolute(key: str, path: str) -> Iterator[tuple[str, str]]:
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable() or path == "/":
        yield key, f"{shown(path)} is not an absolute path"
