# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the module is asked to the records that change. Pure; the registry holds its lock meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import BadInput, OkiagariError, Problem
from .allocate import allocate
from .record import leaving_in, marked, moved, released
from .request import Request, from_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .registry import Holdings


class Decision:
    """One thing that is asked of the registrar; `asked` are the options of the module.

    What doesn't depend on the records is checked when it is made. `name` is that of the project, or empty.
    """

    def __init__(self, asked: Mapping[str, Any], created: str) -> None:
        self._asked = asked
        self._created = created
        self._request: Request | None = None
        self.name = ""
        project = asked["project"]
        if asked["state"] == "present":
            if isinstance(project, str):
                message = f"there is nothing that says what {project} asks for; name its file, such as {project}.yml"
                raise BadInput([Problem("", None, "project", message)])
            self._request = from_plain(project, asked["testbed"])
            self.name = self._request.name
        elif project is not None:
            self.name = named(project)

    def decide(self, holdings: Holdings) -> dict[str, Any]:
        """Give the records that change, empty ones for those that go."""
        if self._asked["state"] == "query":
            return {}
        self._refuse_old(holdings)
        records = holdings.records.values()
        if self._request is not None:
            return {
                self.name: allocate(
                    self._request,
                    self._asked["testbed"],
                    records,
                    self._asked["capacities"],
                    created=self._created,
                    pool=self._asked["pool"],
                )
            }
        if self._asked["state"] == "moved":
            record = moved(
                records, self._asked["machine"], self._asked["host"], self._asked["testbed"], self._asked["capacities"]
            )
            self.name = record["name"]
            return {self.name: record}
        mine = holdings.records.get(self.name, {})
        if self._asked["state"] == "absent":
            return {self.name: marked(mine)} if mine else {}
        return {self.name: released(mine)} if leaving_in(mine) else {}

    def _refuse_old(self, holdings: Holdings) -> None:
        if holdings.serial < self._asked["serial"]:
            raise OkiagariError(
                f"the registrar's records are old: a copy elsewhere has seen {self._asked['serial']} changes, "
                f"and these have seen {holdings.serial}. Name a host with the newest copy in projects_registrar"
            )


def named(project: object) -> str:
    """Give the name of the project that a request is for, or the name itself; raise `BadInput` if there is none."""
    name = project.get("project") if isinstance(project, dict) else project
    if not isinstance(name, str) or not name:
        raise BadInput([Problem("", None, "project", "must be the name of a project, or a request with one")])
    return name
