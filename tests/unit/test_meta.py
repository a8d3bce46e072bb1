# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house that no other tool checks."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")
ROLES = sorted(path.name for path in (ROOT / "roles").glob("*") if path.is_dir())
USERS_OF_MODULES = ("playbooks", "roles", "scenarios", "tests/lab")

# Whoever adds a host here has thought about why a reader, or the lab's recipe, needs it.
HOSTS = {"deb.debian.org", "docs.ansible.com", "www.gnu.org", "www.w3.org"}
HOSTS_FOR_EXAMPLES = re.compile(r"localhost|[\d.]+|\[.*|([\w-]+\.)*example(\.(com|net|org))?|.*[{}$<>%].*|\.*")


@cache
def tracked() -> tuple[Path, ...]:
    """The files that git knows or would take, as far as they exist."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def load(path: Path) -> Any:
    return yaml.safe_load(text(path)) if path.exists() else {}


def named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("module", MODULES)
def test_each_module_has_a_unit_test(module: str) -> None:
    tests = [
        *(ROOT / "tests/unit/plugins/modules").glob("test_*.py"),
        *(ROOT / "tests/unit/plugins/action").glob("test_*.py"),
    ]
    imported = re.compile(rf"\bimport\b[^\n]*\b{module}\b|^    {module},$|okiagari\.testbed\.{module}\b", re.MULTILINE)
    assert any(path.stem == f"test_{module}" or imported.search(text(path)) for path in tests)


@pytest.mark.parametrize("module", MODULES)
def test_each_module_is_used_for_real(module: str) -> None:
    users = [path for path in tracked() if str(path.relative_to(ROOT)).startswith(USERS_OF_MODULES)]
    pattern = re.compile(rf"\bokiagari\.testbed\.{module}\b")
    assert any(pattern.search(text(path)) for path in users), f"no playbook, role, scenario or lab test uses {module}"


def test_the_action_group_names_each_module() -> None:
    assert load(ROOT / "meta/runtime.yml")["action_groups"]["all"] == MODULES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_declares_what_it_takes(role: str) -> None:
    folder = ROOT / "roles" / role
    specs = load(folder / "meta/argument_specs.yml")
    assert specs, "no meta/argument_specs.yml"
    options = specs["argument_specs"]["main"].get("options") or {}
    optional = {name for name, option in options.items() if not option.get("required")}
    assert optional == set(load(folder / "defaults/main.yml") or {})
    assert all(name.startswith((f"{role}_", "testbed")) for name in options)


def test_each_program_carries_its_licence() -> None:
    programs = [path for path in tracked() if path.suffix in {".py", ".sh"} or text(path).startswith("#!")]
    assert not named([path for path in programs if "SPDX-License-Identifier: GPL-3.0-or-later" not in text(path)[:600]])


def test_only_well_known_hosts_are_named() -> None:
    found = {
        (str(path.relative_to(ROOT)), host)
        for path in tracked()
        if path.name != "LICENSE"
        for host in re.findall(r"(?:https?|ftp|git)://([^/\s\"'`)>:]*)", text(path))
        if host not in HOSTS and not HOSTS_FOR_EXAMPLES.fullmatch(host)
    }
    assert not found


def test_packages_come_from_wherever_the_user_chose() -> None:
    # The classes of one letter keep this file from naming them itself.
    option = re.compile(r"--(extra-)?index-ur[l]|--find-link[s]|PIP_(EXTRA_)?INDE[X]|PIP_FIND_LINK[S]")
    assert not named([path for path in tracked() if option.search(text(path))])


def test_no_plugin_is_newer_than_the_collection() -> None:
    def numbers(version: str) -> list[int]:
        return [int(part) for part in version.split(".")]

    version = load(ROOT / "galaxy.yml")["version"]
    newer = [
        (str(path.relative_to(ROOT)), added)
        for path in tracked()
        if path.is_relative_to(ROOT / "plugins")
        for added in re.findall(r"version_added: [\"']?([\d.]+)", text(path))
        if numbers(added) > numbers(version)
    ]
    assert not newer


def test_the_changelog_ends_with_the_present_version() -> None:
    released = load(ROOT / "changelogs/changelog.yaml").get("releases", {})
    version = load(ROOT / "galaxy.yml")["version"]
    assert version in released or list((ROOT / "changelogs/fragments").glob("*.yml"))


def test_the_lab_asks_for_each_system_package_once() -> None:
    lines = [line.split(maxsplit=1) for line in text(ROOT / "scripts/system-packages.txt").splitlines() if line]
    packages = [name for name, why in lines if name != "#"]
    assert len(packages) == len(set(packages))
    assert all(why.startswith("# ") for name, why in lines if name != "#")
