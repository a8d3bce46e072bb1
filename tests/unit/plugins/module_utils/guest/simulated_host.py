# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A KVM host in memory: `virsh` and `qemu-img` as the core calls them. Notes what changes something."""

from __future__ import annotations

import re
import struct
from pathlib import Path


def qcow2(mib: int, backing: str = "") -> bytes:
    """Give the first bytes of a qcow2 file."""
    name = backing.encode()
    return struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 32 if name else 0, len(name), 16, mib << 20) + name


class SimulatedHost:
    """Stands for `AnsibleModule.run_command`. Guests answer the power button unless they are in `deaf`."""

    def __init__(self) -> None:
        self.definitions: dict[str, str] = {}
        self.states: dict[str, int] = {}
        self.changes: list[str] = []
        self.deaf: set[str] = set()
        self.installed = self.answering = True
        self.kvm = False
        self.fails: dict[str, str] = {}
        """What virsh says to a command instead of doing it."""

    def __call__(self, argv: list[str], data: str | None = None, **_options: object) -> tuple[int, str, str]:
        if not self.installed:
            raise FileNotFoundError(2, "No such file or directory")
        if argv[0] == "qemu-img":
            return self._qemu_img(argv)
        assert argv[:2] == ["virsh", "--quiet"]
        verb, arguments = argv[2], argv[3:]
        if not self.answering:
            return 1, "", "error: failed to connect to the hypervisor"
        if verb in self.fails:
            return 1, "", self.fails[verb]
        answer = getattr(self, "_" + verb)(arguments, data or "")
        return answer if isinstance(answer, tuple) else (0, answer, "")

    def _qemu_img(self, argv: list[str]) -> tuple[int, str, str]:
        assert argv[:5] == ["qemu-img", "create", "-q", "-f", "qcow2"]
        options, path, size = argv[5:9], Path(argv[9]), argv[10:]
        assert (options[0], options[2:]) == ("-b", ["-F", "qcow2"])
        template_mib = int.from_bytes(Path(options[1]).read_bytes()[24:32]) >> 20
        path.write_bytes(qcow2(int(size[0].rstrip("M")) if size else template_mib, options[1]))
        self.changes.append(f"disk {path.name.removesuffix('.new')}")
        return 0, "", ""

    def _domstats(self, arguments: list[str], _data: str) -> str | tuple[int, str, str]:
        assert arguments[0] == "--state"
        names = arguments[1:] or sorted(self.definitions)
        if any(name not in self.definitions for name in names):
            return 1, "", "error: failed to get domain"
        return "".join(f"Domain: '{name}'\n  state.state={self.states[name]}\n  state.reason=1\n\n" for name in names)

    def _dumpxml(self, arguments: list[str], _data: str) -> str:
        assert arguments[1:] == ["--inactive"]
        # libvirt adds what nobody has asked for, and keeps the exact version of the chipset.
        text = self.definitions[arguments[0]]
        if "<uuid>" not in text:
            text = text.replace("</name>", "</name><uuid>1-2</uuid>", 1)
        text = text.replace("</devices>", '<controller type="pci" index="0" model="pci-root"/></devices>')
        return text.replace('machine="pc"', 'machine="pc-i440fx-10.0"')

    def _domcapabilities(self, arguments: list[str], _data: str) -> tuple[int, str, str]:
        assert arguments == ["--virttype", "kvm"]
        return int(not self.kvm), "", ""

    def _define(self, _arguments: list[str], data: str) -> str | tuple[int, str, str]:
        name = re.findall("<name>(.*?)</name>", data)[0]
        if name in self.definitions and "<uuid>1-2</uuid>" not in data:
            return 1, "", f"error: operation failed: domain '{name}' already exists with uuid 1-2"
        self.changes.append(f"define {name}")
        self.definitions[name] = data
        self.states.setdefault(name, 5)
        return ""

    def _set_state(self, verb: str, name: str, state: int) -> str:
        self.changes.append(f"{verb} {name}")
        self.states[name] = state
        return ""

    def _start(self, arguments: list[str], _data: str) -> str:
        return self._set_state("start", arguments[0], 1)

    def _resume(self, arguments: list[str], _data: str) -> str:
        return self._set_state("resume", arguments[0], 1)

    def _destroy(self, arguments: list[str], _data: str) -> str:
        return self._set_state("destroy", arguments[0], 5)

    def _shutdown(self, arguments: list[str], _data: str) -> str:
        return self._set_state("shutdown", arguments[0], 1 if arguments[0] in self.deaf else 5)

    def _undefine(self, arguments: list[str], _data: str) -> str:
        self.changes.append(f"undefine {arguments[0]}")
        del self.definitions[arguments[0]], self.states[arguments[0]]
        return ""
