# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VyOS sessions over real SSH, against a simulated router that refuses what VyOS refuses."""

# pylint: disable=dangerous-default-value
from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
import pytest
from ansible_collections.okiagari.testbed.plugins.filter.vyos_lines import vyos_lines
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos import Session, VyosError, wanted
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.netmiko_channel import Login, NetmikoChannel
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.router import Router
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos.session import RELOAD

sys.path.insert(0, str(Path(__file__).parent))

from simulated_vyos import SimulatedVyos, beginnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
LAB: dict[str, Any] = load(ROOT / "inventory" / "lab" / "testbed.yml").to_dict()
TESTBED = """
plugin: okiagari.testbed.testbed
name: tryout
profiles:
  wan: {rate: 1gbit, mtu: 1600, delay: 2ms}
core:
  osaka: {number: 1}
sites:
  hiroshima: {number: 1, platform: vyos}
  kanazawa: {number: 2}
circuits:
  - {between: [{node: hiroshima, interface: eth1}, osaka], profile: wan}
  - {between: [kanazawa, osaka], profile: wan}
  - {between: [{node: hiroshima, interface: eth2}, kanazawa], profile: wan}
"""
USER, PASSWORD = "vyos", "a secret"
START = [
    "set interfaces ethernet eth0 address 172.31.0.1/22",
    "set interfaces ethernet eth9 description 'the library'",
    "set interfaces ethernet eth9 vif 12 address 192.0.2.1/24",
    "set interfaces bridge br7 stp",
    "set service ssh port 22",
    "set system config-management commit-revisions 100",
    "set system host-name vyos",
]
LINES = [
    "set interfaces ethernet eth1 mtu 1600",
    "set interfaces ethernet eth1 vif-s 101 description 'to osaka'",
    "set interfaces ethernet eth1 vif-s 101 mtu 1596",
    "set interfaces ethernet eth1 vif-s 101 vif-c 100 mtu 1500",
    "set interfaces bridge br100 member interface eth1.101.100 cost 300",
    "set interfaces bridge br100 stp",
]
SCOPES = ["interfaces ethernet eth1 vif-s 101", "interfaces bridge br{100..3999}"]
# A minute of the routers here, in seconds: long enough for a login on a busy machine.
MINUTE = 4.0


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SimulatedVyos]]:
    routers: list[SimulatedVyos] = []

    def new(lines: list[str] = START, **options: Any) -> SimulatedVyos:
        router = SimulatedVyos(lines, **{"minute": MINUTE, **options})
        router.users[USER] = PASSWORD
        routers.append(router)
        (tmp_path / "known_hosts").write_text("".join(each.known_host() for each in routers))
        return router

    yield new
    for router in routers:
        router.stop()


@pytest.fixture
def vyos(make: Callable[..., SimulatedVyos]) -> SimulatedVyos:
    return make()


@pytest.fixture
def login(tmp_path: Path) -> Callable[..., Login]:
    def new(router: SimulatedVyos, **options: Any) -> Login:
        settings = {"user": USER, "password": PASSWORD, "known_hosts": str(tmp_path / "known_hosts"), **options}
        return Login(host="127.0.0.1", port=router.port, **settings)

    return new


@pytest.fixture
def session(login: Callable[..., Login]) -> Callable[..., Session]:
    def new(router: SimulatedVyos, **options: Any) -> Session:
        how = login(router, **options)
        return Session("r1", lambda: NetmikoChannel(how), minute=router.minute)

    return new


@pytest.fixture
def configure(session: Callable[..., Session]) -> Callable[..., Router]:
    def run(
        router: SimulatedVyos, lines: list[str] = LINES, scopes: list[str] = SCOPES, confirm: int = 1, **options: Any
    ) -> Router:
        paths, ours = wanted(lines, scopes)
        with session(router) as open_session:
            job = Router(open_session, paths, ours)
            before, after = job.read(), job.want(look=False)
            if before != after:
                job.apply(confirm, options.get("save", True), options.get("reload", False))
                assert job.read() == after
        return job

    return run


