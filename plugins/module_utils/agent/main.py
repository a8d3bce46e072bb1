# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's commands: `run`, which systemd starts, `supervise SERVICE`, and `ask` for people."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadValue, OkiagariError
from ..values import choice, from_json
from .client import RUN, ask
from .config import read_config
from .supervise import Supervision
from .vote_file import VoteFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Config

CONFIG = Path("/etc/okiagari/agent/agent.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0: it ended well, 1: it couldn't do what was asked, and has said why."""
    parser = argparse.ArgumentParser(prog="okiagari-agent", description="The resident agent of an Okiagari testbed.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="be this host's agent")
    supervise = commands.add_parser("supervise", help="run one service, by the agent's leave")
    supervise.add_argument("service")
    begin = commands.add_parser("begin", help="write the first record of votes of a service that is new at all hosts")
    begin.add_argument("service")
    for command in (run, supervise, begin):
        command.add_argument("--config", type=Path, default=CONFIG)
    asking = commands.add_parser("ask", help="ask this host's agent: status, query, follow, election, hand_over ...")
    asking.add_argument("op")
    asking.add_argument("values", nargs="*", metavar="key=value")
    asking.add_argument("--run", type=Path, default=RUN, dest="folder")
    asked = parser.parse_args(arguments)
    try:
        return {"run": _run, "supervise": _supervise, "begin": _begin, "ask": _ask}[asked.command](asked)
    except OkiagariError as error:
        sys.stderr.write(f"okiagari-agent: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(asked: argparse.Namespace) -> int:
    config = read_config(asked.config)
    asyncio.run(_be_agent(config))
    return 0


async def _be_agent(config: Config) -> None:
    from .agent import Agent

    agent = Agent(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, agent.stop)
    await agent.run()


def _supervise(asked: argparse.Namespace) -> int:
    config = read_config(asked.config)
    service = config.services[choice(config.services, "service")(asked.service)]
    Supervision(service, config.run, cgroup=config.cgroup).run()
    return 0


def _begin(asked: argparse.Namespace) -> int:
    config = read_config(asked.config)
    config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    service = choice(config.services, "service")(asked.service)
    begun = VoteFile(config.state, service).begin()
    sys.stdout.write("begun\n" if begun else "was there\n")
    return 0


def _ask(asked: argparse.Namespace) -> int:
    request = {"op": asked.op, **dict(map(_pair, asked.values))}
    for said in ask(request, asked.folder, timeout_s=3600.0 if asked.op == "follow" else 30.0):
        sys.stdout.write(json.dumps(said, indent=None if "row" in said else 2) + "\n")
        sys.stdout.flush()
    return 0


def _pair(said: str) -> tuple[str, object]:
    key, sign, value = said.partition("=")
    if not sign:
        raise BadValue(f"{said} is not of the form key=value")
    try:
        return key, from_json(value)
    except BadValue:
        return key, value
