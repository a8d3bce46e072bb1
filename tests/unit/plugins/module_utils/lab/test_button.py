# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.button import press

if TYPE_CHECKING:
    from pathlib import Path


def test_under_qemu_it_is_pressed_through_qmp(tmp_path: Path) -> None:
    heard = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "qmp"))
        server.listen()
        server.settimeout(5)

        def answer() -> None:
            with server.accept()[0] as connection, connection.makefile("rw", encoding="utf-8") as lines:
                lines.write('{"QMP": {}}\n')
                lines.flush()
                for line in lines:
                    heard.append(json.loads(line)["execute"])
                    lines.write('{"return": {}}\n')
                    lines.flush()

        thread = threading.Thread(target=answer)
        thread.start()
        press("qemu", tmp_path)
        thread.join()
    assert heard == ["qmp_capabilities", "system_powerdown"]


def test_under_user_mode_linux_it_is_ctrl_alt_del(tmp_path: Path) -> None:
    (tmp_path / "n" / "n").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as console:
        console.bind(str(tmp_path / "n" / "n" / "mconsole"))
        console.settimeout(5)
        press("uml", tmp_path / "n")
        request = console.recv(4096)
    assert struct.unpack("=III", request[:12]) == (0xCAFEBABE, 2, 3)
    assert request[12:].rstrip(b"\0") == b"cad"


@pytest.mark.parametrize("provider", ["uml", "qemu"])
def test_a_deaf_node(tmp_path: Path, provider: str) -> None:
    with pytest.raises(OkiagariError, match=r"can't be asked to shut down \(.*No such file.*\): use state=killed"):
        press(provider, tmp_path)


def test_a_provider_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(OkiagariError, match=r"can't be asked to shut down \(provider ''\): use state=killed"):
        press("", tmp_path)
