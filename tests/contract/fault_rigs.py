# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers of the fault back-ends, each behind the same few words, so that one suite can ask all of them the same."""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils import netconf
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault import netconf_state
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.ios import XeDevice, XrDevice
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import parse_fault
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.netconf import NetconfDevice
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.owned import FRR_MARK
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.vyos import VyosDevice
from ansible_collections.okiagari.testbed.plugins.module_utils.ios import XeSession, XrSession
from ansible_collections.okiagari.testbed.plugins.module_utils.ios.netmiko_channel import XeChannel, XrChannel
from ansible_collections.okiagari.testbed.plugins.module_utils.proxy import Proxy
from ansible_collections.okiagari.testbed.plugins.module_utils.target.store import Store
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Clock, Places
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos import Session
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.netmiko_channel import Login, NetmikoChannel
from real_netconf import NetconfServer
from simulated_ios import SimulatedIos
from simulated_vyos import SimulatedVyos

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.fault.device import Device

Asked = dict[str, Any]
Receipt = dict[str, Any]

USER, PASSWORD = "ops", "a secret"


def fault(kind: str, **params: Any) -> Asked:
    return {"id": f"test-{kind}", "kind": kind, "target": "r1", "params": params, "lease_s": 120.0}


class Rig(ABC):
    """One peer with its back-end.

    `faults` are those that it can do, `foreign` one whose place somebody else has taken after `take`, and `beyond` one
    that it can't do, each with words of the message. `lease_s` is a lease as short as the peer can keep one, and
    `poll_s` how often it may be asked.
    """

    faults: ClassVar[list[Asked]]
    foreign: ClassVar[tuple[Asked, str]]
    beyond: ClassVar[tuple[Asked, str]]
    lease_s: float = 1.0
    poll_s: float = 0.1

    @abstractmethod
    def inject(self, asked: Asked) -> Receipt:
        """Inject as a process of its own does, which is gone afterwards. Raises `OkiagariError`."""

    @abstractmethod
    def undo(self, fault_id: str) -> Receipt:
        """Undo as such a process does."""

    @abstractmethod
    def heal(self) -> dict[str, Any]:
        """Heal as such a process does."""

    @abstractmethod
    def state(self) -> Any:
        """Give all that a fault could change of the peer, as the peer itself has it."""

    @abstractmethod
    def take(self) -> None:
        """Have somebody else take the place of `foreign`."""

    @abstractmethod
    def refuse(self) -> str:
        """Have the peer refuse the next change of `faults[0]`; give words of its refusal."""

    def stop(self) -> None:
        """Switch the peer off."""
        return


class LinuxRig(Rig):
    """Linux in a network namespace."""

    faults: ClassVar = [
        fault("link_down", interface="w-a"),
        fault("route_override", prefix="10.2.0.0/24", via="10.254.0.2"),
        fault("route_blackhole", prefix="10.2.0.0/24"),
        fault("route_unreachable", prefix="2001:db8:99::/48"),
    ]
    foreign: ClassVar = (fault("route_blackhole", prefix="10.55.0.0/24"), "foreign route 'blackhole 10.55.0.0/24")
    beyond: ClassVar = (fault("bgp_shutdown", neighbor="10.254.0.2"), "'bgp_shutdown' of the back-end 'linux'")

    def __init__(self, target: Any) -> None:
        self._target = target

    def inject(self, asked: Asked) -> Receipt:
        return self._ask("inject", asked)

    def undo(self, fault_id: str) -> Receipt:
        receipt: Receipt = self._ask("undo", {"ids": [fault_id]})["receipts"][0]
        return receipt

    def heal(self) -> dict[str, Any]:
        return self._ask("heal", {})

    def state(self) -> Any:
        return {key: value for key, value in self._ask("snapshot", {}).items() if key != "okiagari"}

    def take(self) -> None:
        self._target.sh("ip route add blackhole 10.55.0.0/24")

    def refuse(self) -> str:
        programs = self._target.folder / "bin"
        programs.mkdir(parents=True)
        (programs / "ip").write_text(
            f'#!/bin/sh\ncase "$*" in "link set"*) echo "not today" >&2; exit 2;; esac\n'
            f'exec {shutil.which("ip")} "$@"\n'
        )
        (programs / "ip").chmod(0o755)
        self._target.environment["PATH"] = f"{programs}:{self._target.environment['PATH']}"
        return "not today"

    def _ask(self, command: str, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._target.call(command, request)
        if set(answer) == {"error"}:
            raise OkiagariError(answer["error"])
        return answer


class DeviceRig(Rig):
    """A device, driven by proxies that live for one call each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store = Store(Places(str(folder), str(folder)))
        self.known_hosts = folder / "known_hosts"

    @property
    @abstractmethod
    def port(self) -> int:
        """Where the device listens."""

    @abstractmethod
    def device(self) -> Device:
        """Log in."""

    def options(self) -> dict[str, Any]:
        """Give how it is reached, as modules are told."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "known_hosts": str(self.known_hosts),
        }

    def inject(self, asked: Asked) -> Receipt:
        return self._with_proxy(lambda proxy: proxy.inject(parse_fault(asked)).receipt())

    def undo(self, fault_id: str) -> Receipt:
        def do(proxy: Proxy) -> Receipt:
            proxy.undo([fault_id], "module")
            return next(record.receipt() for record in proxy.records() if record.fault.id == fault_id)

        return self._with_proxy(do)

    def heal(self) -> dict[str, Any]:
        return self._with_proxy(lambda proxy: proxy.heal())

    def _with_proxy(self, do: Callable[[Proxy], dict[str, Any]]) -> dict[str, Any]:
        device = self.device()
        try:
            return do(Proxy(device, self._store, Clock()))
        finally:
            device.close()

    def login(self) -> Login:
        return Login(**self.options())


