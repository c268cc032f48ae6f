"""The IAM policies of callers, asked of the conductor in their own name and remembered for a second.

A service judges with them itself: the same policies decide about very many requests, each by its own resource.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from controller.kit.clock import Clock
from services.sdk.aws.policy import NamedPolicy, Policy, PolicyError, Requester, parse_policy
from services.sdk.identity import Caller
from services.sdk.remembered import RememberedAnswers

PATH = "/auth/policies"
# Stands for a policy that is meant and is not there, or cannot be read.
_NOTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'


@dataclass(frozen=True)
class CallerPolicies:
    """Who calls, as IAM names them, and the policies of theirs. facts: what conditions may ask of them."""

    requester: Requester
    identity: tuple[NamedPolicy, ...]
    boundary: NamedPolicy | None
    facts: Mapping[str, str]


class CallerPolicyReader:
    """`ask` gets the answer of `PATH` with the identity token of whom it is about."""

    def __init__(self, ask: Callable[[str], Awaitable[dict[str, Any]]], clock: Clock) -> None:
        self._ask = ask
        self._answers: RememberedAnswers[Caller, CallerPolicies | None] = RememberedAnswers(self._read, clock)

    async def of(self, caller: Caller) -> CallerPolicies | None:
        """None for those of whom IAM has no policy. Raises ApiError when the conductor cannot be asked."""
        return None if caller.service else await self._answers.of(caller)

    async def _read(self, caller: Caller) -> CallerPolicies | None:
        return policies_of(await self._ask(caller.token))


def policies_of(answer: Mapping[str, Any]) -> CallerPolicies | None:
    """What an answer of `PATH` says. None for those IAM has no policy of."""
    user, boundary = answer.get("user"), answer.get("boundary")
    if user is None or not (answer["identity"] or boundary):
        return None
    return CallerPolicies(
        Requester("user", user["arn"], user["account"], ids=(user["id"],)),
        tuple(named for each in answer["identity"] if (named := _named(each)) is not None),
        (_named(boundary) or NamedPolicy(boundary["name"], _compiled(_NOTHING))) if boundary else None,
        _facts(user),
    )


def _facts(user: Mapping[str, Any]) -> dict[str, str]:
    return {
        "aws:username": user["name"],
        "aws:userid": user["id"],
        "aws:PrincipalArn": user["arn"],
        "aws:PrincipalAccount": user["account"],
        "aws:PrincipalType": "User",
        **{f"aws:PrincipalTag/{name}": text for name, text in user["tags"].items()},
    }


def _named(found: Mapping[str, Any]) -> NamedPolicy | None:
    """None for a policy that is not there. One that cannot be read denies: it may have been meant to."""
    if not found["document"]:
        return None
    try:
        return NamedPolicy(found["name"], _compiled(found["document"]))
    except PolicyError:
        return NamedPolicy(found["name"], _compiled(_NOTHING))


@lru_cache(4096)
def _compiled(document: str) -> Policy:
    return parse_policy(document)
