"""Everybody of a cloud as explanations name them, with the groups and the account that the directory gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from api.auth.authorizer import Authorizer
from api.auth.principal import (
    ACCOUNT_PREFIX,
    AUTHENTICATED,
    MASTERS,
    SERVICE_PREFIX,
    SERVICES,
    WORKER_PREFIX,
    WORKERS,
    Principal,
    account_groups,
)
from api.auth.service_accounts import principal_of as account_principal
from api.auth.temporary_credentials import ROLE_PREFIX
from api.auth.users import Users
from api.auth.users import principal_of as user_principal
from controller.resources.registry import Registry
from crds.kinds.iam import IAM_ROLE
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.user import USER
from crds.kinds.worker import WORKER
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.iam_names import resource_name


@dataclass(frozen=True)
class Subject:
    """Somebody. kind: User, Group, ServiceAccount, ManagedService, Worker or IamRole. lockout: why they cannot come
    in at all, whatever they may; empty for everybody else.
    """

    kind: str
    name: str
    principal: Principal
    namespace: str = ""
    lockout: str = ""

    def described(self) -> dict[str, Any]:
        """As JSON."""
        named = {"kind": self.kind, "name": self.name, "namespace": self.namespace}
        told: dict[str, Any] = {name: text for name, text in named.items() if text}
        return {**told, "groups": sorted(self.principal.groups)} if self.principal.groups else told


class Subjects:
    """The directory: read as it is now."""

    def __init__(self, registry: Registry, authorizer: Authorizer, services: Iterable[str]) -> None:
        self._store, self._authorizer = registry.store, authorizer
        self._users, self._services = Users(registry), tuple(services)

    def named(self, name: str, groups: Iterable[str] = ()) -> Subject:
        """Whoever is called so, known or not: an issuer of tokens may know people that nobody here knows."""
        found = self._of_arn(name) if name.startswith("arn:") else self._of_name(name)
        more = frozenset(groups)
        if not more <= found.principal.groups:
            found = replace(found, principal=replace(found.principal, groups=found.principal.groups | more))
        return found

    def of(self, who: Principal) -> Subject:
        """Whoever asks, as they are proven."""
        return replace(self._of_name(who.name), principal=who, lockout="")

    def all(self) -> Iterator[Subject]:
        """Everybody the cloud knows, those included that are only named by a binding."""
        seen = set[str]()
        for kind in (USER, SERVICE_ACCOUNT, WORKER):
            for record in self._store.list(kind.group, kind.plural).records:
                name = record.key.name
                account = f"{ACCOUNT_PREFIX}{record.key.namespace}:{name}"
                full = {USER: name, SERVICE_ACCOUNT: account, WORKER: f"{WORKER_PREFIX}{name}"}[kind]
                seen.add(full)
                yield self._of_name(full)
        yield from (self._of_name(f"{SERVICE_PREFIX}{each}") for each in self._services)
        yield Subject("Group", MASTERS, Principal(MASTERS, frozenset({MASTERS, AUTHENTICATED})))
        yield from self._bound(seen)
        for record in self._store.list(IAM_ROLE.group, IAM_ROLE.plural).records:
            yield self._role(record.object["spec"]["roleName"], record.key.namespace)

    def _bound(self, seen: set[str]) -> Iterator[Subject]:
        for kind, name in self._authorizer.bound_subjects():
            if kind == "Group":
                yield Subject("Group", name, Principal(f"anybody in {name}", frozenset({name, AUTHENTICATED})))
            elif name not in seen:
                yield self._of_name(name)

    def _of_name(self, name: str) -> Subject:
        if name.startswith(ACCOUNT_PREFIX):
            return self._account(name)
        if name.startswith(SERVICE_PREFIX):
            who = Principal(name, frozenset({SERVICES, AUTHENTICATED}))
            return Subject("ManagedService", name.removeprefix(SERVICE_PREFIX), who)
        if name.startswith(ROLE_PREFIX):
            namespace, _, role = name.removeprefix(ROLE_PREFIX).partition(":")
            return self._role(role.partition("/")[0], namespace)
        if name.startswith(WORKER_PREFIX):
            who = Principal(name, frozenset({WORKERS, AUTHENTICATED}))
            return Subject("Worker", name.removeprefix(WORKER_PREFIX), who)
        user = self._users.user(name)
        if user is None:
            return Subject("User", name, Principal(name, frozenset({AUTHENTICATED})))
        lockout = f"the user {name} is disabled" if user.spec.disabled else ""
        return Subject("User", name, user_principal(user), lockout=lockout)

    def _account(self, full: str) -> Subject:
        namespace, _, name = full.removeprefix(ACCOUNT_PREFIX).partition(":")
        record = self._store.get(SERVICE_ACCOUNT.key(name, namespace))
        if record is not None:
            return Subject("ServiceAccount", name, account_principal(record), namespace)
        who = Principal(full, account_groups(namespace) | {AUTHENTICATED}, namespace)
        return Subject("ServiceAccount", name, who, namespace, f"there is no service account {namespace}/{name}")

    def _of_arn(self, text: str) -> Subject:
        arn = parse_arn(text)
        name = arn.resource.rpartition("/")[2] if arn else text
        namespace = self.namespace_of(arn.account) if arn else None
        if arn is not None and arn.service == "iam" and arn.kind == "role" and namespace is not None:
            return self._role(name, namespace)
        if arn is not None and arn.service == "sts" and arn.kind == "assumed-role" and namespace is not None:
            return self._role(arn.name.partition("/")[0], namespace)
        if arn is not None and arn.service == "iam" and arn.kind == "user" and namespace is not None:
            user = self._users.user(resource_name(name))
            if user is not None and user.spec.namespace == namespace:
                return self._of_name(user.metadata.name)
        return Subject("User", text, Principal(text, frozenset()), lockout=f"nobody here is {text}")

    def _role(self, name: str, namespace: str) -> Subject:
        """A role of IAM: whoever becomes it has no role of the cloud."""
        known = self._store.get(IAM_ROLE.key(resource_name(name), namespace)) is not None
        lockout = "" if known else f"there is no role {name} in the account {account_of(namespace)}"
        return Subject("IamRole", name, Principal(name, frozenset({AUTHENTICATED}), namespace), namespace, lockout)

    def namespace_of(self, account: str) -> str | None:
        """The namespace that is that AWS account, or None."""
        records = self._store.list("", "namespaces").records
        return next((each.key.name for each in records if account_of(each.key.name) == account), None)