def settled(router: SimulatedVyos) -> None:
    """See that no session is left in configuration mode, and nothing waits for a confirmation."""
    deadline = time.monotonic() + 5
    while router.editing and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not router.editing
    assert not router.waiting


def test_lines_are_committed_confirmed_and_saved(vyos: SimulatedVyos, configure: Callable[..., Router]) -> None:
    job = configure(vyos)
    assert {"set interfaces ethernet eth1 mtu '1600'", "set interfaces bridge br100 stp"} <= set(vyos.lines())
    assert job.applied.revert == "reload"
    assert "+ mtu 1600" in job.applied.diff
    assert "confirm" in vyos.typed
    assert vyos.saved == vyos.running
    settled(vyos)
    time.sleep(MINUTE + 1)
    assert "set interfaces ethernet eth1 mtu '1600'" in vyos.lines()


def test_a_second_run_types_nothing(vyos: SimulatedVyos, configure: Callable[..., Router]) -> None:
    first = configure(vyos)
    assert first.commands == ["set system config-management commit-confirm reload", *LINES]
    commits = vyos.commits
    vyos.typed.clear()
    job = configure(vyos)
    assert (job.commands, vyos.commits) == ([], commits)
    assert {line.split()[0] for line in vyos.typed} == {"set", "show"}
    assert "configure" not in vyos.typed


def test_stale_lines_go_and_foreign_ones_stay(vyos: SimulatedVyos, configure: Callable[..., Router]) -> None:
    stale = ["set interfaces ethernet eth1 vif-s 101 vif-c 200 mtu 1400", "set interfaces bridge br200 stp"]
    configure(vyos, [*LINES, *stale], confirm=0)
    foreign = [line for line in vyos.lines() if "eth9" in line or "br7" in line]
    job = configure(vyos, confirm=0)
    assert job.commands == [
        "delete interfaces bridge br200",
        "delete interfaces ethernet eth1 vif-s 101 vif-c 200",
    ]
    assert [line for line in vyos.lines() if "eth9" in line or "br7" in line] == foreign != []
    configure(vyos, [], confirm=0)
    left = vyos.lines()
    assert not [line for line in left if "vif-s" in line or "br100" in line]
    assert "set interfaces ethernet eth1 mtu '1600'" in left


def test_a_value_is_replaced(vyos: SimulatedVyos, configure: Callable[..., Router]) -> None:
    configure(vyos, confirm=0)
    changed = [line.replace("cost 300", "cost 400").replace("to osaka", "to otemachi") for line in LINES]
    job = configure(vyos, changed, confirm=0)
    assert "set interfaces bridge br100 member interface eth1.101.100 cost '400'" in vyos.lines()
    assert not [line for line in vyos.lines() if "300" in line or "osaka" in line]
    assert len(job.commands) == 4


def test_refused_lines_are_all_told_and_nothing_is_changed(
    vyos: SimulatedVyos, configure: Callable[..., Router]
) -> None:
    before = vyos.running
    wrong = [
        "set interfaces ethernet eth1 vif 10 vif-c 20",
        "set interfaces ethernet eth1 mtu 99999",
        "set interfaces ethernet eth1 address 10.0.0.0/24",
        "set protocols static route 10.9.0.1/24 blackhole",
        "set qos policy network-emulator slow burst 15k",
        "set interfaces ethernet eth1 disable true",
    ]
    with pytest.raises(BadInput) as caught:
        configure(vyos, [LINES[0], *wrong, LINES[1]])
    assert [problem.key for problem in caught.value.problems] == wrong
    told = f"r1: {wrong[0]}: Configuration path: interfaces ethernet eth1 vif 10 [vif-c] is not valid"
    assert told in str(caught.value)
    assert "Number is not in any of allowed ranges: 68 to 16000" in str(caught.value)
    assert vyos.running == before | beginnings([RELOAD])
    settled(vyos)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["set interfaces ethernet eth1 vif-s 101 mtu 1596"], 'Interface MTU "1596" too high'),
        (["set vrf name storage protocols bgp system-as 65001"], 'VRF "storage" table id is mandatory'),
        (
            [*LINES, "set interfaces ethernet eth1 vif-s 101 vif-c 100 address 10.0.0.1/24"],
            "it has an address assigned",
        ),
        (["set protocols bgp neighbor 192.0.2.9 description x"], "system-as number must be defined"),
        (["set interfaces ethernet eth1 vif 5", "set interfaces ethernet eth1 vif-s 5"], "used as vif and vif-s"),
    ],
)
@pytest.mark.parametrize("confirm", [0, 1])
def test_a_refused_commit_changes_nothing_and_leaves_no_timer(
    vyos: SimulatedVyos, configure: Callable[..., Router], lines: list[str], words: str, confirm: int
) -> None:
    configure(vyos, ["set system config-management commit-confirm reload"], [], 0)
    before = vyos.running
    with pytest.raises(VyosError, match=f"commit.*{words}.*Commit failed; nothing was changed"):
        configure(vyos, lines, [], confirm)
    assert vyos.running == before
    settled(vyos)
    time.sleep(0.2)


