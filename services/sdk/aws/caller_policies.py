"""The IAM policies of callers, asked of the conductor in their own name and remembered for a second.

While the conductor is away they hold for as long as its answers about roles do.

A service judges with them itself: the same policies decide about very many requests, each by its own resource.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from controller.kit.clock import Clock
from crds.errors import Unavailable
from services.sdk.authorization import HOLDS_SECONDS, REMEMBER_SECONDS, is_away
from services.sdk.aws.policy import NamedPolicy, Policy, PolicyError, Requester, parse_policy
from services.sdk.identity import Caller

PATH = "/auth/policies"
_REMEMBERED = 8192
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
        self._ask, self._clock = ask, clock
        self._known: dict[Caller, tuple[CallerPolicies | None, float]] = {}
        self._asking: dict[Caller, asyncio.Task[CallerPolicies | None]] = {}

    async def of(self, caller: Caller) -> CallerPolicies | None:
        """None for those of whom IAM has no policy. Raises ApiError when the conductor cannot be asked."""
        if caller.service:
            return None
        known = self._known.get(caller)
        if known and known[1] > self._clock.monotonic():
            return known[0]
        asking = self._asking.get(caller)
        if asking is None:  # who comes while the same is asked already waits for that answer
            asking = self._asking[caller] = asyncio.create_task(self._read(caller))
            asking.add_done_callback(lambda ended: self._asked(caller, ended))
        return await asyncio.shield(asking)

    def _asked(self, caller: Caller, ended: asyncio.Task[CallerPolicies | None]) -> None:
        del self._asking[caller]
        if not ended.cancelled():
            ended.exception()  # seen, also where everybody who waited for it has left

    async def _read(self, caller: Caller) -> CallerPolicies | None:
        until = self._clock.monotonic() + REMEMBER_SECONDS
        try:
            found = _policies_of(await self._ask(caller.token))
        except Unavailable as error:
            known = self._known.get(caller)
            if known is None or known[1] + HOLDS_SECONDS < until or not is_away(error):
                raise
            return known[0]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[caller] = (found, until)
        return found


def _policies_of(answer: Mapping[str, Any]) -> CallerPolicies | None:
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
