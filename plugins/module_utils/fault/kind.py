# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of fault is: its parameters, what it needs and claims, and what it makes of the claimed state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from ..suggest import nearest
from .model import Problems, State

Reader = Callable[[object], Any]


class Kind(ABC):
    """One kind of fault, in the words of the state that back-ends read and render.

    Its undo is the claimed state as it was before, and it is verified by reading that state back: the back-end has
    nothing left to do on the way to `want`.
    """

    name: ClassVar[str]
    capability: ClassVar[str]
    parameters: ClassVar[Mapping[str, Reader]]
    optional: ClassVar[Mapping[str, Reader]] = {}

    @classmethod
    def parse(cls, where: str, params: object) -> dict[str, Any]:
        """Give `params` typed and complete. Raises `BadInput` with all that is wrong; `where` names the fault."""
        return cls.typed(where, params, cls.parameters, cls.optional)

    @classmethod
    def typed(
        cls, where: str, params: object, needed: Mapping[str, Reader], optional: Mapping[str, Reader]
    ) -> dict[str, Any]:
        """Do as `parse`, with these of the kind's parameters."""
        problems = Problems()
        typed = problems.read(where, params, {**needed, **optional}, tuple(optional))
        problems.raise_if_any()
        for message in cls.contradictions(typed):
            problems.add(where, message)
        problems.raise_if_any()
        return typed

    @classmethod
    def contradictions(cls, params: Mapping[str, Any]) -> Iterable[str]:  # noqa: ARG003
        """Say what is wrong with typed parameters taken together."""
        return ()

    @classmethod
    def needs(cls, params: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG003
        """Give the capabilities that a target must have for a fault with these parameters."""
        return (cls.capability,)

    @classmethod
    def cuts(cls, params: Mapping[str, Any]) -> bool:  # noqa: ARG003
        """Say whether nothing at all gets through the link any more."""
        return False

    @classmethod
    def silences(cls, params: Mapping[str, Any]) -> bool:  # noqa: ARG003
        """Say whether the whole machine answers nobody while the fault stands, and passes nothing on."""
        return False

    @classmethod
    def ends_programs(cls, params: Mapping[str, Any]) -> bool:  # noqa: ARG003
        """Say whether what runs on the machine, a drill's runner for example, ends with the fault."""
        return False

    @classmethod
    def changeable(cls) -> tuple[str, ...]:
        """Give the parameters that may change while the fault stands, without a moment at which it doesn't."""
        return ()

    @classmethod
    @abstractmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        """Give the state entry that this fault alone may change, such as `link:w-osaka`."""

    @classmethod
    def reads(cls, params: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG003
        """Give further state entries that `refuse` and `want` look at."""
        return ()

    @classmethod
    @abstractmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        """Say in one sentence why this fault must not be injected into `have`, or give None."""

    @classmethod
    @abstractmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        """Give the claimed entry as it is under the fault."""


class InterfaceKind(Kind):
    """A kind that claims one thing of one interface, which is called `resource` in the state."""

    resource: ClassVar[str]

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        return f"{cls.resource}:{params['interface']}"

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        entry = have[cls.claim(params)]
        if "missing" in entry:
            return absent("interface", params["interface"], entry["missing"])
        return cls.obstacle(params, entry)

    @classmethod
    @abstractmethod
    def obstacle(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        """Do as `refuse`, for an interface that is there."""


def absent(what: str, name: str, there: Iterable[str]) -> str:
    """Say that a thing isn't there, and which of those that are is probably meant."""
    near = nearest(name, there)
    return f"there is no {what} {name} on this target" + (f"; did you mean {near}?" if near else "")
