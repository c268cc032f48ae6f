"""Statements and policies as they are evaluated: everything in them compiled once.

A policy is read by `document.parse_policy`, which refuses what is no policy; here nothing is checked any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from services.sdk.aws.policy.arn_patterns import ArnPattern, Name, name_of
from services.sdk.aws.policy.conditions import Condition
from services.sdk.aws.policy.context import Context
from services.sdk.aws.policy.principals import Naming, PrincipalElement, Requester
from services.sdk.aws.policy.wildcards import Matcher, matcher, pattern_of

Effect = Literal["Allow", "Deny"]
_WILD = frozenset("*?")


@dataclass(frozen=True)
class Request:
    """What somebody wants: an action on a resource. resource: an ARN, or `*` for an action that is about none.

    owner: the account of the resource; empty: the requester's own.
    """

    requester: Requester
    action: str
    resource: str = "*"
    context: Context = field(default_factory=Context)
    owner: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lowered", self.action.lower())
        object.__setattr__(self, "name", name_of(self.resource))

    lowered: str = field(init=False, repr=False, compare=False)
    name: Name = field(init=False, repr=False, compare=False)


class ActionElement:
    """`Action` or `NotAction`: names in any case, with wildcards."""

    __slots__ = ("_everything", "_names", "_patterns", "texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        lowered = [each.lower() for each in self.texts]
        patterns = [each for each in lowered if not _WILD.isdisjoint(each)]
        self._everything = "*" in patterns
        self._names = frozenset(lowered) - frozenset(patterns)
        self._patterns: list[Matcher] = [matcher(pattern_of(each)) for each in patterns]

    def names(self, lowered: str) -> bool:
        """Whether it names that (lower case) action."""
        return self._everything or lowered in self._names or any(matches(lowered) for matches in self._patterns)


@dataclass(frozen=True, slots=True)
class Statement:
    """`resources` None: a trust policy's, which is about the role it belongs to. `principals` None: one of an
    identity's policy, which is about whom it is attached to.
    """

    index: int
    sid: str
    effect: Effect
    actions: ActionElement
    not_actions: bool
    resources: tuple[ArnPattern, ...] | None
    not_resources: bool
    principals: PrincipalElement | None
    not_principals: bool
    conditions: tuple[Condition, ...]

    def applies(self, request: Request) -> bool:
        """Whether it is about this action, on this resource, now; whoever asks."""
        if self.actions.names(request.lowered) == self.not_actions:
            return False
        if self.resources is not None and not self._about(self.resources, request):
            return False
        return all(each.holds(request.context) for each in self.conditions)

    def naming(self, who: Requester, *, bounded: bool) -> Naming:
        """How it names them. A Deny of all but some denies whoever has a boundary, as AWS does."""
        if self.principals is None:
            return Naming.DIRECT
        if not self.not_principals:
            return self.principals.naming(who)
        if self.effect == "Deny":
            return Naming.NOT if self.principals.spares(who) and not bounded else Naming.DIRECT
        return Naming.DIRECT if self.principals.naming(who) is Naming.NOT else Naming.NOT

    def _about(self, resources: tuple[ArnPattern, ...], request: Request) -> bool:
        found = [each.matches(request.name, request.context) for each in resources]
        if not self.not_resources:
            return any(found)
        # A name that cannot be made of this request excepts nothing from a Deny, and lets nothing through an Allow.
        return not any(found) and (self.effect == "Deny" or None not in found)


@dataclass(frozen=True)
class Policy:
    """A policy, compiled. `document`: as it was written."""

    version: str
    id: str
    statements: tuple[Statement, ...]
    document: str = field(repr=False, compare=False, default="")
