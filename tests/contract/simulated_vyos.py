# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated VyOS router: its command line over real SSH on loopback. Nothing is forwarded; it only answers.

It knows a part of VyOS's grammar, as a table, and refuses all else in VyOS's words; so it refuses what VyOS refuses,
and some of what VyOS takes. A commit is checked for what VyOS checks there. `commit-confirm` takes back by itself.
A configuration is the set of its paths and of all beginnings of these, so that merging is set arithmetic.
"""

from __future__ import annotations

import re
import shlex
import threading
import time
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, NamedTuple

import simulated_vyos_kernel
from ssh_server import SshServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import paramiko

Path = tuple[str, ...]
Config = frozenset[Path]

# --- the grammar: `<type ARGUMENTS>` is a value, which names a thing or (at the end) is the value of a leaf; `word*`
# --- may have more than one value. What ends in a plain word takes no value.

_BASES = (
    "interfaces ethernet <port>",
    "interfaces bonding <name bond[0-9]+>",
    "interfaces ethernet <port> vif <number 0 4094>",
    "interfaces ethernet <port> vif-s <number 0 4094>",
    "interfaces ethernet <port> vif-s <number 0 4094> vif-c <number 0 4094>",
    "interfaces bridge <name br[0-9]+>",
    "interfaces loopback <name lo>",
)
_INTERFACE = """
    description <text 255>
    address* <address>
    disable
    mac <name ([0-9a-f]{2}:){5}[0-9a-f]{2}>
    mtu <number 68 16000>
    vrf <vrf>
"""
_VIF_S = "interfaces ethernet <port> vif-s <number 0 4094> protocol <name 802\\.1(ad|q)>"
_BRIDGE = """
    interfaces bridge <name br[0-9]+> stp
    interfaces bridge <name br[0-9]+> enable-vlan
    interfaces bridge <name br[0-9]+> protocol <name 802\\.1(ad|q)>
    interfaces bridge <name br[0-9]+> priority <number 0 65535>
    interfaces bridge <name br[0-9]+> hello-time <number 1 10>
    interfaces bridge <name br[0-9]+> forwarding-delay <number 0 200>
    interfaces bridge <name br[0-9]+> max-age <number 1 40>
    interfaces bridge <name br[0-9]+> member interface <device> cost <number 1 65535>
    interfaces bridge <name br[0-9]+> member interface <device> priority <number 1 63>
"""
_BGP = """
    parameters router-id <ipv4>
    parameters bestpath compare-routerid
    address-family ipv4-unicast maximum-paths ebgp <number 1 256>
    address-family ipv4-unicast network <prefix> backdoor
    address-family ipv4-unicast redistribute connected
    neighbor <ip> remote-as <number 1 4294967294>
    neighbor <ip> description <text 255>
    neighbor <ip> update-source <ip>
    neighbor <ip> shutdown
    neighbor <ip> passive
    neighbor <ip> timers keepalive <number 1 65535>
    neighbor <ip> timers holdtime <number 4 65535>
    neighbor <ip> timers connect <number 1 65535>
    neighbor <ip> address-family ipv4-unicast
    listen range <prefix> peer-group <name [-_a-zA-Z0-9]{1,64}>
    peer-group <name [-_a-zA-Z0-9]{1,64}> remote-as <name (internal|external|[0-9]+)>
    peer-group <name [-_a-zA-Z0-9]{1,64}> address-family ipv4-unicast prefix-list import <name [-_a-zA-Z0-9]{1,64}>
    peer-group <name [-_a-zA-Z0-9]{1,64}> address-family ipv4-unicast prefix-list export <name [-_a-zA-Z0-9]{1,64}>
"""
_BGP_14 = "neighbor <ip> bfd profile <name [-_a-zA-Z0-9]{1,32}>"
_BFD = """
    interval transmit <number 10 60000>
    interval receive <number 10 60000>
    interval multiplier <number 2 255>
"""
_STATIC = """
    route <prefix> blackhole distance <number 1 255>
    route <prefix> next-hop <ip> distance <number 1 255>
    route6 <prefix> blackhole distance <number 1 255>
    route6 <prefix> next-hop <ip> distance <number 1 255>
"""
_STATIC_14 = """
    route <prefix> reject distance <number 1 255>
    route6 <prefix> reject distance <number 1 255>