class VyosRig(DeviceRig):
    """A simulated VyOS router over SSH, whose minutes are short."""

    faults: ClassVar = [
        fault("link_down", interface="eth1"),
        fault("link_down", interface="eth1.101.100"),
        fault("loss", interface="eth1", percent="100%"),
        fault("delay", interface="eth1", delay="50ms"),
        fault("impairment", interface="eth1", delay="20ms", loss="2%", rate="10mbit", duplicate="1%"),
        fault("route_override", prefix="10.2.0.0/24", via="10.254.0.1"),
        fault("route_blackhole", prefix="10.2.0.0/24"),
        fault("route_unreachable", prefix="2001:db8:99::/48"),
        fault("bgp_shutdown", neighbor="10.254.0.1"),
        fault("bgp_shutdown", neighbor="10.254.0.1", vrf="storage"),
    ]
    foreign: ClassVar = (fault("loss", interface="eth2", percent="5%"), "foreign qos policy LIBRARY")
    beyond: ClassVar = (
        fault("delay", interface="eth1", delay="50ms", jitter="5ms"),
        "the network emulator of VyOS has no jitter",
    )
    minute = 3.0
    lease_s = 3.0
    start: ClassVar = [
        "set interfaces ethernet eth0 address 172.31.0.1/22",
        "set interfaces ethernet eth1 address 10.254.0.0/31",
        "set interfaces ethernet eth1 vif-s 101 vif-c 100 mtu 1400",
        "set interfaces ethernet eth2 address 10.254.0.2/31",
        "set interfaces ethernet eth3 description library",
        "set qos policy network-emulator LIBRARY delay 3",
        "set qos interface eth3 egress LIBRARY",
        "set protocols bgp system-as 65001",
        "set protocols bgp neighbor 10.254.0.1 remote-as 65101",
        "set vrf name storage table 1011",
        "set vrf name storage protocols bgp system-as 65001",
        "set vrf name storage protocols bgp neighbor 10.254.0.1 remote-as 65101",
        "set system config-management commit-revisions 100",
        "set system config-management commit-confirm reload",
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.router = SimulatedVyos(self.start, minute=self.minute)
        self.router.users[USER] = PASSWORD
        self.known_hosts.write_text(self.router.known_host())

    @property
    def port(self) -> int:
        return self.router.port

    def device(self) -> VyosDevice:
        login = self.login()
        return VyosDevice(Session("r1", lambda: NetmikoChannel(login), minute=self.minute).__enter__())

    def state(self) -> Any:
        return self.router.lines(), self.router.queues

    def take(self) -> None:
        self.configure("set qos interface eth2 egress LIBRARY")

    def refuse(self) -> str:
        self.router.locked = True
        return "being changed by somebody else"

    def configure(self, *lines: str) -> None:
        """Have somebody else commit these lines."""
        from ansible_collections.okiagari.testbed.plugins.module_utils.vyos import Changes

        login = self.login()
        with Session("r1", lambda: NetmikoChannel(login)) as session:
            session.apply(Changes((), tuple(tuple(line.split()[1:]) for line in lines)), confirm=0, save=False)

    def stop(self) -> None:
        self.router.stop()


class NetconfRig(DeviceRig):
    """A real NETCONF server."""

    faults: ClassVar = [
        fault("link_down", interface="w-a"),
        fault("route_blackhole", prefix="10.2.0.0/24"),
        fault("route_prohibit", prefix="10.2.0.0/24"),
        fault("route_unreachable", prefix="2001:db8:99::/48"),
        fault("route_override", prefix="10.2.0.0/24", via="10.254.0.2"),
    ]
    foreign: ClassVar = (fault("route_blackhole", prefix="10.55.0.0/16"), "the foreign route 'static 10.55.0.0/16")
    beyond: ClassVar = (fault("loss", interface="w-a", percent="100%"), "'drop' of the back-end 'netconf'")
    lease_s = 2.0
    # netconfd looks at its timers only when nobody has asked it anything for a second.
    poll_s = 2.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if missing := NetconfServer.missing():
            pytest.skip(f"needs {', '.join(missing)}")
        self.server = NetconfServer(folder, USER, PASSWORD)
        self.known_hosts.write_text(self.server.known_host())
        self._sessions: list[netconf.Session] = []

    @property
    def port(self) -> int:
        return self.server.port

    def connect(self) -> netconf.Session:
        return netconf.connect(self.options())

    def device(self) -> NetconfDevice:
        return NetconfDevice(self.connect())

    def state(self) -> Any:
        if not self._sessions:
            self._sessions.append(self.connect())
        shown = [self._sessions[0].config(subtree) for subtree in (netconf_state.INTERFACES, netconf_state.ROUTING)]
        return [[(each.tag, (each.text or "").strip()) for each in found.iter()] for found in shown]

    def take(self) -> None:
        session = self.connect()
        [(_verb, edit)] = netconf_state.route_ops(
            "10.55.0.0/16", {"ours": None, "others": [], "protocol": "main"}, {"ours": {"type": "blackhole"}}
        )
        session.change([edit.replace(FRR_MARK, "of the library")])
        session.close()

    def refuse(self) -> str:
        self._sessions.append(self.connect())
        self._sessions[-1].hold()
        return "lock: "

    def stop(self) -> None:
        for session in self._sessions:
            session.close()
        self.server.stop()


class IosRig(DeviceRig):
    """A simulated router with IOS-XE or IOS-XR over SSH, whose units of time are short."""

    text: ClassVar[str]
    unit: ClassVar[float]
    xr: ClassVar[bool]
    beyond: ClassVar = (fault("loss", interface="GigabitEthernet0/0/1", percent="5%"), "lacks the capability 'netem'")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.router = SimulatedIos(self.text, self.xr, self.unit)
        self.router.users[USER] = PASSWORD
        self.known_hosts.write_text(self.router.known_host())

    @property
    def port(self) -> int:
        return self.router.port

    def device(self) -> Device:
        login = self.login()
        if self.xr:
            return XrDevice(XrSession("r1", XrChannel(login), self.unit))
        return XeDevice(XeSession("r1", XeChannel(login), self.unit))

    def state(self) -> Any:
        return sorted(self.router.running)

    def refuse(self) -> str:
        self.router.locked = True
        return "locked by another user"

    def stop(self) -> None:
        self.router.stop()


class XeRig(IosRig):
    """IOS-XE. Its Null0 gives no answer."""

    faults: ClassVar = [
        fault("link_down", interface="GigabitEthernet0/0/1"),
        fault("loss", interface="GigabitEthernet0/0/1", percent="100%"),
        fault("route_override", prefix="10.2.0.0/24", via="10.254.0.2"),
        fault("route_blackhole", prefix="10.2.0.0/24"),
        fault("route_blackhole", prefix="2001:db8:99::/48"),
        fault("bgp_shutdown", neighbor="10.254.0.2"),
        fault("bgp_shutdown", neighbor="10.254.0.2", vrf="storage"),
    ]
    foreign: ClassVar = (fault("loss", interface="GigabitEthernet0/0/2", percent="100%"), "foreign ip access-group LIB")
    xr = False
    unit = 3.0
    lease_s = 3.0
    text = """
interface GigabitEthernet0/0/1
 ip address 10.254.0.1 255.255.255.252
interface GigabitEthernet0/0/2
interface Null0
 no ip unreachables
router bgp 65001
 neighbor 10.254.0.2 remote-as 65101
 address-family ipv4 vrf storage
  neighbor 10.254.0.2 remote-as 65101
archive
 path flash:archive
"""

    def take(self) -> None:
        self.router.running += (("interface GigabitEthernet0/0/2", "ip access-group LIBRARY out"),)


class XrRig(IosRig):
    """IOS-XR. Its Null0 answers."""

    faults: ClassVar = [
        fault("link_down", interface="GigabitEthernet0/0/0/1"),
        fault("loss", interface="GigabitEthernet0/0/0/1", percent="100%"),
        fault("route_override", prefix="10.2.0.0/24", via="10.254.0.2"),
        fault("route_unreachable", prefix="10.2.0.0/24"),
        fault("route_unreachable", prefix="2001:db8:99::/48"),
        fault("bgp_shutdown", neighbor="10.254.0.2"),
        fault("bgp_shutdown", neighbor="10.254.0.2", vrf="storage"),
    ]
    foreign: ClassVar = (
        fault("route_unreachable", prefix="10.55.0.0/16"),
        "the foreign route '10.55.0.0/16 10.254.0.2",
    )
    xr = True
    unit = 0.1
    lease_s = 3.0
    text = """
interface GigabitEthernet0/0/0/1
 ipv4 address 10.254.0.1 255.255.255.252
interface GigabitEthernet0/0/0/2
router static
 address-family ipv4 unicast
  10.8.0.0/16 10.254.0.2
router bgp 65001
 neighbor 10.254.0.2
  remote-as 65101
 vrf storage
  neighbor 10.254.0.2
   remote-as 65101
"""

    def take(self) -> None:
        self.router.running += (("router static", "address-family ipv4 unicast", "10.55.0.0/16 10.254.0.2"),)


def wait_for_state(rig: Rig, wanted: Any, patience: float = 60.0) -> None:
    """Wait until the peer has the wanted state."""
    deadline = time.monotonic() + patience
    while rig.state() != wanted:
        assert time.monotonic() < deadline, "the peer has not come to the wanted state"
        time.sleep(rig.poll_s)
