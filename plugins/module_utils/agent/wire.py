# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of elections as they travel, and back; what isn't one of them raises `BadValue`."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..authority.messages import (
    Answer,
    Ask,
    Ballot,
    Call,
    Elected,
    Ended,
    HandOver,
    Merged,
    Offer,
    Result,
    Serving,
)
from ..election import Committed, Profile, Rules, Vote
from ..errors import BadInput, BadValue
from ..values import Shape, mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..authority.messages import Message

_NUMBER = (int, float)
_DIGEST = re.compile("[0-9a-f]{64}")
_RULES: dict[str, Shape] = {
    "revision": int, "allowed": (list, type(None)), "forbidden": [str], "preferred": [str],
}  # fmt: skip
_PROFILE: dict[str, Shape] = {
    "host": str, "domain": str, "committed": [int], "machine": _NUMBER, "network": _NUMBER, "distance_ms": _NUMBER,
    "priority": int, "hindrance": str,
}  # fmt: skip
_VOTE: dict[str, Shape] = {"profile": _PROFILE, "rules": _RULES, "granted": bool}
_BODIES: dict[str, dict[str, Shape]] = {
    "call": {"sender": str, "term": int},
    "ballot": {
        "sender": str, "term": int, "newest": int, "vote": dict,
    },
    "result": {"sender": str, "term": int, "order": [str]},
    "hand_over": {"sender": str, "term": int, "to": str},
    "ask": {"sender": str, "loss": int},
    "answer": {"sender": str, "loss": int, "newest": (int, type(None))},
    "serving": {"sender": str, "host": str, "term": int, "votes": int, "age_s": _NUMBER, "answers": int},
    "ended": {"sender": str, "term": int},
    "elected": {"sender": str, "term": int, "host": str, "votes": int},
    "offer": {"sender": str, "term": int, "digest": _DIGEST, "size": int, "running": bool},
    "merged": {"sender": str, "term": int, "digest": _DIGEST},
}  # fmt: skip
_KINDS = {
    "call": Call, "ballot": Ballot, "result": Result, "hand_over": HandOver, "ask": Ask, "answer": Answer,
    "serving": Serving, "ended": Ended, "elected": Elected, "offer": Offer, "merged": Merged,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_wire(message: Message) -> dict[str, Any]:
    """Give a message as JSON has it."""
    body = asdict(message)
    if isinstance(message, Ballot):
        body["vote"] = vote_to_dict(message.vote)
    if isinstance(message, Result):
        body["order"] = list(message.order)
    return {"kind": _NAMES[type(message)], **body}


def from_wire(body: Mapping[str, Any], sender: str) -> Message:
    """Read a message that `sender` has signed."""
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in _BODIES:
        raise BadValue("is no message of an election")
    said = {key: value for key, value in body.items() if key != "kind"}
    if wrong := mismatch(said, _BODIES[kind], kind):
        raise BadValue(wrong)
    if said["sender"] != sender:
        raise BadValue(f"{sender} speaks as {said['sender']}")
    if kind == "ballot":
        said["vote"] = vote_from_dict(said["vote"], sender)
    if kind == "result":
        said["order"] = tuple(said["order"])
    message: Message = _KINDS[kind](**{key: said[key] for key in _BODIES[kind]})
    return message


def rules_to_dict(rules: Rules) -> dict[str, Any]:
    return {
        "revision": rules.revision,
        "allowed": None if rules.allowed is None else sorted(rules.allowed),
        "forbidden": sorted(rules.forbidden),
        "preferred": sorted(rules.preferred),
    }


def rules_from_dict(said: object) -> Rules:
    wrong = mismatch(said, _RULES, "rules")
    if wrong or not isinstance(said, dict):
        raise BadValue(wrong or "rules are missing")
    allowed = said["allowed"]
    if allowed is not None and (wrong := mismatch(allowed, [str], "rules.allowed")):
        raise BadValue(wrong)
    return Rules(
        said["revision"],
        None if allowed is None else frozenset(allowed),
        frozenset(said["forbidden"]),
        frozenset(said["preferred"]),
    )


def vote_to_dict(vote: Vote) -> dict[str, Any]:
    profile = asdict(vote.profile) | {"committed": list(vote.profile.committed)}
    return {"profile": profile, "rules": rules_to_dict(vote.rules), "granted": vote.granted}


def vote_from_dict(said: object, voter: str) -> Vote:
    """Read the vote that `voter` has signed."""
    wrong = mismatch(said, _VOTE, "a vote")
    if wrong or not isinstance(said, dict):
        raise BadValue(wrong or "a vote is missing")
    profile = {key: said["profile"][key] for key in _PROFILE}
    if profile["host"] != voter:
        raise BadValue(f"{voter} votes as {profile['host']}")
    if len(profile["committed"]) != len(Committed._fields):
        raise BadValue("committed is not a term and an epoch")
    profile["committed"] = Committed(*profile["committed"])
    try:
        return Vote(Profile(**profile), rules_from_dict(said["rules"]), said["granted"])
    except (BadInput, OverflowError) as error:
        raise BadValue(str(error)) from error
