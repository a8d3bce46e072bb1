# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""netem on Linux: its options in the words of the state, as `tc` takes them and as `tc -j` prints them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..values import mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..values import Shape

_PACKET_BITS = 8 * 1500
_UNKNOWN_RATE = 1e9
_SMALLEST = 10
# netem's own default of 1000 packets would cap a long fat path although only loss was asked for.
_WIDE = 10000
_QUEUE_S = 0.1

_MODELS = {
    "gemodel": ("loss-gemodel", ("p", "r", "1-h", "1-k")),
    "states": ("loss-state", ("p13", "p31", "p32", "p23", "p14")),
}
_RANDOM = ("corrupt", "duplicate", "reorder")
_NUMBER = (int, float)
_PRINTED: Shape = {
    **dict.fromkeys(("limit?", "gap?", "seed?"), int),
    **{key: {"*": _NUMBER} for key in ("delay?", "loss-random?", "corrupt?", "duplicate?", "reorder?", "rate?")},
    **{key: {"*": _NUMBER} for key in ("loss-gemodel?", "loss-state?")},
}


def with_limit(netem: Mapping[str, Any]) -> dict[str, Any]:
    """Give `netem` with a queue limit in packets, sized from rate and delay unless it has one.

    What is under way (rate x delay) has to fit, or the queue would lose what nobody asked it to. With a rate there are
    0.1 s of queue besides, as in a router; without one a path of 1 Gbit/s is thought of.
    """
    if "limit" in netem:
        return dict(netem)
    late_s = (netem.get("delay_ms", 0.0) + 3 * netem.get("jitter_ms", 0.0)) / 1000
    if "rate_bps" in netem:
        limit = max(_SMALLEST, math.ceil(netem["rate_bps"] * (late_s + _QUEUE_S) / _PACKET_BITS))
    else:
        limit = max(_WIDE, math.ceil(2 * _UNKNOWN_RATE * late_s / _PACKET_BITS))
    return {**netem, "limit": limit}


def words(netem: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the arguments of `tc qdisc add ... netem`."""
    found = ["limit", str(netem["limit"])]
    if "delay_ms" in netem:
        found += ["delay", _time(netem["delay_ms"])]
        if "jitter_ms" in netem:
            found += [_time(netem["jitter_ms"]), *_correlation(netem, "delay")]
        if "distribution" in netem:
            found += ["distribution", netem["distribution"]]
    if "loss_percent" in netem:
        found += ["loss", _percent(netem["loss_percent"]), *_correlation(netem, "loss")]
    for model in _MODELS:
        if f"loss_{model}_percent" in netem:
            shares = map(_percent, netem[f"loss_{model}_percent"])
            found += ["loss", "state" if model == "states" else model, *shares]
    for what in _RANDOM:
        if f"{what}_percent" in netem:
            found += [what, _percent(netem[f"{what}_percent"]), *_correlation(netem, what)]
    if "reorder_gap" in netem:
        found += ["gap", str(netem["reorder_gap"])]
    if "rate_bps" in netem:
        found += ["rate", f"{netem['rate_bps']}bit"]
    if "seed" in netem:
        found += ["seed", str(netem["seed"])]
    return tuple(found)


def read(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the state's words for the `options` of a netem as `tc -j` prints them; what is off is left out.

    The distribution of a jitter isn't printed. A seed always is, also one that the kernel has chosen. Raises
    `OkiagariError` for what tc never prints.
    """
    if wrong := mismatch(options, _PRINTED, "options"):
        raise OkiagariError(f"tc qdisc show: its netem can't be understood: {wrong}")
    found: dict[str, Any] = {"limit": options.get("limit")}
    delay = options.get("delay") or {}
    found["delay_ms"] = round(1000 * delay.get("delay", 0.0), 6)
    found["jitter_ms"] = round(1000 * delay.get("jitter", 0.0), 6)
    found["delay_correlation_percent"] = _share(delay.get("correlation"))
    for what, key in (("loss", "loss-random"), *((what, what) for what in _RANDOM)):
        random = options.get(key) or {}
        found[f"{what}_percent"] = _share(random.get(what))
        found[f"{what}_correlation_percent"] = _share(random.get("correlation"))
    for model, (key, names) in _MODELS.items():
        chain = options.get(key) or {}
        found[f"loss_{model}_percent"] = [_share(chain.get(name)) for name in names] if chain else None
    found["reorder_gap"] = options.get("gap")
    found["rate_bps"] = 8 * (options.get("rate") or {}).get("rate", 0)
    found["seed"] = options.get("seed")
    return {key: value for key, value in found.items() if value}


def agrees(installed: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether what was read back is what was asked for, as precisely as the kernel keeps it."""
    told = {key: value for key, value in wanted.items() if key != "distribution"}
    extra = set(installed) - set(told) - {"seed", "reorder_gap"}
    return not extra and all(_close(installed.get(key), value) for key, value in told.items())


def overwrites(wanted: Mapping[str, Any], installed: Mapping[str, Any]) -> bool:
    """Say whether the kernel, told what is wanted, forgets all of what is installed: it keeps what it isn't told of."""
    return bool(installed) and set(installed) - {"seed", "reorder_gap"} <= set(wanted)


def _close(have: object, want: object) -> bool:
    if isinstance(want, list):
        # The parameters of a chain that were not given have the kernel's defaults.
        return isinstance(have, list) and all(map(_close, have, want))
    if isinstance(want, (int, float)):
        # Compared, not subtracted: an answer may hold a whole number that is no float any more.
        about = max(0.001, 0.001 * abs(want))
        return isinstance(have, (int, float)) and want - about <= have <= want + about
    return have == want


def _time(milliseconds: float) -> str:
    return f"{round(1000 * milliseconds)}us"


def _percent(share: float) -> str:
    return f"{share:g}%"


def _correlation(netem: Mapping[str, Any], what: str) -> Sequence[str]:
    key = f"{what}_correlation_percent"
    return (_percent(netem[key]),) if key in netem else ()


def _share(fraction: float | None) -> float:
    return round(100 * (fraction or 0.0), 4)