"""
_COMMON = """
    system host-name <name [A-Za-z0-9][-.A-Za-z0-9]*>
    system config-management commit-revisions <number 0 65535>
    system login user <name [-_a-zA-Z0-9.]{1,100}> authentication encrypted-password <text 1000>
    service ssh port <number 1 65535>
    high-availability vrrp group <text 100> vrid <number 1 255>
    vrf name <vrf> table <number 100 65535>
    policy prefix-list <name [-_a-zA-Z0-9]{1,64}> rule <number 1 65535> action <name (permit|deny)>
    policy prefix-list <name [-_a-zA-Z0-9]{1,64}> rule <number 1 65535> prefix <prefix>
    policy prefix-list <name [-_a-zA-Z0-9]{1,64}> rule <number 1 65535> ge <number 0 32>
    policy prefix-list <name [-_a-zA-Z0-9]{1,64}> rule <number 1 65535> le <number 0 32>
"""
_ONLY_13 = """
    traffic-policy network-emulator <text 64> network-delay <text 20>
    traffic-policy network-emulator <text 64> packet-loss <text 20>
    traffic-policy network-emulator <text 64> burst <text 20>
    interfaces ethernet <port> traffic-policy out <text 64>
"""
_ONLY_14 = """
    qos policy network-emulator <text 64> delay <number 0 65535>
    qos policy network-emulator <text 64> loss <number 0 100>
    qos policy network-emulator <text 64> corruption <number 0 100>
    qos policy network-emulator <text 64> duplicate <number 0 100>
    qos policy network-emulator <text 64> reordering <number 0 100>
    qos policy network-emulator <text 64> bandwidth <name [0-9]+([kmg]?bit)?>
    qos policy network-emulator <text 64> queue-limit <number 1 4294967295>
    qos interface <device> egress <text 64>
    firewall ipv4 forward filter rule <number 1 999999> action <name (accept|drop|reject)>
    firewall ipv4 forward filter rule <number 1 999999> source address <text 64>
    firewall ipv4 forward filter rule <number 1 999999> inbound-interface name <device>
    firewall ipv4 input filter rule <number 1 999999> action <name (accept|drop|reject)>
    firewall ipv4 input filter rule <number 1 999999> protocol <text 20>
    firewall ipv4 input filter rule <number 1 999999> destination port <text 64>
"""
_RELOAD = "system config-management commit-confirm <name (reload|reboot)>"


def table(release: str, reload: bool) -> list[str]:
    """Give the lines of a release's grammar."""
    old = release.startswith("1.3")
    lines = [f"{base} {line}" for base in _BASES for line in _lines(_INTERFACE)]
    lines += [_VIF_S, *_lines(_BRIDGE), *_lines(_COMMON), *_lines(_ONLY_13 if old else _ONLY_14)]
    static = _lines(_STATIC) + ([] if old else _lines(_STATIC_14))
    lines += [f"{place} {line}" for place in _routing(old, "static") for line in static]
    bgp = _lines(_BGP) + (["neighbor <ip> bfd"] if old else [_BGP_14, "system-as <number 1 4294967294>"])
    lines += [f"{place} {line}" for place in _routing(old, "bgp") for line in bgp]
    for place in ("profile <name [-_a-zA-Z0-9]{1,32}>", "peer <ip>"):
        lines += [f"protocols bfd {place} {line}" for line in _lines(_BFD)]
    return lines + ([_RELOAD] if reload else [])


def _routing(old: bool, protocol: str) -> list[str]:
    if protocol == "bgp" and old:
        return ["protocols bgp <number 1 4294967294>"]
    inside = "protocols vrf <vrf>" if old else "vrf name <vrf> protocols"
    return [f"protocols {protocol}", f"{inside} {protocol}"]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


_RESERVED = r"(?:eth|lan|eno|ens|enp|enx|br|bond|dum|gnv|ifb|lo|peth|ppp|tun|veth|vlan|vrrp|vti|vxlan|wg|wlan|[0-9])"


def _number(value: str, least: str, most: str) -> str | None:
    if value.isascii() and value.isdecimal() and int(least) <= int(value) <= int(most):
        return None
    return f"Number is not in any of allowed ranges: {least} to {most}"


def _parses(reader: Callable[[str], object], value: str) -> bool:
    try:
        reader(value)
    except ValueError:
        return False
    return True


