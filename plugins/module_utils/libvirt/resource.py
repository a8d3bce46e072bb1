# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pool or network of libvirt, compared by what its definition asks for."""

from __future__ import annotations

from typing import Any

from ..errors import OkiagariError
from ..runner import Runner, output
from .definition import extract, parse

_PREFIX = {"pool": "pool", "network": "net"}


class Resource:
    """A persistent, running, automatically started pool or network. `xml` is its wanted definition."""

    def __init__(self, runner: Runner, kind: str, name: str, xml: str | None) -> None:
        self._runner, self._kind, self._name, self._xml = runner, kind, name, xml
        if xml is not None and parse(xml).findtext("name") != name:
            raise OkiagariError(f"the definition's <name> must be {name}")

    def read(self) -> dict[str, Any]:
        """Give definition, `active` and `autostart` as far as the wish speaks of them; empty when it isn't there.

        A host without a running libvirt has no resources.
        """
        done = self._virsh("dumpxml", self._name, "--inactive")
        if done is None:
            return {}
        info = self._virsh("info", self._name) or ""
        states = {
            key.strip().lower(): value.strip()
            for key, _colon, value in (line.partition(":") for line in info.splitlines())
        }
        return {
            "xml": extract(parse(done), parse(self._xml)) if self._xml else done,
            "active": states.get("state", states.get("active")) in ("running", "yes"),
            "autostart": states.get("autostart") == "yes",
        }

    def want(self) -> dict[str, Any]:
        """Give what `read` shows once the wish is true."""
        wanted = parse(self._xml or "")
        return {"xml": extract(wanted, wanted), "active": True, "autostart": True}

    def create(self) -> None:
        """Define, start and mark for automatic start."""
        have = self.read()
        if have.get("xml") != self.want()["xml"]:
            if have.get("active"):
                raise OkiagariError(
                    f"{self._kind} {self._name} is in use with another definition: "
                    f"stop it (virsh {_PREFIX[self._kind]}-destroy {self._name}) when no guest needs it, then run again"
                )
            self._do("define", "/dev/stdin", text=self._xml)
        if not have.get("active"):
            self._do("start", self._name)
        if not have.get("autostart"):
            self._do("autostart", self._name)

    def remove(self) -> None:
        """Stop and forget it; a pool's files are kept."""
        if self.read().get("active"):
            self._do("destroy", self._name)
        self._do("undefine", self._name)

    def _virsh(self, verb: str, *arguments: str) -> str | None:
        done = self._runner.run(["virsh", "--quiet", f"{_PREFIX[self._kind]}-{verb}", *arguments])
        return None if done.rc else done.out

    def _do(self, verb: str, *arguments: str, text: str | None = None) -> None:
        argv = ["virsh", "--quiet", f"{_PREFIX[self._kind]}-{verb}", *arguments]
        if text is None:
            output(self._runner, argv)
            return
        done = self._runner.run(argv, input=text)
        if done.rc:
            raise OkiagariError(f"{' '.join(argv)}: {done.err.strip()}")
