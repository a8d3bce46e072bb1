# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of `process_checkpoint`, read and judged as a whole before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadInput, Problem, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"choices": ["probed", "captured", "restored"], "required": True},
    "directory": {"type": "path"},
    "pid": {"type": "int"},
    "unit": {"type": "str"},
    "files": {"type": "list", "elements": "path", "default": []},
    "keep": {"type": "int", "default": 2},
    "leave": {"choices": ["running", "stopped", "ended"], "default": "running"},
    "established_tcp": {"type": "bool", "default": False},
    "epoch": {"type": "int"},
    "overwrite": {"type": "bool", "default": False},
    "network": {"type": "str"},
    "output": {"type": "path", "default": "/dev/null"},
    "criu": {"type": "str", "default": "criu"},
}

_OF_STATE = {
    "captured": {"directory", "pid", "unit", "files", "keep", "leave", "established_tcp"},
    "restored": {"directory", "established_tcp", "epoch", "overwrite", "network", "output"},
    "probed": set[str](),
}
_MOST_EPOCHS = 1000


class Request(NamedTuple):
    """What is asked for. Of `pid` and `unit` a capture has one; an `epoch` of None is the newest one."""

    state: str
    directory: Path = Path("/")
    pid: int | None = None
    unit: str | None = None
    files: tuple[Path, ...] = ()
    keep: int = 2
    leave: str = "running"
    established_tcp: bool = False
    epoch: int | None = None
    overwrite: bool = False
    network: Path | None = None
    output: Path = Path("/dev/null")
    criu: str = "criu"


def request(params: Mapping[str, Any]) -> Request:
    """Give what a module's parameters ask for; raise `BadInput` with all that is wrong with them."""
    problems = [Problem("", None, key, message) for key, message in _problems(params)]
    if problems:
        raise BadInput(problems)
    network = params["network"]
    return Request(
        params["state"], Path(params["directory"] or "/"), params["pid"], params["unit"],
        tuple(dict.fromkeys(map(Path, params["files"]))), params["keep"], params["leave"], params["established_tcp"],
        params["epoch"], params["overwrite"],
        None if network is None else Path(network) if "/" in network else Path("/run/netns", network),
        Path(params["output"]), params["criu"],
    )  # fmt: skip


def _problems(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    state = params["state"]
    for key, value in params.items():
        if key in ARGUMENTS and value not in (ARGUMENTS[key].get("default"), state) and key != "criu":
            states = [each for each, keys in _OF_STATE.items() if key in keys]
            if state not in states:
                yield key, f"is for state {' and '.join(states)}, not for {state}"
    if not params["criu"] or ("/" in params["criu"] and not params["criu"].startswith("/")):
        yield "criu", f"{shown(params['criu'])} is neither a program's name nor its absolute path"
    if state == "probed":
        return
    yield from _not_absolute("directory", params["directory"])
    if state == "captured":
        yield from _of_capture(params)
    else:
        if params["epoch"] is not None and params["epoch"] < 1:
            yield "epoch", f"{params['epoch']} is not the number of an epoch, which begin with 1"
        yield from _not_absolute("output", params["output"])
        if params["network"] is not None and params["network"] in ("", ".", ".."):
            yield "network", f"{shown(params['network'])} is not a network namespace's name"


def _of_capture(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if (params["pid"] is None) == (not params["unit"]):
        yield "pid", "name what to capture by either pid or unit"
    if params["pid"] is not None and params["pid"] < 2:
        yield "pid", f"{params['pid']} is not a process that can be captured"
    if params["unit"] and (params["unit"].startswith("-") or not params["unit"].isprintable() or "/" in params["unit"]):
        yield "unit", f"{shown(params['unit'])} is not a unit's name"
    if not 1 <= params["keep"] <= _MOST_EPOCHS:
        yield "keep", f"{shown(params['keep'])} is not a whole number from 1 to {_MOST_EPOCHS}"
    if params["leave"] == "stopped" and params["established_tcp"]:
        yield "leave", "a stopped tree can't take up its TCP connections again: let it be running, or ended"
    for file in params["files"]:
        yield from _not_absolute("files", file)
        for other in (*params["files"], params["directory"] or ""):
            if other != file and other.startswith("/") and Path(file) in Path(other).parents:
                yield "files", f"{other} is inside of {file}"


def _not_absolute(key: str, path: str | None) -> Iterator[tuple[str, str]]:
    if not path:
        yield key, "is missing"
    elif not path.startswith("/") or ".." in path.split("/") or not path.isprintable() or path == "/":
        yield key, f"{shown(path)} is not an absolute path"