def _address(value: str) -> str | None:
    if value in ("dhcp", "dhcpv6"):
        return None
    if "/" not in value or not _parses(ip_interface, value):
        return f"Error: {value} is not a valid IP host"
    host = ip_interface(value)
    small = host.network.prefixlen >= host.max_prefixlen - 1
    return f"Error: {value} is not a valid IP host" if host.ip == host.network.network_address and not small else None


def _prefix(value: str) -> str | None:
    return None if "/" in value and _parses(ip_network, value) else f"Error: {value} is not a valid IPv4 prefix"


def _vrf(value: str) -> str | None:
    if len(value) > 15:
        return "VRF instance name must be 15 characters or less"
    wrong = re.match(_RESERVED, value) or not re.fullmatch(r"[A-Za-z0-9_.-]+", value)
    return "VRF instance name must not start with a reserved interface name" if wrong else None


_TYPES: dict[str, Callable[..., str | None]] = {
    "number": _number,
    "text": lambda value, most: None if len(value) <= int(most) else "Value is too long",
    "name": lambda value, pattern: None if re.fullmatch(pattern, value) else "Invalid value",
    "port": lambda value: (
        None if re.fullmatch(r"(eth|lan)[0-9]+|(eno|ens|enp|enx).+", value) else "Invalid Ethernet interface name"
    ),
    "device": lambda value: None if re.fullmatch(r"[a-z]+[0-9]+(\.[0-9]+){0,2}", value) else "Invalid interface name",
    "ip": lambda value: None if _parses(ip_address, value) else f"Error: {value} is not a valid IP address",
    "ipv4": lambda value: None if _parses(ip_address, value) else f"Error: {value} is not a valid IPv4 address",
    "address": _address,
    "prefix": _prefix,
    "vrf": _vrf,
}


@dataclass
class Node:
    """A place in the grammar. With `check` the next word is a value; `leaf` says that it ends there."""

    children: dict[str, Node] = field(default_factory=dict)
    check: Callable[[str], str | None] | None = None
    leaf: bool = False
    multi: bool = False


def grammar(lines: Iterable[str]) -> Node:
    """Build the grammar of a table."""
    root = Node()
    for line in lines:
        node = root
        tokens = re.findall(r"<[^>]*>|\S+", line)
        for index, token in enumerate(tokens):
            if token.startswith("<"):
                kind, *arguments = token[1:-1].split()
                node.check = lambda value, kind=kind, arguments=arguments: _TYPES[kind](value, *arguments)
                node.leaf = index == len(tokens) - 1
            else:
                node = node.children.setdefault(token.rstrip("*"), Node())
                node.multi |= token.endswith("*")
    return root


class Refused(Exception):  # noqa: N818 -- it says what the router did
    """A command that VyOS refuses, in its words."""


class Place(NamedTuple):
    """Where a path ends: in a value of `node` (else that is None), and of what kind."""

    node: Path | None = None
    leaf: bool = False
    single: bool = False


def resolve(root: Node, path: Path, values: bool = True) -> Place:
    """Walk `path` through the grammar. Raises `Refused` for what isn't in it, and with `values` for wrong values."""
    node, index, place = root, 0, Place()
    while index < len(path):
        word = path[index]
        if word not in node.children:
            before = "".join(f"{each} " for each in path[:index])
            raise Refused(f"Configuration path: {before}[{word}] is not valid")
        node, index, place = node.children[word], index + 1, Place()
        if node.check is None:
            continue
        if index == len(path):
            if values:
                raise Refused("The specified configuration node requires a value")
            return place
        problem = node.check(path[index]) if values else None
        if problem:
            raise Refused(f"{problem}\nValue validation failed")
        place = Place(path[:index], node.leaf, node.leaf and not node.multi)
        index += 1
        if node.leaf and index < len(path):
            raise Refused(f"Configuration path: {' '.join(path[:index])} [{path[index]}] is not valid")
    return place


# --- configurations


def beginnings(paths: Iterable[Path]) -> Config:
    return frozenset(path[:size] for path in paths for size in range(1, len(path) + 1))


def below(config: Config, *path: str) -> list[str]:
    """Give the words that stand right below `path`."""
    size = len(path)
    return sorted({each[size] for each in config if len(each) == size + 1 and each[:size] == path})


def value(config: Config, *path: str) -> str | None:
    return next(iter(below(config, *path)), None)


def leaves(config: Config) -> list[Path]:
    parents = {path[:-1] for path in config}
    return sorted(path for path in config if path not in parents)