@pytest.mark.parametrize("release", ["1.5-rolling-202411080007", "1.4.0", "1.3.8"])
def test_a_cut_management_path_comes_back(
    make: Callable[..., SimulatedVyos], configure: Callable[..., Router], release: str
) -> None:
    reload = release.startswith("1.5")
    vyos = make(
        [*START, "set system config-management commit-confirm reload"] if reload else START,
        release=release,
        reload=reload,
    )
    before = vyos.running
    vyos.cut = lambda running: ("interfaces", "ethernet", "eth0", "disable") in running
    with pytest.raises(VyosError, match=r"The change was not confirmed, and r1 has taken it back"):
        configure(vyos, ["set interfaces ethernet eth0 disable"], [])
    assert vyos.running == vyos.saved == before
    assert vyos.restarts == (0 if reload else 1)
    assert "confirm" not in vyos.typed
    settled(vyos)


def test_a_router_that_does_not_come_back_is_told(
    make: Callable[..., SimulatedVyos], configure: Callable[..., Router]
) -> None:
    vyos = make([*START, "set system config-management commit-confirm reload"], minute=1.0)
    vyos.cut = lambda running: bool(vyos.commits)
    with pytest.raises(VyosError, match="has not been seen with its former configuration since; look at its console"):
        configure(vyos, ["set interfaces ethernet eth1 disable"], [])
    assert not vyos.waiting


def test_check_mode_asks_the_router_and_leaves_nothing(vyos: SimulatedVyos, session: Callable[..., Session]) -> None:
    before = vyos.running
    with session(vyos) as open_session:
        job = Router(open_session, *wanted(LINES, SCOPES))
        assert job.read() != job.want(look=True)
        assert job.applied.diff.startswith("[interfaces")
        wrong = Router(open_session, *wanted(["set interfaces ethernet eth1 vif 10 vif-c 20"], []))
        wrong.read()
        with pytest.raises(BadInput, match="is not valid"):
            wrong.want(look=True)
    assert (vyos.running, vyos.commits) == (before, 0)
    settled(vyos)


def test_somebody_else_is_committing(vyos: SimulatedVyos, configure: Callable[..., Router]) -> None:
    before = vyos.running
    vyos.locked = True
    for confirm in (0, 1):
        with pytest.raises(VyosError, match="r1 is being changed by somebody else at this moment"):
            configure(vyos, confirm=confirm)
    assert vyos.running == before
    settled(vyos)


@pytest.mark.parametrize("release", ["1.4.0", "1.3.8"])
def test_somebody_elses_change_waits_for_its_confirmation(
    make: Callable[..., SimulatedVyos], configure: Callable[..., Router], release: str
) -> None:
    vyos = make(release=release, reload=False)
    vyos.arm(10)
    with pytest.raises(VyosError, match="somebody's change waits there for its confirmation"):
        configure(vyos)
    assert vyos.commits == 0
    assert vyos.waiting
    vyos.confirm()
    settled(vyos)


