# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that does nothing, on one host and on ten: agents, Ansible over ssh, and Ansible with Mitogen, side by side.

All on loopback of this machine, in turn, round after round. Agents: TLS, signatures, from the agent that asks. Ansible:
`ansible.builtin.ping` within a play that goes on, connections there and the first task not counted, OpenSSH with
ControlPersist, pipelining, a fork for each host; the time of a task is that from its start to the start of the next.
Mitogen comes from the package index into the cache folder; what can't be had says so in its row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path[:0] = [str(Path(__file__).parents[1] / "contract"), str(Path(__file__).parents[2] / ".collections")]

from figures import Row, missing, row, show  # noqa: E402
from real_agents import Farm, Node, wait_for  # noqa: E402
from ssh_hosts import SshHosts  # noqa: E402
from unpacked import Unavailable, cache, last_line  # noqa: E402

HOSTS = 10
ROUNDS = 3
ASKED = {1: 100, HOSTS: 100}
"""So many tasks of agents a round, by how many hosts they are for."""
PLAYED = {1: 10, HOSTS: 5}
AIMS = {1: 2.0, HOSTS: 5.0}
OURS = "agents"
MITOGEN = "0.3.54"
PLAIN = {"ANSIBLE_STRATEGY": "linear"}
CONFIG = """\
[defaults]
forks = {hosts}
gathering = explicit
host_key_checking = False
interpreter_python = {python}
retry_files_enabled = False
stdout_callback = task_times
callback_plugins = {here}
local_tmp = {folder}/tmp
[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=60s
control_path_dir = {folder}/cp
"""

Times = dict[int, list[float]]


def main() -> int:
    names = [f"n{number:02}" for number in range(HOSTS + 1)]
    links = {names[0]: names[1:]} | {name: [names[0]] for name in names[1:]}
    took: dict[str, Times] = {}
    absent: dict[str, str] = {}
    with TemporaryDirectory() as home, ExitStack() as stack:
        folder = Path(home)
        ways: dict[str, dict[str, str]] = {}
        try:
            hosts = stack.enter_context(SshHosts(folder / "ssh", names[1:]))
            ways["Ansible"] = PLAIN
            ways["Mitogen"] = mitogen()
        except Unavailable as error:
            absent = {way: str(error) for way in ("Ansible", "Mitogen") if way not in ways}
        farm = Farm(folder, links, ["https://127.0.0.1:1"])
        stack.callback(farm.end)
        farm.configure(lambda _node: {})
        farm.start()
        first = farm.nodes[names[0]]
        wait_for(lambda: len(first.ask("status")[0]["reachable"]) == HOSTS, 120)
        for _round in range(ROUNDS):
            _add(took, OURS, {count: asked(first, names[1 : count + 1], ASKED[count]) for count in ASKED})
            for way, environment in list(ways.items()):
                try:
                    _add(took, way, played(hosts, environment, folder))
                except Unavailable as error:
                    absent[way] = str(error)
                    del ways[way]
    show([line for count in ASKED for line in rows(count, took, absent)])
    return 0


def asked(node: Node, peers: list[str], times: int) -> list[float]:
    """Give the milliseconds of each task at these peers: signed, answered and checked."""
    took = []
    for _time in range(times):
        *answers, whole = node.ask("ping", peers=peers)
        if wrong := [answer["error"] for answer in answers if "error" in answer]:
            sys.exit(f"a task was not answered: {wrong[0]}")
        took.append(float(whole["took_ms"]))
    return took


def played(hosts: SshHosts, environment: dict[str, str], folder: Path) -> Times:
    """Run a play for one host and one for all, and give the milliseconds of each of their tasks but the first."""
    config, times = folder / "ansible.cfg", folder / "times.json"
    here = Path(__file__).parent
    config.write_text(CONFIG.format(hosts=HOSTS, python=sys.executable, folder=folder, here=here))
    book = folder / "play.json"
    book.write_text(json.dumps([_play(hosts.names[:count], PLAYED[count] + 1) for count in PLAYED]))
    times.unlink(missing_ok=True)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(hosts.inventory), str(book)],
        env={**clean, "ANSIBLE_CONFIG": str(config), "TASK_TIMES": str(times), **environment},
        check=False, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = json.loads(times.read_text()) if times.exists() else {"wrong": []}
    if done.returncode or said["wrong"]:
        raise Unavailable(" ".join([*said["wrong"][:1], last_line(done.stderr or done.stdout)]))
    return {count: _between(play) for count, play in zip(PLAYED, said["plays"], strict=True)}


def _play(names: list[str], tasks: int) -> dict[str, object]:
    return {"hosts": ",".join(names), "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}] * tasks}


def _between(begun: list[float]) -> list[float]:
    """Give the milliseconds from each task's beginning to the next, but for the first task, which connects."""
    return [1000 * (late - early) for early, late in pairwise(begun[1:])]


def mitogen() -> dict[str, str]:
    """Give the environment in which Ansible uses Mitogen."""
    place = cache() / f"mitogen-{MITOGEN}"
    if not place.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place)]
        done = subprocess.run([*pip, f"mitogen=={MITOGEN}"], check=False, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"Mitogen can't be had: {last_line(done.stderr)}")
    strategies = place / "ansible_mitogen" / "plugins" / "strategy"
    return {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(strategies)}


def rows(count: int, took: dict[str, Times], absent: dict[str, str]) -> list[Row]:
    where = f"on {count} host{'s' if count > 1 else ''}"
    found = {
        way: row(f"{where}: {way}", "ms", times[count], AIMS[count] if way == OURS else None)
        for way, times in took.items()
    }
    ours = found[OURS]
    factors = [
        row(f"{where}: {way} / agents", "x", [theirs["median"] / ours["median"]], None)
        for way, theirs in found.items()
        if theirs is not ours
    ]
    return [*found.values(), *factors, *(missing(f"{where}: {way}", why) for way, why in absent.items())]


def _add(took: dict[str, Times], way: str, more: Times) -> None:
    for count, times in more.items():
        took.setdefault(way, {}).setdefault(count, []).extend(times)


if __name__ == "__main__":
    sys.exit(main())