def commands(config: Config, root: Node) -> str:
    lines = []
    for path in leaves(config):
        leaf = resolve(root, path, values=False).leaf
        words = [*path[:-1], f"'{path[-1]}'"] if leaf else list(path)
        lines.append(" ".join(["set", *words]))
    return "\n".join(lines)


# --- what a commit checks


def verify(config: Config, before: Config, old: bool) -> list[tuple[str, str]]:
    """Give what VyOS refuses at a commit: the place, and its words."""
    checks = (_mtus, _tags, _bridges, _vrfs, _bgps, _emulators, _rules, _management)
    return [problem for check in checks for problem in check(config, before, old)]


def _places(config: Config) -> Iterator[tuple[str, Path, Path]]:
    """Give every interface: its name, its path and its parent's."""
    for kind in ("ethernet", "bonding", "bridge"):
        for name in below(config, "interfaces", kind):
            path: Path = ("interfaces", kind, name)
            yield name, path, ()
            for tag in below(config, *path, "vif"):
                yield f"{name}.{tag}", (*path, "vif", tag), path
            for outer in below(config, *path, "vif-s"):
                yield f"{name}.{outer}", (*path, "vif-s", outer), path
                for inner in below(config, *path, "vif-s", outer, "vif-c"):
                    own = (*path, "vif-s", outer, "vif-c", inner)
                    yield f"{name}.{outer}.{inner}", own, (*path, "vif-s", outer)


def _mtus(config: Config, before: Config, old: bool) -> Iterator[tuple[str, str]]:
    for _name, path, parent in _places(config):
        own = value(config, *path, "mtu")
        above = int(value(config, *parent, "mtu") or 1500) if parent else None
        if own and above and int(own) > above:
            yield " ".join(path[:3]), f'Interface MTU "{own}" too high, parent interface MTU is "{above}"!'


def _tags(config: Config, before: Config, old: bool) -> Iterator[tuple[str, str]]:
    for name in below(config, "interfaces", "ethernet"):
        path = ("interfaces", "ethernet", name)
        for tag in set(below(config, *path, "vif")) & set(below(config, *path, "vif-s")):
            yield " ".join(path), f'VLAN ID "{tag}" is used as vif and vif-s of {name}'


def _bridges(config: Config, before: Config, old: bool) -> Iterator[tuple[str, str]]:
    places = {name: path for name, path, _parent in _places(config)}
    for bridge in below(config, "interfaces", "bridge"):
        path = ("interfaces", "bridge", bridge)
        for member in below(config, *path, "member", "interface"):
            where = places.get(member)
            if where is None:
                yield " ".join(path), f'Interface "{member}" does not exist!'
            elif below(config, *where, "address"):
                yield (
                    " ".join(path),
                    f'Cannot add interface "{member}" to bridge "{bridge}", it has an address assigned!',
                )
            elif below(config, *where, "vrf"):
                yield " ".join(path), f'Cannot add interface "{member}" to bridge "{bridge}", it has a VRF assigned!'


def _vrfs(config: Config, before: Config, old: bool) -> Iterator[tuple[str, str]]:
    for name in below(config, "vrf", "name"):
        own, was = value(config, "vrf", "name", name, "table"), value(before, "vrf", "name", name, "table")
        if own is None:
            yield "vrf", f'VRF "{name}" table id is mandatory!'
        elif was and was != own:
            yield "vrf", f'VRF "{name}" table id modification not possible!'
    for _name, path, _parent in _places(config):
        name = value(config, *path, "vrf")
        if name and name not in below(config, "vrf", "name"):
            yield " ".join(path[:3]), f'VRF "{name}" does not exist!'


