# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab with guests in one network over two of its sites, and clients of the tally beside them."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAYBOOK = str(Path(__file__).parent / "playbooks" / "machines.yml")
CLIENT = (Path(__file__).parent / "tally_client.py").read_text()
HOSTS = {"a-kvm1": "192.168.7.1", "b-kvm1": "192.168.7.2"}
RECORDS = json.dumps({"qinq_records": [{"name": "exp", "networks": {"lan": {"vlan": 100, "sites": ["a", "b"]}}}]})
POOL = "/var/lib/okiagari/guests"
BOOT_S = 60


def machine(number: int) -> dict[str, Any]:
    """Give a machine of the project, as its record has it."""
    card = {"name": "lan", "bridge": "br100", "address": f"{address(number)}/24", "mac": f"02:03:00:00:00:{number:02x}"}
    return {"name": f"exp-{number}", "memory_mib": 80, "networks": [{**card, "mtu": 1500}]}


def address(number: int) -> str:
    return f"192.168.7.{100 + number}"


class GuestLab(SmallLab):
    """The lab with one project's network, and a client beside the guests on each host."""

    def have(
        self, options: tuple[str, ...] = (), fails: bool = False, timeout: float = 300,
        **machines: list[dict[str, Any]],
    ) -> str:  # fmt: skip
        """Have these machines on the hosts `a` and `b`, and give what Ansible says."""
        wanted = {f"{site}-kvm1": listed for site, listed in machines.items()}
        return self.play(PLAYBOOK, "-e", json.dumps({"machines": wanted}), *options, fails=fails, timeout=timeout)

    def connect(self) -> None:
        """Hang a client on the project's bridge at both sites."""
        for host, own in HOSTS.items():
            self.say(
                host,
                "ip netns add client; ip link add v100 type veth peer name eth0 netns client;"
                "ip link set v100 master br100 up; ip -n client link set eth0 up;"
                f"ip -n client address add {own}/24 dev eth0",
            )
            self.say(host, f"cat > /run/tally_client.py <<'END'\n{CLIENT}\nEND")

    def ask(self, number: int, line: str, host: str = "a-kvm1") -> str:
        """Ask a guest's tally one thing; empty when it doesn't answer."""
        client = (
            f"echo {line} | ip netns exec client timeout 5 socat -t 5 - TCP:{address(number)}:7000,connect-timeout=2"
        )
        done = self.ssh(host, client)
        return done.stdout.removesuffix("\n") if done.returncode == 0 else ""

    def boots(self, *numbers: int, host: str = "a-kvm1") -> float:
        """Wait until the tallies answer, and give how long that took."""
        started = time.monotonic()
        for number in numbers:
            wait_for(
                f"the tally of exp-{number} answers", partial(self.ask, number, "get", host), BOOT_S * len(numbers)
            )
        return time.monotonic() - started

    @contextmanager
    def counting(self, number: int, host: str) -> Iterator[dict[str, Any]]:
        """Count on one connection meanwhile; afterwards the result says how that went."""
        result: dict[str, Any] = {}
        stop = "/run/tally_end"
        with ThreadPoolExecutor(1) as pool:
            line = f"ip netns exec client python3 /run/tally_client.py {address(number)} {stop}"
            running = pool.submit(self.ssh, host, line, 200)
            self.say(host, f"rm -f {stop}; sleep 1")
            yield result
            self.say(host, f"touch {stop}")
            done = running.result()
        assert done.returncode == 0, done.stderr
        result.update(json.loads(done.stdout))

    def domains(self, host: str) -> dict[str, str]:
        """Give the guests of a host with their states."""
        said = self.say(host, "virsh domstats --state")
        return dict(re.findall(r"Domain: '(.*)'\n\s+state.state=(\d+)", said))

    def files(self, host: str) -> list[str]:
        """Give the disks and seeds of a host."""
        return self.say(host, f"cd {POOL}; ls -d *.* || true").split()

    def migrate(self, number: int, to: str, *options: str, fails: bool = False) -> str:
        """Move a machine."""
        return self.play("migrate", "-e", f"machine=exp-{number}", "-e", f"to={to}", *options, fails=fails)
