# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds that netem makes: loss, delay, rate, corruption, duplication, reordering, and several of them at once.

They strike what leaves the interface. The state's words are those of `netem`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..units import percent
from ..values import choice, whole
from .kind import InterfaceKind, Reader
from .match import only
from .netem import with_limit
from .parameters import delay, interface, rate, share, shares

if TYPE_CHECKING:
    from .model import State

# A netem seed of 0 is none.
_COMMON = {"only": only, "seed": whole(1, 2**63 - 1), "limit": whole(1, 10_000_000)}


class Impairment(InterfaceKind):
    """Something wrong with the packets that leave an interface, or with `only` some of them."""

    capability = "netem"
    resource = "qdisc"
    parameters: ClassVar = {"interface": interface}
    optional: ClassVar = _COMMON

    @classmethod
    def needs(cls, params: Mapping[str, Any]) -> tuple[str, ...]:
        if "only" in params:
            return ("netem", "flower")
        # What can't impair packets may still be able to drop all of them.
        return ("drop",) if cls.netem(params) == {"loss_percent": 100} else ("netem",)

    @classmethod
    def changeable(cls) -> tuple[str, ...]:
        return tuple(key for key in (*cls.parameters, *cls.optional) if key not in ("interface", *_COMMON))

    @classmethod
    def cuts(cls, params: Mapping[str, Any]) -> bool:
        return "only" not in params and cls.netem(params).get("loss_percent") == 100

    @classmethod
    def obstacle(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        if entry["foreign"]:
            return (
                f"foreign {entry['foreign']} on {params['interface']}: left untouched; "
                "remove it or choose another interface"
            )
        if entry["netem"] is not None:
            return (
                f"an Okiagari qdisc without a record stands on {params['interface']}: run the heal_all playbook first"
            )
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        netem = {**cls.netem(params), **{key: params[key] for key in ("seed", "limit") if key in params}}
        return {cls.claim(params): {"netem": with_limit(netem), "only": params.get("only")}}

    @classmethod
    @abstractmethod
    def netem(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Give what the parameters ask of netem, in the words of the state."""


class Loss(Impairment):
    """Packets are lost.

    `percent` of them, each independently of the others or with `correlation` to the one before; or by a Markov chain:
    `gemodel` [p, r, 1-h, 1-k] is Gilbert and Elliott's (bad begins, bad ends, lost in bad, lost in good), `states`
    [p13, p31, p32, p23, p14] that of four states (Salsano et al., the GI model), all in percent as tc-netem(8) has it.
    """

    name = "loss"
    optional: ClassVar = {
        "percent": share,
        "correlation": percent,
        "gemodel": shares("p", "r", "1-h", "1-k"),
        "states": shares("p13", "p31", "p32", "p23", "p14"),
        **_COMMON,
    }

    @classmethod
    def contradictions(cls, params: Mapping[str, Any]) -> Iterable[str]:
        models = [key for key in ("percent", "gemodel", "states") if key in params]
        if not models:
            yield f"{cls.name} needs the parameter percent; or a model: gemodel or states"
        if len(models) > 1:
            yield f"{cls.name} has one model at a time: {' or '.join(models)}"
        if "correlation" in params and models != ["percent"]:
            yield "correlation is for the loss of a percent"

    @classmethod
    def netem(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        if "percent" in params:
            return _randomly("loss", params)
        model = "gemodel" if "gemodel" in params else "states"
        return {f"loss_{model}_percent": list(params[model])}


class Delay(Impairment):
    """Packets are late by `delay`, give or take `jitter`.

    The jitter has a `distribution`, and each packet's a `correlation` to the one before. Packets whose delays differ
    overtake each other, as in netem; a `rate` in the same impairment keeps them in order.
    """

    name = "delay"
    parameters: ClassVar = {"interface": interface, "delay": delay}
    optional: ClassVar = {
        "jitter": delay,
        "correlation": percent,
        "distribution": choice(("uniform", "normal", "pareto", "paretonormal"), "distribution"),
        **_COMMON,
    }

    @classmethod
    def contradictions(cls, params: Mapping[str, Any]) -> Iterable[str]:
        for key in ("correlation", "distribution"):
            if key in params and "jitter" not in params:
                yield f"{key} is for a jitter, and there is none"
        if params.get("jitter", 0) > params["delay"]:
            yield f"a jitter of {params['jitter']:g} s is more than the delay: packets can't come before they are sent"

    @classmethod
    def netem(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        found = {"delay_ms": _milliseconds(params["delay"])}
        if "jitter" in params:
            found["jitter_ms"] = _milliseconds(params["jitter"])
        if params.get("correlation"):
            found["delay_correlation_percent"] = params["correlation"]
        if params.get("distribution", "uniform") != "uniform":
            found["distribution"] = params["distribution"]
        return found


class Rate(Impairment):
    """Packets leave one after the other at this rate, counted with their Ethernet header; the queue is 0.1 s long."""

    name = "rate"
    parameters: ClassVar = {"interface": interface, "rate": rate}

    @classmethod
    def netem(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"rate_bps": params["rate"]}


class _Random(Impairment):
    parameters: ClassVar = {"interface": interface, "percent": share}
    optional: ClassVar = {"correlation": percent, **_COMMON}

    @classmethod
    def netem(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return _randomly(cls.name, params)


class Corrupt(_Random):
    """A share of the packets has one bit wrong, at a random place."""

    name = "corrupt"


class Duplicate(_Random):
    """A share of the packets comes twice."""

    name = "duplicate"


class Reorder(Impairment):
    """A share of the packets overtakes the others, which are late by `delay`; with `gap` only each so many-th can."""

    name = "reorder"
    parameters: ClassVar = {"interface": interface, "percent": share, "delay": delay}
    optional: ClassVar = {"correlation": percent, "gap": whole(1, 1_000_000), **_COMMON}

    @classmethod
    def netem(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        gap = {"reorder_gap": params["gap"]} if "gap" in params else {}
        return {"delay_ms": _milliseconds(params["delay"]), **_randomly("reorder", params), **gap}


def _part(kind: type[Impairment]) -> Reader:
    """Make a reader of one part of an impairment: a mapping, or just the value that its kind can't do without."""
    needed = {key: convert for key, convert in kind.parameters.items() if key != "interface"}
    optional = {key: convert for key, convert in kind.optional.items() if key not in _COMMON}

    def convert(value: object) -> dict[str, Any]:
        params = value if isinstance(value, Mapping) else {next(iter({**needed, **optional})): value}
        return kind.typed("", params, needed, optional)

    return convert


class Several(Impairment):
    """Several impairments at once on the same packets, each a mapping with the parameters of its kind."""

    name = "impairment"
    parts: ClassVar[tuple[type[Impairment], ...]] = (Loss, Delay, Rate, Corrupt, Duplicate, Reorder)
    optional: ClassVar = {**{kind.name: _part(kind) for kind in parts}, **_COMMON}

    @classmethod
    def contradictions(cls, params: Mapping[str, Any]) -> Iterable[str]:
        if not any(kind.name in params for kind in cls.parts):
            yield f"{cls.name} needs at least one of {', '.join(kind.name for kind in cls.parts)}"
        if "delay" in params and "reorder" in params:
            yield "reorder has a delay of its own: give that and no other"

    @classmethod
    def netem(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for kind in cls.parts:
            if kind.name in params:
                found.update(kind.netem(params[kind.name]))
        return found


def _randomly(what: str, params: Mapping[str, Any]) -> dict[str, Any]:
    found = {f"{what}_percent": params["percent"]}
    if params.get("correlation"):
        found[f"{what}_correlation_percent"] = params["correlation"]
    return found


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 6)
