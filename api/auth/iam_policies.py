"""What IAM says of whoever calls: the policies that have a say in their AWS calls, as they are now.

Services ask in the caller's name and judge for themselves, each request by its action and resource; nothing here
decides. A policy that is meant and is not there allows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from api.auth.principal import MASTERS, Principal
from api.auth.session_facts import session_facts
from api.auth.temporary_credentials import TemporaryCredentials, is_temporary
from controller.store.records import Store
from crds.kind import Kind, KubeObject
from crds.kinds.iam import IAM_GROUP, IAM_POLICY, IAM_ROLE, IAM_USER, IamGroup, IamRole, IamUser, IamUserSpec
from crds.kinds.temporary_credential import SessionRole, TemporaryCredentialSpec
from crds.kinds.user import USER, User
from services.sdk.aws.accounts import account_of
from services.sdk.aws.iam_names import iam_arn, name_in, resource_name, unique_id
from services.sdk.aws.managed_policies import DOCUMENTS

M = TypeVar("M", bound=KubeObject)
Json = dict[str, Any]
_NOBODY: Json = {"user": None, "identity": [], "boundary": None}


class IamPolicies:
    """Answers come from memory: each version of a record is parsed once."""

    def __init__(self, store: Store, temporary: TemporaryCredentials | None = None) -> None:
        self._store, self._temporary = store, temporary

    def of(self, who: Principal) -> Json:
        """`user`: None for those IAM knows nothing of, such as services and workers. Whoever calls with temporary
        credentials is told of as `principal`, with the policies of the session: `user` is none of them.
        """
        key = str(who.proof.binding.get("akid", "")) if who.proof is not None else ""
        if is_temporary(key) and self._temporary is not None:
            return self._of_session(self._temporary.find(key).spec)
        person = None if MASTERS in who.groups else self._find(USER, who.name, "")
        if person is None:
            return _NOBODY
        identity, boundary = self._of_user(who.name, who.namespace)
        return {"user": self._user(person, who.namespace), "identity": identity, "boundary": boundary}

    def role(self, namespace: str, name: str) -> IamRole | None:
        """The role of that name in IAM."""
        return self._find(IAM_ROLE, resource_name(name), namespace)

    def managed(self, arn: str, namespace: str) -> str:
        """The document of a managed policy; empty when there is none."""
        return str(self._managed(arn, account_of(namespace), namespace)["document"])

    def _user(self, person: User, namespace: str) -> Json:
        account, name = account_of(namespace), person.metadata.name
        user = self._find(IAM_USER, name, namespace)
        spec = user.spec if user else IamUserSpec(user_name=name)
        return {
            "name": spec.user_name,
            "arn": iam_arn(account, "user", spec.path, spec.user_name),
            "account": account,
            "id": unique_id("AIDA", person.metadata.uid or ""),
            "tags": spec.tags,
        }

    def _of_user(self, name: str, namespace: str) -> tuple[list[Json], Json | None]:
        """Their policies and their boundary."""
        user = self._find(IAM_USER, name, namespace)
        if user is None:
            return [], None
        account = account_of(namespace)
        identity = list(self._identity(user, account, namespace))
        return identity, self._managed(user.spec.boundary, account, namespace) if user.spec.boundary else None

    def _of_session(self, spec: TemporaryCredentialSpec) -> Json:
        if spec.role is not None:
            return self._of_role(spec, spec.role)
        person = self._find(USER, spec.user, "")
        if person is None:
            return _NOBODY
        identity, boundary = self._of_user(spec.user, spec.namespace)
        principal = session_facts(spec, user=self._user(person, spec.namespace))
        told = {"identity": identity, "boundary": boundary, "session": self._limits(spec)}
        return {"user": None, "principal": principal, **told}

    def _of_role(self, spec: TemporaryCredentialSpec, of: SessionRole) -> Json:
        role, account = self._find(IAM_ROLE, of.resource, spec.namespace), account_of(spec.namespace)
        if role is None or role.metadata.uid != of.uid:
            return _NOBODY
        identity = list(self._held(role, account, spec.namespace))
        boundary = self._managed(role.spec.boundary, account, spec.namespace) if role.spec.boundary else None
        principal = session_facts(spec, role_tags=role.spec.tags)
        told = {"identity": identity, "boundary": boundary, "session": self._limits(spec)}
        return {"user": None, "principal": principal, **told}

    def _limits(self, spec: TemporaryCredentialSpec) -> list[Json] | None:
        """The session's policies; None for a session that has all that its identity has."""
        if not spec.limited:
            return None
        account = account_of(spec.namespace)
        own = [{"name": "session policy", "document": spec.policy}] if spec.policy else []
        return own + [self._managed(arn, account, spec.namespace) for arn in spec.policy_arns]

    def of_role(self, name: str, namespace: str) -> Json:
        """The same of whoever becomes that role of IAM, whatever their session is called; nobody without one."""
        role = self.role(namespace, name)
        if role is None:
            return _NOBODY
        account, spec = account_of(namespace), role.spec
        arn, id_ = iam_arn(account, "role", spec.path, spec.role_name), unique_id("AROA", role.metadata.uid or "")
        tags = {f"aws:PrincipalTag/{key}": text for key, text in spec.tags.items()}
        facts = {"aws:PrincipalArn": arn, "aws:PrincipalAccount": account, "aws:PrincipalType": "AssumedRole"}
        whom = {"kind": "session", "arn": arn, "account": account, "behind": arn, "ids": [id_], "facts": facts | tags}
        boundary = self._managed(spec.boundary, account, namespace) if spec.boundary else None
        identity = list(self._held(role, account, namespace))
        return {"user": None, "principal": whom, "identity": identity, "boundary": boundary}

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
