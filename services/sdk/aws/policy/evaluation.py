"""Who may do what: the decision of all policies that have a say in a request, and the statement that decided.

In this order, as AWS documents it:
1. an explicit Deny of any policy wins;
2. each level of service control policies, and of resource control policies, must allow;
3. in one account a resource's policy may allow by itself: whoever it names directly, without any other policy; a role
   as far as its boundary and the session's policy allow. An account that it names is let decide by its own policies;
4. else a policy of the identity must allow, and its boundary, and the session's policy, where there are such;
5. a request into another account needs both: the resource's policy, and all of the requester's own account.
What no policy allows is denied. The root user of an account needs no policy of its own.

Source: AWS IAM user guide, "Policy evaluation logic".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from services.sdk.aws.policy.principals import Naming
from services.sdk.aws.policy.statements import Policy, Request, Statement


class Source(StrEnum):
    """Where a policy is from, as AWS calls it."""

    SERVICE_CONTROL = "service control policy"
    RESOURCE_CONTROL = "resource control policy"
    RESOURCE = "resource-based policy"
    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"


class Outcome(StrEnum):
    """In the words of AWS's policy simulator."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


class NamedPolicy(NamedTuple):
    """A policy, and what it is called where somebody has to find it."""

    name: str
    policy: Policy


class Match(NamedTuple):
    """A statement that is about a request, and how it names whoever asks."""

    source: Source
    policy: str
    statement: Statement
    naming: Naming = Naming.DIRECT


@dataclass(frozen=True)
class Policies:
    """Everything that has a say. None and nothing differ: an empty boundary allows nothing, no boundary everything.

    service_control, resource_control: levels (organization, unit, account), each of which must allow.
    decided_by_resource: nothing is allowed without the resource's policy, as with keys and the trust of roles.
    """

    identity: Sequence[NamedPolicy] = ()
    resource: NamedPolicy | None = None
    boundary: NamedPolicy | None = None
    session: Sequence[NamedPolicy] | None = None
    service_control: Sequence[Sequence[NamedPolicy]] = ()
    resource_control: Sequence[Sequence[NamedPolicy]] = ()
    decided_by_resource: bool = False


@dataclass(frozen=True)
class Decision:
    """What came out. match: the statement that decided; None where none was found that allows.

    source: whose Deny or Allow it is, or whose Allow is missing.
    """

    outcome: Outcome
    source: Source
    match: Match | None = None

    @property
    def allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED

    @property
    def because(self) -> str:
        """The reason, as AWS ends its refusals."""
        if self.outcome is Outcome.EXPLICIT_DENY:
            return f"with an explicit deny in {_a(self.source)}"
        if self.outcome is Outcome.IMPLICIT_DENY:
            return f"because no {self.source} allows the {{action}} action"
        return f"because {_a(self.source)} allows it"

    def refusal(self, request: Request) -> str:
        """The message of an AccessDenied."""
        who, what = str(request.requester), request.action
        reason = self.because.replace("{action}", what)
        return f"User: {who} is not authorized to perform: {what} on resource: {request.resource} {reason}"


class _Found(NamedTuple):
    """The matches of one group of policies: the first Deny, and the Allow that names whoever asks most directly."""

    source: Source
    deny: Match | None = None
    allow: Match | None = None


class _Groups(NamedTuple):
    """What each group of policies says. limits: those that must allow beside the identity's own."""

    controls: Sequence[_Found]
    resource: _Found
    identity: _Found
    limits: Sequence[_Found]


def evaluate(request: Request, policies: Policies) -> Decision:
    """Decide. Nothing is asked and nothing is remembered."""
    groups = _groups(request, policies)
    for found in (*groups.controls, groups.resource, groups.identity, *groups.limits):
        if found.deny is not None:
            return Decision(Outcome.EXPLICIT_DENY, found.source, found.deny)
    for found in groups.controls:
        if found.allow is None:
            return Decision(Outcome.IMPLICIT_DENY, found.source)
    granted, same = groups.resource.allow, request.owner in ("", request.requester.account)
    if granted is None and _needs_grant(request, policies, same):
        return Decision(Outcome.IMPLICIT_DENY, Source.RESOURCE)
    if granted is not None and _suffices(granted, request, same):
        return Decision(Outcome.ALLOWED, Source.RESOURCE, granted)
    by_role = granted is not None and same and granted.naming is Naming.ROLE
    return _limited(granted if by_role else groups.identity.allow, request, groups.limits)


def _needs_grant(request: Request, policies: Policies, same: bool) -> bool:
    """Whether nothing is allowed without the resource's policy."""
    return policies.decided_by_resource or not same or _has_no_policies(request)


def _suffices(granted: Match, request: Request, same: bool) -> bool:
    """Whether the resource's policy allows by itself."""
    return _has_no_policies(request) or (same and granted.naming is Naming.DIRECT)


def _limited(allow: Match | None, request: Request, limits: Iterable[_Found]) -> Decision:
    """What the requester's own account says. Its root user needs no policy."""
    if allow is None and request.requester.kind != "root":
        return Decision(Outcome.IMPLICIT_DENY, Source.IDENTITY)
    for found in limits:
        if found.allow is None:
            return Decision(Outcome.IMPLICIT_DENY, found.source)
    return Decision(Outcome.ALLOWED, allow.source if allow else Source.IDENTITY, allow)


def _groups(request: Request, policies: Policies) -> _Groups:
    bounded = policies.boundary is not None
    limits: list[_Found] = []
    if policies.boundary is not None:
        limits.append(_found(Source.BOUNDARY, (policies.boundary,), request, bounded))
    if policies.session is not None:
        limits.append(_found(Source.SESSION, policies.session, request, bounded))
    service = [_found(Source.SERVICE_CONTROL, each, request, bounded) for each in policies.service_control]
    resource = [_found(Source.RESOURCE_CONTROL, each, request, bounded) for each in policies.resource_control]
    own = () if policies.resource is None else (policies.resource,)
    return _Groups(
        service + resource,
        _found(Source.RESOURCE, own, request, bounded),
        _found(Source.IDENTITY, policies.identity, request, bounded),
        limits,
    )


def _found(source: Source, policies: Iterable[NamedPolicy], request: Request, bounded: bool) -> _Found:
    allow: Match | None = None
    for name, policy in policies:
        for statement in policy.statements:
            if not statement.applies(request):
                continue
            naming = statement.naming(request.requester, bounded=bounded)
            if naming is Naming.NOT:
                continue
            match = Match(source, name, statement, naming)
            if statement.effect == "Deny":
                return _Found(source, match, allow)
            if allow is None or naming > allow.naming:
                allow = match
    return _Found(source, None, allow)


def _has_no_policies(request: Request) -> bool:
    """Whether they have none of their own: for them a resource's policy is all there is."""
    return request.requester.kind in ("anonymous", "service", "web-identity")


def _a(source: Source) -> str:
    return f"an {source}" if source[0] in "aeiou" else f"a {source}"
