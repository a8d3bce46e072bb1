# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated routers with IOS-XE and IOS-XR: their command lines over real SSH on loopback. Nothing is forwarded.

They know the commands that faults need, as a table, and refuse all else in Cisco's words. On IOS-XE a line works as it
is typed, on IOS-XR when it is committed. What isn't confirmed is taken back by itself.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from ssh_server import SshServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import paramiko

Line = tuple[str, ...]
Config = tuple[Line, ...]

_A = r"[0-9A-Fa-f.:]+"
_INVALID = "% Invalid input detected at '^' marker."

# What may stand in a block that begins so; a line that begins a block itself ends in {.
_XE = {
    "": [
        r"interface \S+ {", r"ip access-list extended \S+ {", r"ipv6 access-list \S+ {", r"router bgp \d+ {",
        rf"ip route {_A} {_A} (Null0|{_A})( name \S+)?", rf"ipv6 route {_A}/\d+ (Null0|{_A})( name \S+)?",
    ],
    "interface": [r"shutdown", r"ip access-group \S+ (in|out)", r"ipv6 traffic-filter \S+ (in|out)",
                  rf"ip address {_A} {_A}", r"ip unreachables"],
    "ip": [r"deny ip any any"],
    "ipv6": [r"deny ipv6 any any"],
    "router": [rf"neighbor {_A} (shutdown|remote-as \d+)", r"address-family ipv4 vrf \S+ {"],
    "address-family": [rf"neighbor {_A} (shutdown|remote-as \d+)"],
}  # fmt: skip
_XR = {
    "": [r"interface \S+ {", r"ipv4 access-list \S+ {", r"ipv6 access-list \S+ {", r"router bgp \d+ {",
         r"router static {"],
    "interface": [r"shutdown", r"ipv[46] access-group \S+ egress", rf"ipv4 address {_A} {_A}"],
    "ipv4": [r"deny ipv4 any any"],
    "ipv6": [r"deny ipv6 any any"],
    "router": [rf"neighbor {_A} {{", r"vrf \S+ {", r"address-family ipv[46] unicast {"],
    "vrf": [rf"neighbor {_A} {{"],
    "neighbor": [r"shutdown", r"remote-as \d+"],
    "address-family": [rf"{_A}/\d+( (Null0|{_A})( description \S+)?)?"],
}  # fmt: skip


def read(text: str) -> Config:
    """Read a configuration that is indented by one blank a block."""
    found: list[Line] = []
    for raw in text.splitlines():
        if raw.strip():
            depth = len(raw) - len(raw.lstrip())
            found.append((*(found[-1][:depth] if depth else ()), raw.strip()))
    return tuple(found)


def written(config: Config) -> str:
    """Write a configuration so that each block's lines follow it."""
    blocks: dict[str, list[Line]] = {}
    for line in config:
        blocks.setdefault(line[0], []).append(line[1:])
    lines = []
    for begin, rest in blocks.items():
        lines.append(begin)
        lines += [f" {each}" for each in written(tuple(line for line in rest if line)).splitlines()]
    return "\n".join(lines)


class SimulatedIos:
    """One router. `unit` is how long a unit of its leases lasts, on IOS-XE a minute."""

    def __init__(self, text: str, xr: bool, unit: float) -> None:
        self.xr = xr
        self.unit = unit
        self.running = read(text)
        self.users: dict[str, str | paramiko.PKey] = {}
        self.locked = False
        self._timer: threading.Timer | None = None
        self._former: Config = ()
        self._server = SshServer(self.users, lambda channel: Shell(self, channel).run())
        self.port = self._server.port
        self.known_host = self._server.known_host

    def stop(self) -> None:
        """Switch the router off."""
        self.settle()
        self._server.stop()

    @property
    def waiting(self) -> bool:
        """Whether a change waits for its confirmation."""
        return self._timer is not None

    def arm(self, units: float) -> None:
        """Go back to what runs now after so many units."""
        self._former = self.running
        self._timer = threading.Timer(units * self.unit, self.revert)
        self._timer.daemon = True
        self._timer.start()

    def revert(self) -> None:
        """Go back now."""
        self.settle()
        self.running = self._former

    def settle(self) -> None:
        """Wait for no confirmation any more."""
        if self._timer:
            self._timer.cancel()
        self._timer = None


