# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network between namespaces whose every way can be cut, slowed or made lossy, in one direction alone.

Each namespace has a TUN device, and a thread carries the packets from one to the other. So it needs neither queues nor
filters of the kernel, which machines that run tests may not have. Namespaces have no names: a process keeps each, and
ends with this one, however that one ends. So does what is started in them.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import struct
import subprocess
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_TARGET, _HEADER = slice(16, 20), 20
_IPV4 = 4
_LARGEST = 65_536


class Wire:
    """A namespace for each of these names, at an address of 10.99.0.0/24."""

    def __init__(self, names: Sequence[str], chance: random.Random) -> None:
        self.addresses = {name: f"10.99.0.{number}" for number, name in enumerate(names, 1)}
        self._chance = chance
        self._cut: Counter[tuple[str, str]] = Counter()
        self._slow: dict[tuple[str, str], tuple[float, float]] = {}
        self._names = {bytes(map(int, address.split("."))): name for name, address in self.addresses.items()}
        self._ends: dict[str, int] = {}
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Self:
        try:
            for name in self.addresses:
                self._add(name)
        except BaseException:
            self._remove()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        self._remove()

    def inside(self, name: str) -> list[str]:
        """Give what has to stand before a command for it to run in a namespace, and to end with this thread."""
        return [*self._enter(name), "setpriv", "--pdeathsig", "KILL"]

    def cut(self, links: Iterable[tuple[str, str]], by: int = 1) -> None:
        """Lose what is sent on these ways, until the same is undone with -1."""
        for link in links:
            self._cut[link] += by

    def slow(self, links: Iterable[tuple[str, str]], delay_s: float, loss: float) -> None:
        """Delay what is sent on these ways, and lose that share of it."""
        self._slow.update(dict.fromkeys(links, (delay_s, loss)))

    def heal(self) -> None:
        self._cut.clear()
        self._slow.clear()

    def _add(self, name: str) -> None:
        keeper = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._keepers[name] = keeper
        assert keeper.stdout
        keeper.stdout.readline()
        end = self._ends[name] = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        device = f"oki{uuid.uuid4().hex[:8]}"
        # Its end stays here when the device moves; the device is gone when its end is closed.
        fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH14x", device.encode(), _IFF_TUN | _IFF_NO_PI))
        _run("ip", "link", "set", device, "netns", str(keeper.pid), "name", "wan0")
        _run(*self._enter(name), "ip", "addr", "add", f"{self.addresses[name]}/24", "dev", "wan0")
        for each in ("lo", "wan0"):
            _run(*self._enter(name), "ip", "link", "set", each, "up")

    def _enter(self, name: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._keepers[name].pid}/ns/net"]

    def _remove(self) -> None:
        for end in self._ends.values():
            os.close(end)
        for keeper in self._keepers.values():
            keeper.communicate()
        self._ends.clear()
        self._keepers.clear()

    def _carry(self) -> None:
        waiting: list[tuple[float, int, str, bytes]] = []
        names = {end: name for name, end in self._ends.items()}
        number = 0
        while not self._over.is_set():
            left = waiting[0][0] - time.monotonic() if waiting else 0.1
            for end in select.select(list(names), [], [], min(max(left, 0.0), 0.1))[0]:
                for packet in _packets(end):
                    to, delay = self._way(names[end], packet)
                    if not to:
                        continue
                    number += 1
                    heapq.heappush(waiting, (time.monotonic() + delay, number, to, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _due, _number, to, packet = heapq.heappop(waiting)
                # A full queue loses packets, as any other does.
                with suppress(OSError):
                    os.write(self._ends[to], packet)

    def _way(self, sender: str, packet: bytes) -> tuple[str, float]:
        """Give to whom a packet goes, and after which delay; to nobody if it is lost."""
        if len(packet) < _HEADER or packet[0] >> 4 != _IPV4:
            return "", 0.0
        link = (sender, self._names.get(packet[_TARGET], ""))
        delay, loss = self._slow.get(link, (0.0, 0.0))
        lost = self._cut[link] > 0 or self._chance.random() < loss
        return ("" if lost else link[1]), delay


def _packets(end: int) -> Iterable[bytes]:
    with suppress(BlockingIOError):
        while packet := os.read(end, _LARGEST):
            yield packet


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
