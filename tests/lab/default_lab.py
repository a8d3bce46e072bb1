# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The default lab as tests see it: commands on nodes, the target program, the nodes' power."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.okiagari.testbed.plugins.module_utils.lab import plan_lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.image import cache_directory
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import Lab, providers
from ansible_collections.okiagari.testbed.plugins.module_utils.target.pack import bundle, name_of
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

PROJECT = Path(__file__).parents[2]
_MISSING = 99
"""How a shell says that the target program is not there."""


class DefaultLab:
    """The running lab. Every command has a time limit: a node without power answers nobody."""

    def __init__(self) -> None:
        home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        self.testbed: dict[str, Any] = load(PROJECT / "inventory" / "lab" / "testbed.yml").to_dict()
        self.lab = Lab(Path(home) / "okiagari" / "labs" / os.environ.get("OKIAGARI_LAB_NAME", self.testbed["name"]))
        self.plan = plan_lab(self.testbed)
        self._bundle = bundle()
        self._program = f"/run/okiagari/test-{name_of(self._bundle)}"

    def ssh(
        self, node: str, command: str, stdin: bytes = b"", timeout: float = 20
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a shell command on a node, over a connection of its own."""
        directory = self.lab.directory
        options = {
            "ProxyCommand": f"{directory}/connect %h %p",
            "UserKnownHostsFile": f"{directory}/known_hosts",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "5",
            "BatchMode": "yes",
            "ControlMaster": "auto",
            "ControlPath": f"{directory}/t-%h",
            "ControlPersist": "20",
            "ServerAliveInterval": "2",
            "ServerAliveCountMax": "2",
        }
        flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        address = self.testbed["nodes"][node]["management"]
        argv = ["ssh", "-F", "none", "-i", f"{directory}/id_ed25519", *flags, f"root@{address}", command]
        return subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False)

    def say(self, node: str, command: str) -> str:
        """Run a shell command on a node that must succeed, and give what it prints."""
        done = self.ssh(node, command)
        if done.returncode:
            raise AssertionError(f"{node}: {command}: {done.stderr.decode()}")
        return done.stdout.decode()

    def program(self, node: str, command: str, request: Any = None) -> dict[str, Any]:
        """Ask the target program, which is laid down first where it is missing."""
        ask = f"test -f {self._program} || exit {_MISSING}; python3 {self._program} {command}"
        asked = json.dumps(request or {}).encode()
        done = self.ssh(node, ask, asked)
        if done.returncode == _MISSING:
            laid = self.ssh(node, f"mkdir -p /run/okiagari && cat > {self._program}", self._bundle)
            if laid.returncode:
                raise AssertionError(f"{node}: {laid.stderr.decode()}")
            done = self.ssh(node, ask, asked)
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except json.JSONDecodeError as error:
            error.add_note(f"{node} ended with {done.returncode}: {done.stderr.decode()}")
            raise
        return answer

    def everywhere(self, command: str, request: Any = None) -> dict[str, dict[str, Any]]:
        """Ask the target program of every node, of all at once."""
        nodes = list(self.testbed["nodes"])
        ask = partial(self.program, command=command, request=request)
        with ThreadPoolExecutor() as pool:
            return dict(zip(nodes, pool.map(ask, nodes), strict=True))

    def manage(self, node: str, connected: bool) -> None:
        """Plug or unplug a node's management cable."""
        tap = self.plan.node(node).taps[0]
        bridge = ["master", tap.bridge] if connected else ["nomaster"]
        self.lab.space.run(["ip", "link", "set", tap.name, *bridge])

    def image(self, node: str) -> Path:
        """Give the folder of the image that a node was made from."""
        return cache_directory(os.environ) / str(self.lab.node_state(node)["image"])

    def boot(self, node: str) -> None:
        """Switch a node on and wait for it."""
        by_name = {provider.name: provider for provider in providers(self.image(node))}
        self.lab.start(self.plan.node(node), by_name[self.lab.node_state(node)["provider"]])
        self.lab.wait_ready(node, 120)

    def power_cut(self, node: str) -> None:
        """Cut a node's power."""
        self.lab.space.kill_node(node)

    def routed(self) -> bool:
        """Say whether every router has all its BGP and BFD sessions."""
        vrfs = 1 + sum(segment["kind"] == "l3" for segment in self.testbed["segments"].values())
        wanted = {
            name: vrfs * sum(interface["kind"] == "wan" for interface in node["interfaces"])
            for name, node in self.testbed["nodes"].items()
            if node["kind"] == "router"
        }
        ask = "vtysh -c 'show bgp vrf all ipv4 unicast summary json' -c 'show bfd peers json'"
        with ThreadPoolExecutor() as pool:
            said = pool.map(lambda name: self.ssh(name, ask).stdout, wanted)
        return all(
            (answer.count(b'"state":"Established"'), answer.count(b'"status":"up"')) == (sessions, sessions)
            for sessions, answer in zip(wanted.values(), said, strict=True)
        )