def _bgps(config: Config, before: Config, old: bool) -> Iterator[tuple[str, str]]:
    places: list[Path] = [("protocols", "bgp", asn) for asn in below(config, "protocols", "bgp")] if old else []
    if not old:
        places = [("protocols", "bgp")] + [
            ("vrf", "name", name, "protocols", "bgp") for name in below(config, "vrf", "name")
        ]
    for place in places:
        if place not in config:
            continue
        if not old and not value(config, *place, "system-as"):
            yield " ".join(place), "BGP system-as number must be defined!"
        for neighbour in below(config, *place, "neighbor"):
            own = (*place, "neighbor", neighbour)
            if not value(config, *own, "remote-as"):
                yield " ".join(place), f'Neighbor "{neighbour}" remote-as must be set!'
            profile = value(config, *own, "bfd", "profile")
            if profile and profile not in below(config, "protocols", "bfd", "profile"):
                yield " ".join(place), f'BFD profile "{profile}" does not exist!'
        groups = below(config, *place, "peer-group")
        for prefix in below(config, *place, "listen", "range"):
            group = value(config, *place, "listen", "range", prefix, "peer-group")
            if group not in groups or not value(config, *place, "peer-group", str(group), "remote-as"):
                yield " ".join(place), f'Peer-group "{group}" requires remote-as to be set!'
        for group, way in ((group, way) for group in groups for way in ("import", "export")):
            family = (*place, "peer-group", group, "address-family", "ipv4-unicast", "prefix-list")
            named = value(config, *family, way)
            if named and named not in below(config, "policy", "prefix-list"):
                yield " ".join(place), f'prefix-list "{named}" used for "{way}" does not exist!'


def _emulators(config: Config, before: Config, old: bool) -> Iterator[tuple[str, str]]:
    base = ("qos", "policy", "network-emulator")
    for name in below(config, *base):
        if name in ("delay", "loss", "bandwidth", "corruption", "duplicate", "reordering"):
            yield "qos", f"Conflicting policy name {name}"
        if below(config, *base, name, "reordering") and not below(config, *base, name, "delay"):
            yield "qos", "reordering not possible without specifying some delay"
    for name in below(config, "qos", "interface"):
        policy = value(config, "qos", "interface", name, "egress")
        if policy and policy not in below(config, *base):
            yield "qos", f'Selected QoS policy "{policy}" does not exist!'


def _rules(config: Config, before: Config, old: bool) -> Iterator[tuple[str, str]]:
    for hook in below(config, "firewall", "ipv4"):
        base = ("firewall", "ipv4", hook, "filter", "rule")
        for rule in below(config, *base):
            if not value(config, *base, rule, "action"):
                yield "firewall", f"Rule {rule} action must be defined"


def _management(config: Config, before: Config, old: bool) -> Iterator[tuple[str, str]]:
    base = ("system", "config-management")
    if value(config, *base, "commit-confirm") == "reload" and not int(value(config, *base, "commit-revisions") or 0):
        yield " ".join(base), "commit-confirm reload needs commit-revisions"


def _changes_qos(config: Config, before: Config) -> bool:
    return any(path[0] == "qos" for path in config ^ before)


# --- the router


