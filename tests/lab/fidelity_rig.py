# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node of the lab: what netem is asked for against what numbered packets show on the wire.

Two network namespaces with a veth pair between them, the real Linux back-end, and one clock for both ends. Prints one
JSON line a measurement. Called with the path of the target program: `python3 fidelity_rig.py PROGRAM [KIND ...]`.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

NEAR, FAR = "okiagari-near", "okiagari-far"
INTERFACE = "f-near"
ADDRESS = ("10.199.0.2", 18699)
MTU = 9000
DEVICES = f"""
link set {INTERFACE} up mtu {MTU}
addr add 10.199.0.NUMBER/24 dev {INTERFACE}
link add link {INTERFACE} name s101 up type vlan protocol 802.1ad id 101
link add link s101 name c100 up type vlan id 100
link add link s101 name c200 up type vlan id 200
addr add 10.200.0.NUMBER/24 dev c100
addr add 10.201.0.NUMBER/24 dev c200
addr add 10.202.0.NUMBER/24 dev s101
"""
HEADERS = 14 + 20 + 8
PAYLOAD = 1200
"""Bytes. A wrong bit in the sender's Ethernet address is the only one that nobody notices; so packets are long."""
RATE_PACKETS = 100
"""About so many packets a second come through a limited rate, whatever it is: a node has little time for each."""
CHUNKS = 10
_CLONE_NEWNET = 0x40000000

PROBES = {
    "delay": (200, 100.0),
    "jitter": (1000, 200.0),
    "loss": (4000, 1000.0),
    "corrupt": (4000, 1000.0),
    "duplicate": (4000, 1000.0),
    "reorder": (2000, 200.0),
}
"""Packets, and packets a second."""

ASKED: dict[str, list[dict[str, Any]]] = {
    "delay": [{"delay": f"{ms}ms"} for ms in (1, 2, 5, 10, 20, 50, 100, 200, 300, 500)],
    "jitter": [
        {"delay": "60ms", "jitter": f"{ms}ms", "distribution": "normal"} for ms in (0.5, 1, 2, 3, 4, 5, 8, 10, 15, 20)
    ],
    "loss": [{"percent": share} for share in (0.1, 0.5, 1, 2, 5, 10, 20, 30, 50, 80)],
    "corrupt": [{"percent": share} for share in (0.1, 0.5, 1, 2, 5, 10, 20, 30, 50, 80)],
    "duplicate": [{"percent": share} for share in (0.1, 0.5, 1, 2, 5, 10, 20, 30, 50, 80)],
    "reorder": [{"percent": share, "delay": "100ms"} for share in (0.5, 1, 2, 5, 10, 15, 20, 25, 30, 50)],
    "rate": [{"rate": f"{kbit}kbit"} for kbit in (64, 128, 256, 512, 1000, 2000, 3000, 5000, 7000, 10000)],
}


SCOPES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"to": "10.199.0.3/32"}, {"address": "10.199.0.3"}, {}),
    ({"to": "10.199.0.0/24", "protocol": "udp", "port": 18701}, {"port": 18701}, {}),
    ({"dscp": "ef"}, {"tos": 0xB8}, {"tos": 0x28}),
    ({"s_tag": 101}, {"address": "10.200.0.2"}, {}),
    ({"s_tag": 101, "to": "10.202.0.0/24"}, {"address": "10.202.0.2"}, {"address": "10.200.0.2"}),
    ({"s_tag": 101, "c_tag": 100}, {"address": "10.200.0.2"}, {"address": "10.201.0.2"}),
    ({"s_tag": 101, "c_tag": 100, "to": "10.200.0.3/32"}, {"address": "10.200.0.3"}, {"address": "10.200.0.2"}),
    (
        {"s_tag": 101, "c_tag": 100, "protocol": "udp", "port": 18701, "dscp": 46},
        {"address": "10.200.0.2", "port": 18701, "tos": 0xB8},
        {"address": "10.200.0.2", "port": 18701},
    ),
    (
        {"s_tag": 101, "c_tag": 100, "protocol": "udp", "port": 18701},
        {"address": "10.200.0.3", "port": 18701},
        {"address": "10.200.0.3"},
    ),
]
"""Which packets are lost, a stream that these are, and one that they are not."""