class Shell:
    """One login: the mode that it is in, and on IOS-XR what it has typed and not committed."""

    def __init__(self, router: SimulatedIos, channel: paramiko.Channel) -> None:
        self._router = router
        self._channel = channel
        self._host = "RP/0/RP0/CPU0:r1" if router.xr else "r1"
        self._blocks: list[str] | None = None
        self._work: Config = ()

    def run(self) -> None:
        self._channel.sendall(self._prompt().encode())
        line = ""
        while received := self._channel.recv(4096).decode():
            for character in received:
                if character not in "\r\n":
                    line += character
                    continue
                answer = self._answer(line.strip())
                said = f"{line}\n{answer}{chr(10) if answer else ''}{self._prompt()}"
                self._channel.sendall(said.replace("\n", "\r\n").encode())
                line = ""

    def _prompt(self) -> str:
        if self._blocks is None:
            return f"{self._host}#"
        return f"{self._host}(config{'-' + self._blocks[-1].split()[0] if self._blocks else ''})#"

    def _answer(self, line: str) -> str:
        if not line or line.startswith("terminal "):
            return ""
        return self._execute(line) if self._blocks is None else self._configure(line)

    def _execute(self, line: str) -> str:
        router = self._router
        if line.startswith("show "):
            return self._show(line.removeprefix("show "))
        if line == "configure exclusive" and router.xr:
            if router.locked:
                return "% Failed to lock the configuration: it is locked by another user"
            self._blocks, self._work = [], router.running
            return ""
        if line == "configure terminal" and not router.xr:
            self._blocks = []
            return "Enter configuration commands, one per line.  End with CNTL/Z."
        if (timer := re.fullmatch(r"configure terminal revert timer (\d+)", line)) and not router.xr:
            router.arm(int(timer[1]))
            self._blocks = []
            return "Rollback Confirmed Change: Backing up current running config to flash:archive-1"
        if line == "configure revert now" and not router.xr:
            if not router.waiting:
                return "%No Rollback Confirmed Change pending"
            router.revert()
            return "Rollback Confirmed Change: rolling to:flash:archive-1"
        return _INVALID

    def _show(self, what: str) -> str:
        router = self._router
        if what == "running-config":
            head = "Sat Nov 21 12:00:00.000 UTC" if router.xr else "Building configuration...\n\nCurrent configuration:"
            return f"{head}\n!\n{written(router.running)}\nend"
        if what == "running-config | section ^archive":
            return written(tuple(line for line in router.running if line[0] == "archive"))
        if what == "archive config rollback timer" and not router.xr:
            return "Time to rollback: 1 minute" if router.waiting else "%No Rollback Confirmed Change pending"
        if what.startswith("interfaces "):
            name = what.removeprefix("interfaces ")
            down = (f"interface {name}", "shutdown") in router.running
            return f"{name} is {'administratively down' if down else 'up'}, line protocol is {'down' if down else 'up'}"
        if "route" in what:
            return self._route(what)
        return _INVALID

    def _route(self, what: str) -> str:
        words = what.split()
        prefix = words[-1] if "/" in words[-1] else " ".join(words[-2:])
        found = [line for line in self._router.running if f" {line[-1]} ".upper().find(f" {prefix} ".upper()) >= 0]
        return f'Routing entry for {prefix}\n  Known via "static", distance 1' if found else "% Network not in table"

    def _configure(self, line: str) -> str:
        router = self._router
        assert self._blocks is not None
        if line in ("end", "abort"):
            self._blocks = None
            return ""
        if line == "exit":
            self._blocks = self._blocks[:-1] if self._blocks else None
            return ""
        if router.xr and (commit := re.fullmatch(r"commit(?: confirmed (\d+))?", line)):
            router.settle()
            if commit[1]:
                router.arm(int(commit[1]))
            router.running = self._work
            return ""
        if not self._knows(line.removeprefix("no ").removesuffix(" {")):
            return _INVALID
        if router.locked:
            return "% Configuration locked by another user"
        changed = self._changed(self._work if router.xr else router.running, line)
        if router.xr:
            self._work = changed
        else:
            router.running = changed
        return ""

    def _knows(self, line: str) -> bool:
        table = _XR if self._router.xr else _XE
        place = self._blocks[-1].split()[0] if self._blocks else ""
        return any(re.fullmatch(each.removesuffix(" {"), line) for each in table[place])

    def _changed(self, config: Config, line: str) -> Config:
        blocks = tuple(self._blocks or ())
        size = len(blocks)
        wanted, negated = line.removeprefix("no "), line.startswith("no ")
        if wanted.endswith("unreachables"):
            wanted, negated = line, False
        if negated:

            def gone(each: Line) -> bool:
                return each[:size] == blocks and len(each) > size and f"{each[size]} ".startswith(f"{wanted} ")

            return tuple(each for each in config if not gone(each))
        place = blocks[-1].split()[0] if blocks else ""
        table: dict[str, Sequence[str]] = {**(_XR if self._router.xr else _XE)}
        if any(each.endswith("{") and re.fullmatch(each.removesuffix(" {"), wanted) for each in table[place]):
            self._blocks = [*blocks, wanted]
        return config if (*blocks, wanted) in config else (*config, (*blocks, wanted))