class SimulatedVyos:
    """One router. `minute` is how long a minute lasts; `reload` says whether its commit-confirm can reload.

    While `cut(running)` is true nothing of the router is heard. `locked` has commits refused, as if another one ran.
    `breaks_qos` has commits of `qos` fail half way, when the queues of all interfaces are gone already.
    """

    def __init__(
        self,
        lines: Iterable[str] = (),
        release: str = "1.5-rolling-202411080007",
        minute: float = 60.0,
        reload: bool = True,
    ) -> None:
        self.release = release
        self.old = release.startswith("1.3")
        self.minute = minute
        self.grammar = grammar(table(release, reload))
        self.users: dict[str, str | paramiko.PKey] = {}
        self.cut: Callable[[Config], bool] = lambda config: False
        self.locked = False
        self.breaks_qos = False
        self.typed: list[str] = []
        self.commits = 0
        self.restarts = 0
        self.running: Config = beginnings(tuple(shlex.split(line)[1:]) for line in lines)
        self.saved = self.running
        self.queues = simulated_vyos_kernel.queues(self.running)
        self.editing: set[Shell] = set()
        self._lock = threading.RLock()
        self._former: Config | None = None
        self._timer: threading.Timer | None = None
        self._up = True
        self._stopped = threading.Event()
        self._server = SshServer(
            self.users,
            lambda channel: Shell(self, channel).run(),
            listens=lambda: self._up and not self.cut(self.running),
        )
        self.port = self._server.port
        self.known_host = self._server.known_host
        self.hang_up = self._server.hang_up

    def stop(self) -> None:
        """Switch the router off."""
        self._stopped.set()
        self._disarm()
        self._server.stop()

    def lines(self) -> list[str]:
        return commands(self.running, self.grammar).splitlines()

    @property
    def waiting(self) -> bool:
        """Whether a commit waits for its confirmation."""
        return self._timer is not None

    @property
    def reloads(self) -> bool:
        return value(self.running, "system", "config-management", "commit-confirm") == "reload"

    def heard(self) -> bool:
        """Wait until the router is heard; give False if it is switched off or restarts."""
        while not self._stopped.is_set() and self._up:
            if not self.cut(self.running):
                return True
            time.sleep(0.01)
        return False

    def commit(self, base: Config, work: Config) -> str:
        """Make a session's changes run; give what VyOS says about it, nothing if all is well."""
        with self._lock:
            if self.locked:
                return "Configuration system temporarily locked due to another commit in progress\n\nCommit failed"
            new = frozenset(self.running - (base - work)) | (work - base)
            problems = verify(new, self.running, self.old)
            if self.breaks_qos and not problems and _changes_qos(new, self.running):
                self.queues = {}
                problems = [("qos", "RTNETLINK answers: Invalid argument")]
            if problems:
                failed = [f"[ {place} ]\n{words}\n\n[[{place}]] failed" for place, words in problems]
                return "\n".join([*failed, "Commit failed"])
            self._run(new)
            self.commits += 1
            return ""

    def _run(self, config: Config) -> None:
        if _changes_qos(config, self.running):
            self.queues = simulated_vyos_kernel.queues(config)
        self.running = config

    def arm(self, minutes: float) -> None:
        """Take the running configuration back after `minutes`, unless confirmed."""
        with self._lock:
            self._former = self.running
            self._timer = threading.Timer(minutes * self.minute, self._revert)
            self._timer.daemon = True
            self._timer.start()

    def confirm(self) -> bool:
        with self._lock:
            waiting = self.waiting
            self._disarm()
            return waiting

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _revert(self) -> None:
        with self._lock:
            self._timer = None
            if self.reloads:
                self._run(self._former or self.saved)
                return
            self._up = False
            self.restarts += 1
            self.running = self.saved
            self.queues = simulated_vyos_kernel.queues(self.saved)
        self.hang_up()
        time.sleep(self.minute / 4)
        self._up = True


