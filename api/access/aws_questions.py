"""A question about an action of AWS, made out: whose action it is, about which resource, where, and for which role.

Of an account that is not theirs nobody learns anything by asking about themselves: neither whether it is there, nor
what its namespace or its resources are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from api.access.aws_actions import AwsActions
from api.access.subjects import Subject, Subjects
from api.auth.rules import Action
from controller.store.records import Record, Store
from crds.errors import Cause, Forbidden, Invalid
from crds.kind import Kind, KubeObject
from crds.kinds.explanation import AwsAttributes
from services.sdk.aws.access_rules import AccessRules, Located, StoredObjects
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import Arn, parse_arn
from services.sdk.aws.policy import PolicyError, check_resource

M = TypeVar("M", bound=KubeObject)


@dataclass(frozen=True)
class AskedAction:
    """`role`: what a role would have to allow; `shown`: the same as it is told. is_foreign: of another account."""

    action: str
    rules: AccessRules
    verb: str
    located: Located
    namespace: str
    facts: Mapping[str, Any]
    role: Action
    shown: Action
    is_foreign: bool
    everywhere: bool
    policy: str = ""

    def not_considered(self, *, judged: bool) -> str:
        """What decides besides, in words; empty where nothing does. judged: whether the resource had its say."""
        return self.rules.beyond_policy if judged else self.rules.not_considered

    def refuse_unused_policy(self) -> None:
        """Raises Invalid where a policy is given of a resource that is not there."""
        if self.policy:
            raise _invalid("resource", f"{self.located.arn} is nothing that is there, and could have that policy")


class RecordObjects(StoredObjects):
    """Resources out of the store's memory: each version of a record is parsed once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, kind: Kind[M], namespace: str) -> Iterable[M]:
        records = self._store.list(kind.group, kind.plural).records
        return [_typed(kind, each) for each in records if each.key.namespace == namespace]


class _Nothing(StoredObjects):
    """For whoever may not know what there is."""

    def all(self, kind: Kind[M], namespace: str) -> Iterable[M]:
        return ()


class ActionReader:
    """Reads questions."""

    def __init__(self, store: Store, actions: AwsActions, subjects: Subjects) -> None:
        self._objects, self._actions, self._subjects = RecordObjects(store), actions, subjects

    def read(self, subject: Subject, wanted: AwsAttributes, *, everywhere: bool) -> AskedAction:
        """Raises Invalid for an action that no service has, and for a policy of a resource that could have none.
        everywhere: for whoever may know of all accounts.
        """
        rules, permission = self._actions.find(wanted.action)
        _require_policy(wanted, rules, everywhere=everywhere)
        arn, own = parse_arn(wanted.resource), subject.principal.namespace
        foreign = arn is not None and arn.account not in ("", account_of(own))
        namespace, shown = self._places(arn) if foreign and arn else (own, own)
        located = Located("", wanted.resource)
        if arn is not None:
            located = rules.locate(arn, self._objects if everywhere or not foreign else _Nothing(), namespace)
        role = Action("", "", "")
        if permission is not None:
            kind = permission.kind
            place = namespace if kind.namespaced else ""
            role = Action(permission.verb, kind.group, kind.plural, place, located.name)
        return AskedAction(
            wanted.action,
            rules,
            role.verb,
            located,
            namespace,
            {**_region(arn), **wanted.context},
            role,
            role if everywhere or not role.namespace else role._replace(namespace=shown),
            foreign,
            everywhere,
            wanted.resource_policy,
        )

    def _places(self, arn: Arn) -> tuple[str, str]:
        """The namespace that is that account, and how it is called to somebody who may not know that."""
        shown = f"account {arn.account}"
        return self._subjects.namespace_of(arn.account) or shown, shown


def _require_policy(wanted: AwsAttributes, rules: AccessRules, *, everywhere: bool) -> None:
    """Raises Invalid, Forbidden."""
    if not wanted.resource_policy:
        return
    if not everywhere:
        raise Forbidden("what a policy of a resource would do is told to whoever may create subjectaccessreviews")
    fault = "" if rules.has_policies else f"what {wanted.action} is about has no policy of its own"
    try:
        check_resource(wanted.resource_policy, more_in_sids=" _-")
    except PolicyError as error:
        fault = fault or str(error)
    if fault:
        raise _invalid("resourcePolicy", fault)


def _invalid(member: str, fault: str) -> Invalid:
    field, words = f"spec.awsAttributes.{member}", f"Invalid value: {fault}"
    return Invalid(f"{field}: {words}", causes=(Cause(field, words),))


def _region(arn: Arn | None) -> dict[str, str]:
    return {"aws:RequestedRegion": arn.region} if arn is not None and arn.region else {}


def _typed(kind: Kind[M], record: Record) -> M:
    if not isinstance(record.typed, kind.model):
        record.typed = kind.decode(record.body)
    found: M = record.typed
    return found
