"""The IAM policies of callers, asked of the conductor in their own name and remembered for a second.

A service judges with them itself: the same policies decide about very many requests, each by its own resource.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from controller.kit.clock import Clock
from services.sdk.aws.policy import NamedPolicy, Policies, Policy, PolicyError, Requester, parse_policy
from services.sdk.identity import Caller
from services.sdk.remembered import RememberedAnswers

PATH = "/auth/policies"
# Stands for a policy that is meant and is not there, or cannot be read.
_NOTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'


@dataclass(frozen=True)
class CallerPolicies:
    """Who calls, as IAM names them, and the policies of theirs. facts: what conditions may ask of them. session: what
    limits the session they call with; None for one that is not limited.
    """

    requester: Requester
    identity: tuple[NamedPolicy, ...]
    boundary: NamedPolicy | None
    facts: Mapping[str, str]
    session: tuple[NamedPolicy, ...] | None = None

    @property
    def all(self) -> Policies:
        """Everything of theirs that has a say."""
        return Policies(identity=self.identity, boundary=self.boundary, session=self.session)

    @property
    def counts(self) -> bool:
        """Whether IAM has anything to say of them. Of sessions it always has: nothing else knows who they are."""
        return bool(self.identity or self.boundary) or self.session is not None or self.requester.kind != "user"


PoliciesOf = Callable[[Caller], Awaitable[CallerPolicies | None]]
"""What IAM says of a caller, None where it says nothing. Raises ApiError."""


class CallerPolicyReader:
    """`ask` gets the answer of `PATH` with the identity token of whom it is about."""

    def __init__(self, ask: Callable[[str], Awaitable[dict[str, Any]]], clock: Clock) -> None:
        self._ask = ask
        self._answers: RememberedAnswers[Caller, CallerPolicies | None] = RememberedAnswers(self._read, clock)

    async def of(self, caller: Caller) -> CallerPolicies | None:
        """None for those of whom IAM has no policy. Raises ApiError when the conductor cannot be asked."""
        return None if caller.service or caller.anonymous else await self._answers.of(caller)

    async def _read(self, caller: Caller) -> CallerPolicies | None:
        return policies_of(await self._ask(caller.token))


def policies_of(answer: Mapping[str, Any]) -> CallerPolicies | None:
    """What an answer of `PATH` says. None for those IAM has nothing to say of."""
    found = known_caller(answer)
    return found if found is not None and found.counts else None


def known_caller(answer: Mapping[str, Any]) -> CallerPolicies | None:
    """The same, of those without any policy too. None for those IAM does not know."""
    user, principal, boundary = answer.get("user"), answer.get("principal"), answer.get("boundary")
    if user is None and principal is None:
        return None
    limits, who = answer.get("session"), principal or _as_principal(user or {})
    return CallerPolicies(
        Requester(who["kind"], who["arn"], who["account"], who["behind"], tuple(who["ids"])),
        _all_named(answer["identity"]),
        (_named(boundary) or NamedPolicy(boundary["name"], _compiled(_NOTHING))) if boundary else None,
        who["facts"],
        None if limits is None else _all_named(limits),
    )


def _as_principal(user: Mapping[str, Any]) -> Mapping[str, Any]:
    """A user who calls with no session, in the words of one who does."""
    whom = {"kind": "user", "arn": user["arn"], "account": user["account"], "behind": "", "ids": [user["id"]]}
    return {**whom, "facts": _facts(user)}


def _all_named(found: Iterable[Mapping[str, Any]]) -> tuple[NamedPolicy, ...]:
    return tuple(named for each in found if (named := _named(each)) is not None)


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
