# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.storage.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Here:
    """Runs OpenSSL itself."""

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        done = subprocess.run(argv, input=input, capture_output=True, text=True, timeout=timeout, check=False)
        return Completed(done.returncode, done.stdout, done.stderr)


def test_a_certificate_is_good_for_a_name_and_for_an_address(tmp_path: Path) -> None:
    Authority(Here(), tmp_path, ["a-kvm1", "172.30.4.201"]).create()
    for name, option in (("a-kvm1", "-checkhost"), ("172.30.4.201", "-checkip")):
        argv = ["openssl", "x509", "-noout", option, name, "-in", str(tmp_path / f"{name}.pem")]
        assert "does match" in subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "172.30.4.201.key", "172.30.4.201.pem", "a-kvm1.key", "a-kvm1.pem", "ca.key", "ca.pem",
    ]  # fmt: skip
