# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over a virsh that keeps its resources in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.modules import libvirt_resource
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = '<pool type="dir"><name>guests</name><target><path>/guests</path></target></pool>'
NETWORK = (
    '<network><name>site</name><forward mode="bridge">'
    '<interface dev="lan0"/><interface dev="lan1"/></forward></network>'
)
STATE = {"pool": ("State", "running", "inactive"), "net": ("Active", "yes", "no")}


class Virsh:
    """Stands for `module.run_command`. Notes what changes something."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.changes: list[list[str]] = []
        self.installed = True

    def __call__(self, argv: list[str], data: str | None = None, **_options: object) -> tuple[int, str, str]:
        if not self.installed:
            raise FileNotFoundError(2, "No such file or directory")
        assert argv[:2] == ["virsh", "--quiet"]
        prefix, verb = argv[2].split("-", 1)
        if verb not in ("dumpxml", "info"):
            self.changes.append(argv[2:])
        if verb == "define":
            assert data
            name = re.findall("<name>(.*)</name>", data)[0]
            # libvirt adds what nobody has asked for.
            resource = self.resources.setdefault(name, {"active": False, "autostart": False})
            resource["xml"] = data.replace("</name>", "</name><uuid>1-2</uuid>")
            return 0, "", ""
        if argv[3] not in self.resources:
            return 1, "", f"error: failed to get {prefix} '{argv[3]}'"
        resource = self.resources[argv[3]]
        if verb == "dumpxml":
            assert argv[4:] == ["--inactive"]
            return 0, resource["xml"], ""
        if verb == "info":
            key, *values = STATE[prefix]
            active, autostart = values[not resource["active"]], "yes" if resource["autostart"] else "no"
            return 0, f"Name:  {argv[3]}\n{key}:  {active}\nAutostart:  {autostart}\n", ""
        if verb == "undefine":
            del self.resources[argv[3]]
        else:
            resource.update(
                {"start": {"active": True}, "destroy": {"active": False}, "autostart": {"autostart": True}}[verb]
            )
        return 0, "", ""


@pytest.fixture
def virsh(monkeypatch: pytest.MonkeyPatch) -> Virsh:
    virsh = Virsh()
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.run_command", lambda module, argv, **options: virsh(argv, **options)
    )
    return virsh


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    return lambda **options: run_module(libvirt_resource.main, capsys, **options)


@pytest.mark.parametrize(
    ("kind", "prefix", "name", "xml"), [("pool", "pool", "guests", POOL), ("network", "net", "site", NETWORK)]
)
def test_life(virsh: Virsh, run: Callable[..., dict[str, Any]], kind: str, prefix: str, name: str, xml: str) -> None:
    options = {"kind": kind, "name": name}
    made = [[f"{prefix}-define", "/dev/stdin"], [f"{prefix}-start", name], [f"{prefix}-autostart", name]]
    would = run(**options, xml=xml, check=True)
    assert (would["changed"], virsh.changes) == (True, [])
    done = run(**options, xml=xml)
    assert (done["changed"], done["diff"], virsh.changes) == (True, would["diff"], made)
    assert (done["resource"]["active"], done["resource"]["autostart"]) == (True, True)
    assert not run(**options, xml=xml)["changed"]
    virsh.resources[name]["active"] = False
    assert run(**options, xml=xml)["changed"]
    assert virsh.changes == [*made, [f"{prefix}-start", name]]
    virsh.changes.clear()
    assert run(**options, state="absent", check=True)["changed"]
    assert virsh.changes == []
    gone = run(**options, state="absent")
    assert (gone["changed"], gone["resource"]) == (True, {})
    assert virsh.changes == [[f"{prefix}-destroy", name], [f"{prefix}-undefine", name]]
    assert not run(**options, state="absent")["changed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (POOL, POOL.replace("/guests<", "/other<")),
        (NETWORK, NETWORK.replace('"lan1"', '"lan2"')),
        (NETWORK, NETWORK.replace('<interface dev="lan1"/>', "")),
    ],
)
def test_another_definition(virsh: Virsh, run: Callable[..., dict[str, Any]], before: str, after: str) -> None:
    kind, prefix, name = ("pool", "pool", "guests") if before == POOL else ("network", "net", "site")
    options = {"kind": kind, "name": name}
    run(**options, xml=before)
    refused = run(**options, xml=after)
    assert refused["failed"]
    assert f"{kind} {name} is in use with another definition: stop it (virsh {prefix}-destroy {name})" in refused["msg"]
    virsh.resources[name]["active"] = False
    assert run(**options, xml=after)["changed"]
    assert not run(**options, xml=after)["changed"]


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<pool><name>other</name></pool>", "the definition's <name> must be guests"),
        ("pool", "the definition is not XML"),
    ],
)
def test_a_bad_definition(virsh: Virsh, run: Callable[..., dict[str, Any]], xml: str, message: str) -> None:
    assert message in run(kind="pool", name="guests", xml=xml)["msg"]


def test_a_host_without_libvirt(virsh: Virsh, run: Callable[..., dict[str, Any]]) -> None:
    virsh.installed = False
    assert not run(kind="pool", name="guests", state="absent")["changed"]
    assert run(kind="pool", name="guests", xml=POOL, check=True)["changed"]
    assert "virsh: No such file or directory" in run(kind="pool", name="guests", xml=POOL)["msg"]
