# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the inventory says that a node is a device, and how that is reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadInput, Problem, shown
from ..suggest import nearest
from ..vyos.lines import PORT
from .devices import DEVICE_SPEC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VARIABLE = "okiagari_device"
KEYS = (VARIABLE, "vyos", "ansible_host", "testbed_node")
"""The variables of a node that it is told by."""

_OPTIONS: dict[str, dict[str, Any]] = DEVICE_SPEC["options"]
_PORTS = "ports"


class Described(NamedTuple):
    """The options of `DEVICE_SPEC`, and what the device calls the interfaces of its node."""

    options: dict[str, Any]
    ports: dict[str, str]

    @property
    def os(self) -> str:
        return str(self.options["os"])

    def named(self, interfaces: Iterable[str]) -> dict[str, str]:
        """Give what the device calls these interfaces of its node, without those that it can't have by such a name."""
        names = {interface: self.ports.get(interface, interface) for interface in interfaces}
        return {each: name for each, name in names.items() if self.os != "vyos" or PORT.fullmatch(name)}


def described(node: str, variables: Mapping[str, Any]) -> Described | None:
    """Say what device a node is; None for one on which the target program runs.

    `variables` are the node's, plain. It is a device if it has `okiagari_device`, or is a router with VyOS, whose
    variable `vyos` is then taken for what the other doesn't say. Raises `BadInput` with all that is wrong.
    """
    given = variables.get(VARIABLE)
    router = (variables.get("testbed_node") or {}).get("platform") == "vyos"
    if given is None and not router:
        return None
    problems: list[Problem] = []
    if not isinstance(given or {}, dict):
        raise BadInput([_problem(node, "", f"{shown(given)} is not a mapping with os, host, user and others")])
    known: dict[str, Any] = {"os": "vyos", "user": "vyos"} if router else {}
    if router and isinstance(variables.get("vyos"), dict):
        known |= {key: value for key, value in variables["vyos"].items() if key in (*_OPTIONS, _PORTS)}
    known = {"host": variables.get("ansible_host") or node, **known, **(given or {})}
    ports = known.pop(_PORTS, None) or {}
    if not isinstance(ports, dict) or not all(isinstance(port, str) for port in ports.values()):
        problems.append(_problem(node, f".{_PORTS}", "is not a mapping such as {w-osaka: eth1}"))
        ports = {}
    problems += _wrong(node, known)
    if problems:
        raise BadInput(problems)
    return Described({key: _typed(key, known.get(key)) for key in _OPTIONS}, {**ports})


def _wrong(node: str, known: Mapping[str, Any]) -> Iterator[Problem]:
    for key in known:
        if key not in _OPTIONS:
            near = nearest(str(key), (*_OPTIONS, _PORTS))
            yield _problem(node, f".{key}", f"is not one of {', '.join((*_OPTIONS, _PORTS))}", near)
    for key, option in _OPTIONS.items():
        value = known.get(key)
        if value is None:
            if option.get("required"):
                yield _problem(node, f".{key}", "is missing")
        elif "choices" in option and value not in option["choices"]:
            near = nearest(str(value), option["choices"])
            yield _problem(node, f".{key}", f"{shown(value)} is not one of {', '.join(option['choices'])}", near)
        elif option["type"] == "int" and not str(value).isdecimal():
            yield _problem(node, f".{key}", f"{shown(value)} is not a whole number")
    for keys in DEVICE_SPEC["mutually_exclusive"]:
        if all(known.get(key) for key in keys):
            yield _problem(node, "", f"has both {' and '.join(keys)}")


def _typed(key: str, value: Any) -> Any:
    kind = _OPTIONS[key]["type"]
    if value is None:
        return None
    if kind == "path":
        return str(Path(str(value)).expanduser())
    return int(value) if kind == "int" else str(value)


def _problem(node: str, key: str, message: str, suggestion: str | None = None) -> Problem:
    return Problem("", None, f"{VARIABLE}{key} of {node}", message, suggestion)