def test_unsaved_changes_are_not_lost_by_a_restart(
    make: Callable[..., SimulatedVyos], configure: Callable[..., Router]
) -> None:
    vyos = make(release="1.4.0", reload=False)
    vyos.saved = frozenset()
    before = vyos.running
    with pytest.raises(VyosError, match="has changes that were never saved"):
        configure(vyos)
    assert vyos.running == before
    settled(vyos)
    with pytest.raises(VyosError, match="takes an unconfirmed change back only by a restart, and revert is reload"):
        configure(vyos, reload=True)
    settled(vyos)


def test_another_change_at_the_same_time_is_kept(vyos: SimulatedVyos, configure: Callable[..., Router]) -> None:
    threads = [
        threading.Thread(
            target=configure, args=(vyos, [f"set interfaces ethernet eth{number} description here"], [], 0)
        )
        for number in (2, 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [line for line in vyos.lines() if "here" in line] == [
        f"set interfaces ethernet eth{number} description 'here'" for number in (2, 3)
    ]


def test_a_confirmation_that_comes_too_late(vyos: SimulatedVyos, session: Callable[..., Session]) -> None:
    real = vyos.confirm

    def late() -> bool:
        time.sleep(MINUTE + 1)
        return real()

    vyos.confirm = late  # type: ignore[method-assign]
    before = vyos.running
    with session(vyos) as open_session:
        job = Router(open_session, *wanted(LINES, SCOPES))
        job.read()
        job.want(look=False)
        with pytest.raises(VyosError, match="the confirmation came too late, and the change was taken back"):
            job.apply(1, True, False)
    assert vyos.running == before | beginnings([RELOAD])
    assert vyos.saved == before


def test_logins(vyos: SimulatedVyos, login: Callable[..., Login], tmp_path: Path) -> None:
    with pytest.raises(VyosError, match="refuses the login of vyos"):
        NetmikoChannel(login(vyos, password="wrong"))
    empty = tmp_path / "nobody"
    empty.write_text("")
    with pytest.raises(VyosError, match=f"the host key of 127.0.0.1 isn't in {empty}"):
        NetmikoChannel(login(vyos, known_hosts=str(empty)))
    other = tmp_path / "other"
    key = paramiko.ECDSAKey.generate()
    other.write_text(f"[127.0.0.1]:{vyos.port} {key.get_name()} {key.get_base64()}\n")
    with pytest.raises(VyosError, match="is not the one that is known: this may be another machine"):
        NetmikoChannel(login(vyos, known_hosts=str(other)))
    with pytest.raises(VyosError, match=r"there is no file .* with known host keys"):
        NetmikoChannel(login(vyos, known_hosts=str(tmp_path / "missing")))
    assert vyos.typed == []


def test_a_key_and_a_proxy(vyos: SimulatedVyos, login: Callable[..., Login], tmp_path: Path) -> None:
    key = paramiko.RSAKey.generate(2048)
    key.write_private_key_file(str(tmp_path / "key"))
    vyos.users["ops"] = key
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import socket, sys, threading, os\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := os.read(0, 65536): s.sendall(data)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := s.recv(65536): os.write(1, data)\n"
    )
    command = f"{sys.executable} {relay} %h %p"
    channel = NetmikoChannel(
        login(vyos, user="ops", password=None, key_file=str(tmp_path / "key"), proxy_command=command)
    )
    try:
        assert "VyOS 1.5" in channel.send("show version")
    finally:
        channel.close()
    config = tmp_path / "config"
    config.write_text(f"Host 127.0.0.1\n  ProxyCommand {command}\n")
    channel = NetmikoChannel(login(vyos, ssh_config=str(config)))
    try:
        assert "hello" not in channel.send("show version")
    finally:
        channel.close()


def test_an_unreachable_router(login: Callable[..., Login], make: Callable[..., SimulatedVyos]) -> None:
    vyos = make()
    vyos.stop()
    with pytest.raises(VyosError, match="can't be reached"):
        NetmikoChannel(login(vyos))


def test_a_newer_release_is_asked_for(make: Callable[..., SimulatedVyos], session: Callable[..., Session]) -> None:
    vyos = make(release="1.3.8", reload=False)
    with session(vyos) as open_session:
        job = Router(open_session, *wanted(LINES, SCOPES))
        assert job.require("1.3").text == "1.3.8"
        with pytest.raises(VyosError, match=r"the lines are for VyOS 1.4 or later, and the router runs 1.3.8"):
            job.require("1.4")


PORTS = {"lan0": "lan0", "trunk0": "eth8"}


def rendering(testbed: dict[str, Any], name: str, part: str) -> dict[str, list[str]]:
    """Give what the router `name` of the lab is told if it runs VyOS."""
    names = [interface["name"] for interface in testbed["nodes"][name]["interfaces"]]
    ports = {each: PORTS.get(each, f"eth{number}") for number, each in enumerate(names, 1)}
    records = [{"name": "exp1", "networks": {"lan": {"vlan": 100, "sites": ["hiroshima", "kanazawa", "naist"]}}}]
    found: dict[str, list[str]] = vyos_lines(testbed, name, part, records, ports=ports)
    return found


@pytest.mark.parametrize(("name", "release"), [("hiroshima-r1", "1.4.0"), ("osaka", "1.5-rolling-202411080007")])
def test_the_labs_routers_are_taken_as_vyos(
    make: Callable[..., SimulatedVyos], configure: Callable[..., Router], name: str, release: str
) -> None:
    vyos = make(release=release, reload=False)
    started = vyos.lines()
    for part in ("qinq", "wan"):
        told = rendering(LAB, name, part)
        configure(vyos, told["lines"], told["scopes"], confirm=0)
    commits = vyos.commits
    for part in ("qinq", "wan"):
        told = rendering(LAB, name, part)
        assert configure(vyos, told["lines"], told["scopes"], confirm=0).commands == []
    assert vyos.commits == commits
    assert set(started) <= set(vyos.lines())


def test_the_roles_configure_a_vyos_router(vyos: SimulatedVyos, tmp_path: Path) -> None:
    (tmp_path / "testbed.yml").write_text(TESTBED)
    variables = {
        "ansible_host": "127.0.0.1",
        "vyos": {
            "port": vyos.port,
            "password": PASSWORD,
            "known_hosts": str(tmp_path / "known_hosts"),
            "confirm": 0,
            "ports": {"trunk0": "eth3"},
        },
    }
    folder = tmp_path / "host_vars"
    folder.mkdir()
    (folder / "hiroshima-r1.yml").write_text(json.dumps(variables))
    roles = ["okiagari.testbed.qinq_aggregation", "okiagari.testbed.wan_routing"]
    site = tmp_path / "site.yml"
    site.write_text(json.dumps([{"name": "All", "hosts": "routers", "gather_facts": False, "roles": roles}]))

    def play(playbook: Path, *arguments: str) -> str:
        program = Path(sys.executable).with_name("ansible-playbook")
        where = ["-i", str(tmp_path / "testbed.yml"), "--limit", "hiroshima-r1", str(playbook)]
        done = subprocess.run(
            [str(program), *where, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=tmp_path,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "PWD": str(tmp_path),
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout

    play(ROOT / "playbooks" / "vyos_render.yml")
    rendered = (tmp_path / "build" / "vyos" / "hiroshima-r1.txt").read_text().splitlines()
    assert vyos.typed == []
    started = vyos.lines()
    play(site, "--check", "--diff")
    assert (vyos.commits, vyos.lines()) == (0, started)
    assert "changed=2" in play(site)
    assert "changed=0" in play(site)
    standing = {line.replace("'", "") for line in vyos.lines()}
    lines = [line for line in rendered if line.startswith("set ")]
    assert len(lines) > 100
    assert [line for line in lines if not any(each.startswith(line.replace("'", "")) for each in standing)] == []
