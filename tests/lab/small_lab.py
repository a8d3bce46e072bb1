# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small lab of a test's own, beside whatever lab is up, and how to look for what it left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.okiagari.testbed.plugins.module_utils.lab import LabPlan, plan_lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import Lab
from ansible_collections.okiagari.testbed.plugins.module_utils.target.lab_host import places_of
from ansible_collections.okiagari.testbed.plugins.module_utils.target.pack import install
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROJECT = Path(__file__).resolve().parents[2]
TESTBEDS = Path(__file__).parent / "testbeds"
AnyLab = TypeVar("AnyLab", bound="SmallLab")
SETTINGS = PROJECT / "inventory" / "lab" / "group_vars" / "all" / "lab.yml"


class SmallLab:
    """A lab below the folder `state`, by default of two routers, `a-r1` and `x`. Every command has a time limit.

    `prefix` starts the commands, as another user for example. `testbed` is one of those beside the tests.
    """

    def __init__(
        self, state: Path, name: str = "one", prefix: Sequence[str] = (), testbed: str = "small", **environment: str
    ) -> None:
        self.lab = Lab(state / "okiagari" / "labs" / name)
        self.inventory = TESTBEDS / testbed / "testbed.yml"
        self.testbed: dict[str, Any] = load(self.inventory).to_dict()
        self.plan: LabPlan = plan_lab(self.testbed)
        self.nodes = [node.name for node in self.plan.nodes]
        self._prefix = list(prefix)
        self._namespaces: set[str | None] = set()
        self.environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "OKIAGARI_LAB_NAME": name,
            "OKIAGARI_PROVIDER": "uml",
            "XDG_STATE_HOME": str(state),
            **environment,
        }

    def command(self, playbook: str, *arguments: str) -> list[str]:
        """Give the command line of a playbook, of the collection or by its path, against this lab."""
        program = Path(sys.executable).with_name("ansible-playbook")
        path = playbook if playbook.endswith(".yml") else str(PROJECT / "playbooks" / f"{playbook}.yml")
        where = ["-i", str(self.inventory), "-e", f"@{SETTINGS}", path]
        return [*self._prefix, str(program), *where, *arguments]

    def play(self, playbook: str, *arguments: str, fails: bool = False, timeout: float = 300) -> str:
        """Run a playbook, and give what it says."""
        done = self._run(self.command(playbook, *arguments), timeout)
        self._namespaces.add(self.namespace())
        assert bool(done.returncode) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def ssh(self, node: str, command: str, timeout: float = 15) -> subprocess.CompletedProcess[str]:
        """Run a shell command on a node, over a connection of its own."""
        directory = self.lab.directory
        options = [
            f"ProxyCommand={directory}/connect %h %p",
            f"UserKnownHostsFile={directory}/known_hosts",
            "StrictHostKeyChecking=yes",
            "ConnectTimeout=5",
            "BatchMode=yes",
        ]
        flags = [word for option in options for word in ("-o", option)]
        address = self.testbed["nodes"][node]["management"]
        argv = ["ssh", "-F", "none", "-i", f"{directory}/id_ed25519", *flags, f"root@{address}", command]
        return self._run([*self._prefix, *argv], timeout)

    def say(self, node: str, command: str, timeout: float = 60) -> str:
        """Run a shell command on a node that must succeed, and give what it prints."""
        done = self.ssh(node, command, timeout)
        assert done.returncode == 0, f"{node}: {command}: {done.stderr}"
        return done.stdout

    def program(self, command: str, request: dict[str, Any]) -> dict[str, Any]:
        """Ask the target program about the power of the lab's nodes."""
        program = install(places_of(self.lab.directory))
        argv = [sys.executable, "-I", "-S", "-B", str(program), "--lab", str(self.lab.directory), command]
        done = subprocess.run(argv, input=json.dumps(request), capture_output=True, text=True, timeout=60, check=False)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def answers(self, node: str) -> bool:
        """Say whether a node takes logins now."""
        try:
            return self.ssh(node, "true", timeout=8).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def state(self, node: str) -> str:
        """Give the state of a node as `lab_info` shows it."""
        return str(self.lab.node_state(node)["state"])

    def remains(self) -> dict[str, Any]:
        """Give what is left of the lab; also processes without its mark in any namespace that it ever had."""
        inside = [pid for pid in _processes() if _namespace_of(pid) in self._namespaces - {None}]
        found = {"by mark": self.lab.remains(), "in its namespace": [_name_of(pid) for pid in inside]}
        return {key: value for key, value in found.items() if value}

    def namespace(self) -> str | None:
        """Give the lab's network namespace."""
        anchor = self.lab.space.anchor()
        return _namespace_of(anchor) if anchor else None

    def image(self) -> Path:
        """Give the image that the node `x` was made from."""
        return cache_directory(self.environment) / str(self.lab.node_state("x")["image"])

    def _run(self, argv: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=PROJECT,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            kill_group(process)
            raise
        return subprocess.CompletedProcess(argv, process.returncode, out, err)


@contextmanager
def without_a_trace(lab: AnyLab) -> Iterator[AnyLab]:
    """Take the lab down at the end, whatever has happened to it, and see that nothing is left on the machine."""
    before = machine()
    try:
        yield lab
        lab.play("lab_down")
        assert lab.remains() == {}
        after = machine()
        others = {command: (before[command], said) for command, said in after.items() if said != before[command]}
        assert not others, f"it was otherwise on this machine before: {others}"
    finally:
        lab.lab.space.destroy()


def machine() -> dict[str, str]:
    """Give this machine's own links, namespaces with a name, routes, rules and queues."""
    commands = ["ip -br link", "ip netns", "ip route show table all", "ip rule", "tc qdisc show"]
    return {command: subprocess.check_output(command.split(), text=True, timeout=10) for command in commands}


def recap(said: str) -> dict[str, dict[str, int]]:
    """Give the last lines of a playbook's run as numbers: host to `ok`, `changed`, `failed` and so on."""
    lines = re.findall(r"^(\S+)\s+: (ok=.*)$", said, re.MULTILINE)
    return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)} for host, line in lines}


def changed(said: str) -> set[str]:
    """Give the hosts on which a playbook changed anything."""
    assert recap(said), said
    return {host for host, counts in recap(said).items() if counts["changed"]}


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill a process that leads a session, with all that it has started there."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.communicate()


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _namespace_of(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