class InNamespace:
    """A runner of commands in the near namespace."""

    def run(self, argv: Any, input: str | None = None, timeout: float = 10.0) -> Any:  # noqa: A002
        from okiagari.target.system import SubprocessRunner  # type: ignore[import-not-found]

        return SubprocessRunner().run(("ip", "netns", "exec", NEAR, *argv), input, timeout)


class Receiver(threading.Thread):
    """Takes numbered packets: `seen` is number, time sent, time received, and whether the payload is whole."""

    def __init__(self, to: tuple[str, int] = ADDRESS) -> None:
        super().__init__(daemon=True)
        self._socket = _socket_in(FAR)
        self._socket.bind(to)
        self._socket.settimeout(0.2)
        self.seen: list[tuple[int, float, float, bool]] = []
        self.bytes = 0
        self.first = self.last = 0.0
        self.stopped = False

    def run(self) -> None:
        while not self.stopped:
            try:
                data = self._socket.recv(MTU)
            except TimeoutError:
                continue
            now = time.monotonic()
            self.last = now
            if not self.first:
                self.first = now
            else:
                self.bytes += len(data) + HEADERS
            number, sent = struct.unpack_from("!Qd", data)
            self.seen.append((number, sent, now, data[16:] == bytes(len(data) - 16)))

    def finish(self) -> None:
        self.stopped = True
        self.join()
        self._socket.close()


def _socket_in(namespace: str) -> socket.socket:
    """Make a UDP socket that lives in a namespace; the thread comes back to where it was."""
    libc = ctypes.CDLL(None, use_errno=True)
    home, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        libc.setns(home, _CLONE_NEWNET)
    finally:
        os.close(home)
        os.close(there)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    return made


def run(kind: str, asked: dict[str, Any]) -> Receiver:
    """Send what the kind is measured with, and give what came."""
    receiver = Receiver()
    receiver.start()
    sender = _socket_in(NEAR)
    if kind == "rate":
        size = min(round(1000 * quantity(kind, asked) / 8 / RATE_PACKETS), MTU) - HEADERS
        end, number = time.monotonic() + 3.0, 0
        while time.monotonic() < end:
            sender.sendto(struct.pack("!Qd", number, time.monotonic()) + bytes(size - 16), ADDRESS)
            number += 1
            time.sleep(0.5 / RATE_PACKETS)
    else:
        count, rate = PROBES[kind]
        start = time.monotonic()
        for number in range(count):
            while (left := start + number / rate - time.monotonic()) > 0:
                time.sleep(left)
            sender.sendto(struct.pack("!Qd", number, time.monotonic()) + bytes(PAYLOAD), ADDRESS)
        time.sleep(1.0)
    sender.close()
    receiver.finish()
    return receiver


def arrived(address: str = ADDRESS[0], port: int = ADDRESS[1], tos: int = 0, count: int = 50) -> int:
    """Send so many packets of one stream, and give how many came."""
    receiver = Receiver((address, port))
    receiver.start()
    sender = _socket_in(NEAR)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    for number in range(count):
        sender.sendto(struct.pack("!Qd", number, time.monotonic()), (address, port))
        time.sleep(0.002)
    time.sleep(0.3)
    sender.close()
    receiver.finish()
    return len(receiver.seen)


