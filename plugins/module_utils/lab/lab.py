# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab itself: network, nodes and keys of one lab, brought to a plan."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..runner import Runner, json_output
from .node import LabNode, nodes_of, write_private
from .priority import urgently
from .qemu import Qemu, kvm_boots
from .seed import seed_disk
from .space import MARK, NODE_MARK, LabSpace
from .uml import Uml

if TYPE_CHECKING:
    from .plan import LabPlan, NodePlan
    from .provider import Provider

_TUN = Path("/dev/net/tun")
_PLAIN = re.compile(r"[A-Za-z0-9_@+./-]+")
_LONGEST_SOCKET = 107
_PROGRAMS = {"ip": "iproute2", "nc": "netcat-openbsd", "ssh-keygen": "openssh-client", "unshare": "util-linux"}


class Lab:
    """One lab in one directory. Reads and acts; every reading method is safe in check mode."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.space = LabSpace(directory)

    def missing_network(self, plan: LabPlan) -> list[str]:
        """Say which bridges, taps and files of the plan aren't there yet."""
        have = self._links() if self.space.anchor() else set()
        want = [*plan.bridges, *(tap.name for node in plan.nodes for tap in node.taps)]
        missing = [link for link in want if link not in have]
        missing += [file for file in ("id_ed25519", "host_key", "known_hosts") if not (self.directory / file).exists()]
        keeper = self.space.keeper()
        # The way in leads through the keeper: when that was killed, its script is worth nothing.
        if keeper is None or _read_text(self.directory / "connect") != self._connect_script(keeper):
            missing.append("connect")
        return missing

    def make_network(self, plan: LabPlan) -> None:
        """Make the namespace, its bridges and taps, and the keys; keep what is there."""
        self._refuse_directory(plan)
        if not os.access(_TUN, os.R_OK | os.W_OK):
            raise OkiagariError(
                f"no access to {_TUN}: run as root, or 'chmod 0666 {_TUN}' (modprobe tun if it isn't there)"
            )
        missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
        if missing:
            raise OkiagariError(f"the lab needs Debian packages that are missing: apt-get install {' '.join(missing)}")
        keeper = self.space.create()
        have = self._links()
        lines = ["link set lo up"]
        for bridge in plan.bridges:
            if bridge not in have:
                lines += [
                    f"link add {bridge} type bridge forward_delay 0 ageing_time 0",
                    f"link set {bridge} addrgenmode none",
                    f"link set {bridge} up",
                ]
        if plan.bridges[0] not in have:
            lines.append(f"address add {plan.gateway} dev {plan.bridges[0]}")
        for node in plan.nodes:
            for tap in node.taps:
                if tap.name not in have:
                    lines.append(f"tuntap add {tap.name} mode tap")
                    lines.append(f"link set {tap.name} alias {node.name}:{tap.guest}")
                    lines.append(f"link set {tap.name} mtu {tap.mtu} master {tap.bridge} addrgenmode none")
                    lines.append(f"link set {tap.name} up")
        _check(self.space, ["ip", "-batch", "-"], "\n".join(lines) + "\n")
        self._make_keys(plan)
        connect = self.directory / "connect"
        connect.write_text(self._connect_script(keeper))
        connect.chmod(0o700)

    def remains(self) -> dict[str, Any]:
        """Give what is left of the lab on this machine; empty when nothing is."""
        found = {
            "directory": str(self.directory) if self.directory.exists() else None,
            "processes": sorted(set(self.space.processes().values())),
        }
        return {key: value for key, value in found.items() if value}

    def node(self, name: str) -> LabNode:
        """Give one node, whether or not it is there."""
        return LabNode(self.space, name)

    def node_state(self, name: str) -> dict[str, Any]:
        """Give what is known of one node, first its `state`: absent, stopped, starting, running or paused."""
        node = self.node(name)
        pids = self.space.node_processes(name)
        record = node.record
        return {
            "state": node.state(pids),
            "provider": record.get("provider"),
            "fingerprint": record.get("fingerprint"),
            "image": record.get("image"),
            "pid": pids[0] if pids else None,
            "console": str(node.directory / "console.log"),
        }

    def start(self, node: NodePlan, provider: Provider) -> None:
        """Start a node, making its disk and seed if it has none; an existing disk is kept."""
        self.space.enter([])
        directory = self.node_directory(node.name)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (directory / "node.json").exists():
            for command in provider.prepare(node, directory):
                _check_host(command)
        for disk in node.disks:
            _make_disk(directory / f"{disk.name}.raw", disk.size_mib)
        for script, text in provider.scripts(node).items():
            (directory / script).write_text(text)
            (directory / script).chmod(0o700)
        write_private(directory / "seed", seed_disk({**node.files, **provider.files(node)}, self._private_files()))
        self.node(node.name).switch_on(
            {
                "provider": provider.name,
                "fingerprint": node.fingerprint,
                "image": provider.image.name,
                "command": [*urgently(node.kind, int(ip_address(node.management))), *provider.command(node, directory)],
                "environment": {"TMPDIR": str(_fast_directory(directory))},
            }
        )

    def wait_ready(self, name: str, timeout: float) -> None:
        """Wait until a node says on its console that it takes logins."""
        node = self.node(name)
        console = node.directory / "console.log"
        deadline = time.monotonic() + timeout
        seen = time.monotonic()
        while not node.ready:
            now = time.monotonic()
            if now > deadline:
                raise OkiagariError(f"{name} is not ready after {timeout:.0f} s: see its console, {console}")
            if self.space.node_processes(name):
                seen = now
            # A process that is just executing another program shows no environment for a moment.
            elif now - seen > 2:
                raise OkiagariError(f"{name} died while starting: see its console, {console}")
            time.sleep(0.2)

    def stop(self, name: str, timeout: float) -> None:
        """Shut a node down in order; `OkiagariError` when it doesn't within `timeout` seconds."""
        self.node(name).shut()
        deadline = time.monotonic() + timeout
        while self.space.node_processes(name):
            if time.monotonic() > deadline:
                raise OkiagariError(f"{name} doesn't shut down within {timeout:.0f} s: use state=killed")
            time.sleep(0.1)

    def pause(self, name: str, stop: bool) -> None:
        """Freeze a node, or let it go on."""
        self.node(name).pause(stop)

    def node_directory(self, name: str) -> Path:
        """Give where a node's disk, seed and console are."""
        return self.node(name).directory

    def nodes(self) -> list[str]:
        """Give the nodes that the lab has on disk."""
        return nodes_of(self.space)

    def _links(self) -> set[str]:
        return {link["ifname"] for link in json_output(self.space, ["ip", "-json", "link", "show"])}

    def _make_keys(self, plan: LabPlan) -> None:
        for name, comment in (("id_ed25519", "okiagari lab user"), ("host_key", "okiagari lab hosts")):
            if not (self.directory / name).exists():
                _check_host(
                    ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(self.directory / name)]
                )
        host_key = (self.directory / "host_key.pub").read_text().rsplit(" ", 3)[0]
        known = "".join(f"{node.management} {host_key}\n" for node in plan.nodes)
        (self.directory / "known_hosts").write_text(known)

    def _private_files(self) -> dict[str, str]:
        return {
            "etc/ssh/ssh_host_ed25519_key": (self.directory / "host_key").read_text(),
            "etc/ssh/ssh_host_ed25519_key.pub": (self.directory / "host_key.pub").read_text(),
            "root/.ssh/authorized_keys": (self.directory / "id_ed25519.pub").read_text(),
        }

    def _connect_script(self, keeper: int) -> str:
        """Give the ProxyCommand of the lab's connections. It carries the lab's mark, so that it ends with the lab."""
        enter = " ".join(self.space.enter(["nc"], keeper))
        return f'#!/bin/sh\nexport {MARK}={self.directory} {NODE_MARK}=connection\nexec {enter} "$1" "$2"\n'

    def _refuse_directory(self, plan: LabPlan) -> None:
        """Kernel command lines and ssh options split at some characters, and a socket's path has an end."""
        choose_another = "choose another with XDG_STATE_HOME or OKIAGARI_LAB_NAME"
        if not _PLAIN.fullmatch(str(self.directory)):
            raise OkiagariError(
                f"the lab can't live in {self.directory}: only letters, digits and _@+./- work; {choose_another}"
            )
        longest = max(
            (self.node_directory(node.name) / node.name / "mconsole" for node in plan.nodes), key=lambda p: len(str(p))
        )
        if len(str(longest)) > _LONGEST_SOCKET:
            raise OkiagariError(
                f"the lab can't live in {self.directory}: {longest} is too long for a socket; {choose_another}"
            )


