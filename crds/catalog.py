"""Every kind the house knows, found by the names people use for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from crds.kind import Kind
from crds.kinds.access_key import ACCESS_KEY
from crds.kinds.admission_policy import VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING
from crds.kinds.backup import BACKUP, BACKUP_SCHEDULE
from crds.kinds.client_credential import CLIENT_CREDENTIAL
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.definition import DEFINITION
from crds.kinds.event import EVENT
from crds.kinds.iam import IAM_KINDS
from crds.kinds.image_policy import IMAGE_POLICY
from crds.kinds.join_token import JOIN_TOKEN
from crds.kinds.lease import LEASE
from crds.kinds.namespace import NAMESPACE
from crds.kinds.quota import LIMIT_RANGE, RESOURCE_QUOTA
from crds.kinds.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.session import SESSION
from crds.kinds.temporary_credential import TEMPORARY_CREDENTIAL
from crds.kinds.user import CREDENTIAL, USER
from crds.kinds.worker import WORKER

CORE_KINDS: tuple[Kind[Any], ...] = (
    NAMESPACE,
    EVENT,
    WORKER,
    SERVICE,
    USER,
    CREDENTIAL,
    SESSION,
    CLIENT_CREDENTIAL,
    ACCESS_KEY,
    TEMPORARY_CREDENTIAL,
    JOIN_TOKEN,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    LEASE,
    ROLE,
    CLUSTER_ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE_BINDING,
    DEFINITION,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    IMAGE_POLICY,
    VALIDATING_ADMISSION_POLICY,
    VALIDATING_ADMISSION_POLICY_BINDING,
    BACKUP,
    BACKUP_SCHEDULE,
    *IAM_KINDS,
)


class Catalog:
    """The kinds of one cloud: the core ones, those the managed services bring, and those people define.

    `version` grows with every change, so that what is made from the catalog can be kept until then;
    `changed` is called then. `managed`: the managed services this cloud ships, by the name of their folder; `needs`:
    the managed services that each of them cannot do without.
    """

    def __init__(
        self, kinds: Iterable[Kind[Any]] = CORE_KINDS, managed: Mapping[str, tuple[str, ...]] | Iterable[str] = ()
    ) -> None:
        self.needs = dict(managed) if isinstance(managed, Mapping) else dict.fromkeys(managed, ())
        self.managed = frozenset(self.needs)
        self._kinds: dict[tuple[str, str], Kind[Any]] = {}
        self.version = 0
        self.changed: Callable[[], None] = lambda: None
        for kind in kinds:
            self.add(kind)

    def add(self, kind: Kind[Any]) -> None:
        """Make `kind` known. Raises ValueError when another kind already has its place."""
        place = (kind.group, kind.plural)
        if place in self._kinds and self._kinds[place] is not kind:
            raise ValueError(f"two kinds claim {kind.resource}")
        self._kinds[place] = kind
        self.version += 1
        self.changed()

    def remove(self, kind: Kind[Any]) -> None:
        """Forget `kind`; one that is not known is left alone."""
        if self._kinds.get((kind.group, kind.plural)) is kind:
            del self._kinds[(kind.group, kind.plural)]
            self.version += 1
            self.changed()

    def __iter__(self) -> Iterator[Kind[Any]]:
        return iter(self._kinds.values())

    def find(self, group: str, plural: str) -> Kind[Any] | None:
        """The kind served at that place, or None."""
        return self._kinds.get((group, plural))

    def of(self, api_version: str, kind: str) -> Kind[Any] | None:
        """The kind a manifest names, whichever of its versions it is written in; or None."""
        group, _, version = api_version.rpartition("/")
        return next((k for k in self if k.name == kind and k.group == group and k.is_version(version)), None)

    def called(self, word: str) -> Kind[Any] | None:
        """The kind a person means by `workers`, `worker`, `wk`, `Worker` or `workers.aerekos.cloud`."""
        lowered = word.lower()
        for kind in self:
            if lowered in {kind.plural, kind.singular, kind.resource, kind.name.lower(), *kind.short_names}:
                return kind
        return None