def value_of(kind: str, receiver: Receiver, base_ms: float) -> float:
    """Give what the packets show, in the unit that was asked for."""
    late = [1000 * (received - sent) for _number, sent, received, _whole in receiver.seen]
    if kind == "delay":
        return statistics.median(late) - base_ms
    if kind == "jitter":
        # The middle half of a normal distribution is 1.349 of its deviations wide. A node that gets no processor for a
        # while makes the packets of some chunks late, which would count a lot in the deviation of all.
        each = len(late) // CHUNKS
        quartiles = (statistics.quantiles(late[each * place : each * (place + 1)], n=4) for place in range(CHUNKS))
        return statistics.median((high - low) / 1.349 for low, _median, high in quartiles)
    if kind == "rate":
        return 8 * receiver.bytes / (receiver.last - receiver.first) / 1000
    count = PROBES[kind][0]
    whole = [number for number, _sent, _received, whole in receiver.seen if whole and number < count]
    if kind in ("loss", "corrupt"):
        return 100 * (1 - len(set(whole)) / count)
    if kind == "duplicate":
        return 100 * (len(whole) - len(set(whole))) / count
    early = sum(1 for late_ms in late if late_ms < base_ms + 50)
    return 100 * early / count


def quantity(kind: str, asked: dict[str, Any]) -> float:
    """Give the number that `value_of` is compared with."""
    text = str(asked[{"jitter": "jitter", "delay": "delay", "rate": "rate"}.get(kind, "percent")])
    return float(text.rstrip("kmbits"))


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    subprocess.run(["modprobe", "veth"], check=False)
    for namespace in (NEAR, FAR):
        subprocess.run(["ip", "netns", "add", namespace], check=True)
    try:
        subprocess.run(
            f"ip link add {INTERFACE} netns {NEAR} type veth peer name {INTERFACE} netns {FAR}".split(), check=True
        )
        for namespace, number in ((NEAR, 1), (FAR, 2)):
            lines = DEVICES.replace("NUMBER", str(number))
            subprocess.run(["ip", "-n", namespace, "-batch", "-"], input=lines, text=True, check=True)
        asked = sys.argv[2:] or [*ASKED, "only"]
        measure([kind for kind in asked if kind in ASKED])
        if "only" in asked:
            scopes()
    finally:
        for namespace in (NEAR, FAR):
            subprocess.run(["ip", "netns", "del", namespace], check=False)


@contextmanager
def standing(kind: str, asked: dict[str, Any]) -> Iterator[None]:
    """Have a fault of the kind on the near interface, by the real back-end."""
    # The program is a zip file, known only to its caller.
    from okiagari.fault.backend import converge  # type: ignore[import-not-found]
    from okiagari.fault.kinds import KINDS  # type: ignore[import-not-found]
    from okiagari.fault.linux import LinuxBackend  # type: ignore[import-not-found]

    backend, fault = LinuxBackend(InNamespace()), KINDS[kind]
    params = fault.parse("fidelity", {"interface": INTERFACE, **asked})
    before = backend.gather([fault.claim(params)])
    converge(backend, fault.want(params, before))
    try:
        yield
    finally:
        converge(backend, before)


def measure(kinds: list[str]) -> None:
    base = statistics.median(1000 * (received - sent) for _number, sent, received, _whole in run("delay", {}).seen)
    for kind in kinds:
        for asked in ASKED[kind]:
            with standing("delay" if kind == "jitter" else kind, asked):
                found = value_of(kind, run(kind, asked), base)
            line = {"kind": kind, "asked": quantity(kind, asked), "measured": round(found, 4), "params": asked}
            print(json.dumps(line), flush=True)


def scopes() -> None:
    """Lose all packets of one stream, and see whether all of it and nothing of the other is lost."""
    for device, address in ((INTERFACE, "10.199.0.3/24"), ("c100", "10.200.0.3/24")):
        subprocess.run(["ip", "-n", FAR, "addr", "add", address, "dev", device], check=True)
    for only, struck, spared in SCOPES:
        reached = arrived(**struck), arrived(**spared)
        with standing("loss", {"percent": 100, "only": only}):
            found = arrived(**struck), arrived(**spared)
        line = {"kind": "only", "only": only, "before": reached, "struck": found[0], "spared": found[1]}
        print(json.dumps({**line, "after": (arrived(**struck), arrived(**spared))}), flush=True)


if __name__ == "__main__":
    main()
