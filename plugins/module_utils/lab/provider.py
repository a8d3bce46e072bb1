# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a provider of lab nodes must be able to do. One provider is one file."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .plan import NodePlan


class Provider(abc.ABC):
    """Turns a planned node into a process. It renders; starting, watching and killing are the lab's."""

    name: ClassVar[str]

    def __init__(self, image: Path) -> None:
        self.image = image

    @abc.abstractmethod
    def missing(self) -> list[str]:
        """Say what this machine lacks to run this provider, one sentence each; empty when nothing."""

    @abc.abstractmethod
    def prepare(self, node: NodePlan, directory: Path) -> list[Sequence[str]]:
        """Give the commands that make the node's disk in `directory`, to be run once."""

    def scripts(self, node: NodePlan) -> dict[str, str]:  # noqa: ARG002
        """Give programs that the node's directory must hold: name to text."""
        return {}

    def files(self, node: NodePlan) -> dict[str, str]:  # noqa: ARG002
        """Give what a node's seed must hold for this provider alone: path below `/` to text."""
        return {}

    @abc.abstractmethod
    def command(self, node: NodePlan, directory: Path) -> list[str]:
        """Give the command line of the running node. The console goes to its standard output."""


def choose(wanted: str, providers: Sequence[Provider]) -> Provider:
    """Give the provider called `wanted`, or with `auto` the first one that this machine can run.

    Raise `OkiagariError` with all that is missing when there is none.
    """
    lacks = {provider.name: provider.missing() for provider in providers if wanted in ("auto", provider.name)}
    for provider in providers:
        if lacks.get(provider.name) == []:
            return provider
    reasons = [f"{name}: {reason}" for name, reasons in lacks.items() for reason in reasons]
    raise OkiagariError("this machine can't run the lab:\n" + "\n".join(reasons))