def providers(image: Path, wanted: str = "auto") -> list[Provider]:
    """Give the providers in the order of preference on this machine: KVM if it boots, UML, translation.

    Whether KVM boots is only tried where it matters for `wanted`.
    """
    if wanted != Uml.name and kvm_boots(image):
        return [Qemu(image, "kvm"), Uml(image)]
    return [Uml(image), Qemu(image, "tcg")]


def _check(runner: Runner, argv: list[str], text: str) -> None:
    done = runner.run(argv, input=text)
    if done.rc:
        raise OkiagariError(f"{' '.join(argv)}: {done.err.strip()}")


def _check_host(argv: Any) -> None:
    done = subprocess.run(list(argv), capture_output=True, text=True, check=False)
    if done.returncode:
        raise OkiagariError(f"{' '.join(argv)}: {done.stderr.strip()}")


def _fast_directory(directory: Path) -> Path:
    """UML keeps a node's memory in a file: on tmpfs it never meets a disk."""
    shared = Path("/dev/shm")  # noqa: S108
    return shared if os.access(shared, os.W_OK) else directory


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _make_disk(path: Path, size_mib: int) -> None:
    """Make an empty disk that takes no room until it is written to; keep one that is there."""
    if not path.exists():
        write_private(path, b"")
        os.truncate(path, size_mib * 1024 * 1024)
