"""What an AWS service asks of its callers, action by action: for whoever explains decisions without asking it.

    RULES = AccessRules(permissions_of("kms", OPERATIONS), judge=judge_key)

A manifest names it (`ManagedService.access_rules`). Where resources have policies of their own, `judge` decides as
the service does, of the same parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from crds.kind import Kind, KubeObject
from services.sdk.aws.arns import Arn
from services.sdk.aws.operations import Operation
from services.sdk.aws.policy import Decision, Requester
from services.sdk.permissions import Permission

M = TypeVar("M", bound=KubeObject)


class StoredObjects:
    """The objects of a cloud as somebody who explains has them."""

    def all(self, kind: Kind[M], namespace: str) -> Iterable[M]:
        """Those of that kind and namespace."""
        raise NotImplementedError


@dataclass(frozen=True)
class ResourceQuestion:
    """May they do this to that resource? `verb`: what a role would have to allow; `by_identity`: whether a role, or a
    policy of theirs, does. `facts`: what is known of the request, for conditions. `policy`: one to judge by, instead
    of the resource's own; empty: that one.
    """

    requester: Requester
    action: str
    verb: str
    arn: str
    name: str
    namespace: str
    by_identity: bool
    objects: StoredObjects
    facts: Mapping[str, Any] = field(default_factory=dict)
    policy: str = ""


class ResourceVerdict(NamedTuple):
    """What a resource's own policy decided, where it has one (`document`), and what else gave the right."""

    allowed: bool
    decision: Decision | None = None
    granted_by: str = ""
    document: str = ""


class Located(NamedTuple):
    """The resource an ARN means: its name in the resource API, and the ARN that policies are asked about."""

    name: str
    arn: str


def by_last_part(arn: Arn, _: StoredObjects, __: str) -> Located:
    """`team/ann` of `...:user/team/ann` is called `ann`."""
    return Located(arn.resource.rpartition("/")[2].rpartition(":")[2], str(arn))


@dataclass(frozen=True)
class AccessRules:
    """not_considered: what decides besides and only the service itself knows, in words; beyond_policy: the same where
    `judge` had a say. has_policies: whether `judge` takes one.

    permissions: by action; None for what the service decides without any. locate: the resource an ARN means, of
    these objects in that namespace. judge: None for a resource without any policy of its own, or that is not there.
    """

    permissions: Mapping[str, Permission | None]
    locate: Callable[[Arn, StoredObjects, str], Located] = by_last_part
    judge: Callable[[ResourceQuestion], ResourceVerdict | None] = lambda _: None
    not_considered: str = ""
    beyond_policy: str = ""
    has_policies: bool = False


def permissions_of(signing_name: str, declared: Mapping[str, Operation]) -> dict[str, Permission | None]:
    """Of what a service that stands on `AwsApp` serves."""
    return {f"{signing_name}:{name}": each.permission for name, each in declared.items()}