class Shell:
    """One login: what it prints, and the session of its configuration mode."""

    def __init__(self, router: SimulatedVyos, channel: paramiko.Channel) -> None:
        self._router = router
        self._channel = channel
        self._base: Config | None = None
        self._work: Config = frozenset()
        self._question: Callable[[str], str] | None = None

    def run(self) -> None:
        self._print("Welcome to VyOS!\r\n" + self._prompt())
        line = ""
        try:
            while True:
                received = self._channel.recv(4096).decode()
                if not received:
                    return
                for character in received:
                    if character not in "\r\n":
                        line += character
                        continue
                    # readline switches bracketed paste off when a line is complete.
                    self._print(f"{line}\r\n\x1b[?2004l\r")
                    answer = self._answer(line.strip())
                    if answer is None:
                        return
                    self._print(answer.replace("\n", "\r\n") + ("" if self._question else self._prompt()))
                    line = ""
        finally:
            self._router.editing.discard(self)

    def _print(self, text: str) -> None:
        if self._router.heard():
            self._channel.sendall(text.encode())

    def _prompt(self) -> str:
        return "\x1b[?2004h" + ("vyos@vyos:~$ " if self._base is None else "[edit]\r\nvyos@vyos# ")

    def _answer(self, line: str) -> str | None:
        if self._question:
            asked, self._question = self._question, None
            return asked(line)
        if not line:
            return ""
        self._router.typed.append(line)
        mode = self._operate if self._base is None else self._configure
        answer = mode(line)
        return answer if answer is None or not answer or answer.endswith("\n") else f"{answer}\n"

    def _operate(self, line: str) -> str | None:
        router = self._router
        if line.startswith("set terminal "):
            return ""
        if line == "show version":
            return f"\nVersion:          VyOS {router.release}\nRelease train:    test\n"
        if line == "show configuration commands":
            return commands(router.running, router.grammar)
        if line == "systemctl is-active commit-confirm.timer":
            return "active" if router.waiting else "inactive"
        if line.startswith("/usr/sbin/"):
            return simulated_vyos_kernel.answer(line, router.running, router.queues)
        if line == "configure":
            self._base = self._work = router.running
            router.editing.add(self)
            return ""
        if line == "exit":
            return None
        return f"\n  Invalid command: [{line.split(maxsplit=1)[0]}]\n"

    def _configure(self, line: str) -> str:
        verb, *rest = line.split(None, 1)
        method = getattr(self, f"_on_{verb.replace('-', '_')}", None)
        if method is None:
            return f"\n  Invalid command: [{verb}]\n"
        return str(method(rest[0] if rest else ""))

    def _on_set(self, rest: str) -> str:
        path = tuple(shlex.split(rest))
        try:
            place = resolve(self._router.grammar, path)
        except Refused as error:
            return _indented(f"{error}\nSet failed")
        if path in self._work:
            return _indented(f"Configuration path: [{rest}] already exists")
        if place.single:
            self._work = frozenset(each for each in self._work if each[:-1] != place.node)
        self._work |= beginnings([path])
        return ""

    def _on_delete(self, rest: str) -> str:
        path = tuple(shlex.split(rest))
        try:
            place = resolve(self._router.grammar, path, values=False)
        except Refused as error:
            return _indented(f"{error}\nDelete failed")
        if path not in self._work:
            return _indented(f"Nothing to delete (the specified {'value' if place.leaf else 'node'} does not exist)")
        gone = {each for each in self._work if each[: len(path)] == path}
        # With its last value goes the node.
        if place.node and len(below(self._work, *place.node)) == 1:
            gone.add(place.node)
        self._work = frozenset(self._work - gone)
        return ""

    def _on_compare(self, rest: str) -> str:
        base = self._base or frozenset()
        if self._work == base:
            return "No changes between working and active configurations."
        grouped: dict[Path, list[str]] = {}
        for sign, these in (("-", base - self._work), ("+", self._work - base)):
            for path in leaves(frozenset(these)):
                grouped.setdefault(path[:-2] or path[:-1], []).append(f"{sign} {' '.join(path[-2:])}")
        return "\n".join(f"[{' '.join(place)}]\n" + "\n".join(each) for place, each in sorted(grouped.items()))

    def _on_commit(self, rest: str) -> str:
        if self._work == self._base:
            return "No configuration changes to commit"
        answer = self._router.commit(self._base or frozenset(), self._work)
        if not answer:
            self._base = self._work = self._router.running
        return answer

    def _on_commit_confirm(self, rest: str) -> str:
        if self._work == self._base:
            return "No configuration changes to commit"
        router = self._router
        if router.waiting:
            # 1.3 says so and commits all the same, without a way back.
            return "Another confirm is pending\n" + (self._on_commit("") if router.old else "")
        minutes = float(rest or 10)
        unsaved = (
            "\nYou should save previous commits before commit-confirm !\n" if router.running != router.saved else ""
        )
        if router.reloads:
            asked = f"commit-confirm will automatically reload previous config in {rest} minutes"
            done = f"Initialized commit-confirm; {rest} minutes to confirm before reload"
        else:
            asked = (
                f"{unsaved}\ncommit-confirm will automatically reboot in {rest} minutes unless changes\nare confirmed."
            )
            done = f"Initialized commit-confirm; {rest} minutes to confirm before reboot"

        def proceed(reply: str) -> str:
            if reply.lower() not in ("", "y", "yes"):
                return "commit-confirm canceled\n"
            router.arm(minutes)
            answer = self._on_commit("")
            return f"{done}\n{answer}" + ("\n" if answer else "")

        self._question = proceed
        return f"{asked}\n\nProceed ? [Y/n] "

    def _on_confirm(self, rest: str) -> str:
        return "Reboot timer stopped" if self._router.confirm() else "No confirm pending"

    def _on_discard(self, rest: str) -> str:
        changed = self._work != self._base
        self._base = self._work = self._router.running
        return "Changes have been discarded" if changed else "No changes have been discarded"

    def _on_save(self, rest: str) -> str:
        self._router.saved = self._router.running
        return "Saving configuration to '/config/config.boot'...\nDone"

    def _on_exit(self, rest: str) -> str:
        if self._work != self._base and rest != "discard":
            return "Cannot exit: configuration modified.\nUse 'exit discard' to discard the changes and exit."
        self._base = None
        self._router.editing.discard(self)
        unsaved = self._router.running != self._router.saved
        return "Warning: configuration changes have not been saved.\nexit" if unsaved else "exit"


def _indented(text: str) -> str:
    return "\n" + "".join(f"  {line}\n" for line in text.splitlines()) + "\n"
