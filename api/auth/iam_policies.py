"""What IAM says of a user of the cloud: the policies that have a say in their AWS calls, as they are now.

Services ask in the caller's name and judge for themselves, each request by its action and resource; nothing here
decides. A policy that is meant and is not there allows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from api.auth.principal import MASTERS, Principal
from controller.store.records import Store
from crds.kind import Kind, KubeObject
from crds.kinds.iam import (
    IAM_GROUP,
    IAM_POLICY,
    IAM_ROLE,
    IAM_USER,
    IamGroup,
    IamRole,
    IamUser,
    IamUserSpec,
)
from crds.kinds.user import USER
from services.sdk.aws.accounts import account_of
from services.sdk.aws.iam_names import iam_arn, name_in, resource_name, unique_id
from services.sdk.aws.managed_policies import DOCUMENTS

M = TypeVar("M", bound=KubeObject)
Json = dict[str, Any]


class IamPolicies:
    """Answers come from memory: each version of a record is parsed once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, who: Principal) -> Json:
        """`user`: None for those IAM knows nothing of, such as services and workers."""
        person = None if MASTERS in who.groups else self._find(USER, who.name, "")
        if person is None:
            return {"user": None, "identity": [], "boundary": None}
        account = account_of(who.namespace)
        user = self._find(IAM_USER, who.name, who.namespace)
        spec = user.spec if user else IamUserSpec(user_name=who.name)
        told = {
            "name": spec.user_name,
            "arn": iam_arn(account, "user", spec.path, spec.user_name),
            "account": account,
            "id": unique_id("AIDA", person.metadata.uid or ""),
            "tags": spec.tags,
        }
        identity = list(self._identity(user, account, who.namespace)) if user else []
        boundary = self._managed(spec.boundary, account, who.namespace) if spec.boundary else None
        return {"user": told, "identity": identity, "boundary": boundary}

    def of_role(self, name: str, namespace: str) -> Json:
        """The same of a role of IAM, in the words of `of`; nobody where there is none."""
        role = self._find(IAM_ROLE, resource_name(name), namespace)
        if role is None:
            return {"user": None, "identity": [], "boundary": None}
        account, spec = account_of(namespace), role.spec
        told = {
            "name": spec.role_name,
            "arn": iam_arn(account, "role", spec.path, spec.role_name),
            "account": account,
            "id": unique_id("AROA", role.metadata.uid or ""),
            "tags": spec.tags,
        }
        boundary = self._managed(spec.boundary, account, namespace) if spec.boundary else None
        return {"user": told, "identity": list(self._held(role, account, namespace)), "boundary": boundary}

    def _identity(self, user: IamUser, account: str, namespace: str) -> Iterator[Json]:
        yield from self._held(user, account, namespace)
        for name in user.spec.groups:
            group = self._find(IAM_GROUP, name, namespace)
            if group is not None:
                yield from self._held(group, account, namespace)

    def _held(self, holder: IamUser | IamGroup | IamRole, account: str, namespace: str) -> Iterator[Json]:
        for name, document in holder.spec.inline.items():
            yield {"name": name, "document": document}
        for arn in holder.spec.attached:
            yield self._managed(arn, account, namespace)

    def _managed(self, arn: str, account: str, namespace: str) -> Json:
        return {"name": arn, "document": DOCUMENTS.get(arn) or self._document(arn, account, namespace)}

    def _document(self, arn: str, account: str, namespace: str) -> str:
        name = name_in(arn, account, "policy")
        policy = self._find(IAM_POLICY, resource_name(name), namespace) if name else None
        if policy is None:
            return ""
        spec = policy.spec
        return next((each.document for each in spec.versions if each.number == spec.default_version), "")

    def _find(self, kind: Kind[M], name: str, namespace: str) -> M | None:
        record = self._store.get(kind.key(name, namespace))
        if record is None:
            return None
        if not isinstance(record.typed, kind.model):
            record.typed = kind.decode(record.body)
        found: M = record.typed
        return found
