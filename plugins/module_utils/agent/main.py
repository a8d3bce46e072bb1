# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's commands: `run`, which systemd starts, `supervise SERVICE`, and for people `ask` and `feed`."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadValue, OkiagariError
from ..logpool.entries import SEVERITIES
from ..values import choice, from_json
from .client import RUN, ask
from .config import read_config
from .feed import Feed, Told
from .supervise import Supervision
from .vote_file import VoteFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Config, Service

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
    vm = commands.add_parser(
        "vm", help="run the guest that a service is, from its newest state: a supervisor starts it"
    )
    vm.add_argument("service")
    keep = commands.add_parser("keep", help="keep this host's replicas of guests: the agent starts it")
    for command in (run, supervise, begin, vm, keep):
        command.add_argument("--config", type=Path, default=CONFIG)
    asking = commands.add_parser("ask", help="ask this host's agent: status, query, follow, election, hand_over ...")
    asking.add_argument("op")
    asking.add_argument("values", nargs="*", metavar="key=value")
    asking.add_argument("--run", type=Path, default=RUN, dest="folder")
    _add_feed(commands.add_parser("feed", help="put the lines of standard input into the log: PROGRAM 2>&1 | ... feed"))
    asked = parser.parse_args(arguments)
    try:
        does = {
            "run": _run,
            "supervise": _supervise,
            "begin": _begin,
            "ask": _ask,
            "feed": _feed,
            "vm": _vm,
            "keep": _keep,
        }
        return does[asked.command](asked)
    except OkiagariError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _run(asked: argparse.Namespace) -> int:
    config = read_config(asked.config)
    # This very program, however it was started.
    program = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv[1:])]
    asyncio.run(_be_agent(config, [*program, "keep", "--config", str(asked.config)]))
    return 0


def _service(asked: argparse.Namespace) -> tuple[Config, Service]:
    config = read_config(asked.config)
    return config, config.services[choice(config.services, "service")(asked.service)]


async def _be_agent(config: Config, keep: Sequence[str]) -> None:
    from .agent import Agent

    agent = Agent(config, keep)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, agent.stop)
    await agent.run()


def _supervise(asked: argparse.Namespace) -> int:
    config, service = _service(asked)
    Supervision(service, config.run, cgroup=config.cgroup).run()
    return 0


def _vm(asked: argparse.Namespace) -> int:
    from .vm import ordered, run, waiting

    config, service = _service(asked)
    with waiting(config, service) as waits:
        order = ordered(sys.stdin, service, waits)
        # The service may have been described anew meanwhile.
        return run(*_service(asked), order, waits) if order else 0


def _keep(asked: argparse.Namespace) -> int:
    from .keeping import run

    return run(read_config(asked.config), sys.stdin.buffer, sys.stdout.buffer)


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


def _add_feed(feed: argparse.ArgumentParser) -> None:
    forms = feed.add_mutually_exclusive_group()
    for form, what in (
        ("json", "lines are JSON or key=value, whose types are kept; others are text"),
        ("syslog", "lines are those of syslog (RFC 5424 or older)"),
        ("journal", "lines are those of journalctl --output=json"),
    ):
        forms.add_argument(f"--{form}", action="store_const", dest="form", const=form, default="text", help=what)
    feed.add_argument("--source", default="feed", help="what tells it, where a line doesn't say")
    feed.add_argument(
        "--trace", default="", help="joins these events with others, where a line has no trace of its own"
    )
    feed.add_argument(
        "--important", choices=(*SEVERITIES, "none"), default="crit", metavar="SEVERITY",
        help="from which severity on an event is kept on every host's disk: emerg ... debug, or none (default: crit)",
    )  # fmt: skip
    feed.add_argument(
        "--patience", type=float, default=30.0, metavar="SECONDS", help="how long lines wait for an agent that is away"
    )
    feed.add_argument("--run", type=Path, default=RUN, dest="folder")


def _feed(asked: argparse.Namespace) -> int:
    host = socket.gethostname()
    told = Told(asked.form, asked.source, asked.trace, asked.important, host)
    feed = Feed(told, asked.folder, f"feed/{secrets.token_hex(8)}", _say, patience_s=asked.patience)
    signal.signal(signal.SIGTERM, lambda *_said: feed.backlog.end())
    if not sys.stdin.isatty():
        # Ctrl-C reaches the program too, whose last words are to be in the log.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    feed.run(sys.stdin.buffer)
    _say(f"{feed.told} events told, {feed.lost} lost")
    return 1 if feed.lost else 0


def _say(text: str) -> None:
    sys.stderr.write(f"okiagari-agent: {text}\n")


def _pair(said: str) -> tuple[str, object]:
    key, sign, value = said.partition("=")
    if not sign:
        raise BadValue(f"{said} is not of the form key=value")
    try:
        return key, from_json(value)
    except BadValue:
        return key, value
