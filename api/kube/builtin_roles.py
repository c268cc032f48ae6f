"""ClusterRoles as they are read: those people made, and, read only, the ones every cloud has (`view`, `edit`, ...).

The given ones are computed from the kinds there are; nothing of them is stored. Where an earlier cloud let somebody
store one of the same name, that one counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from api.auth.authorizer import Authorizer
from api.auth.rules import Rule
from api.kube.views.view import shown_uid
from api.kube.virtual import StorageWithVirtualObjects
from controller.resources.registry import Registry
from controller.store.records import Record
from crds.kinds.rbac import CLUSTER_ROLE
from crds.meta import ObjectKey
from crds.model import rfc3339


class BuiltinRoles(StorageWithVirtualObjects):
    """The stored cluster roles, and the given ones beside them."""

    def __init__(self, registry: Registry, authorizer: Authorizer, began: datetime) -> None:
        super().__init__(registry)
        self._authorizer, self._began = authorizer, began

    def other(self, key: ObjectKey) -> Record | None:
        rules = self._authorizer.given_roles().get(key.name)
        return None if rules is None else self._record(key.name, rules)

    def others(self, namespace: str | None) -> Iterator[Record]:
        for name, rules in self._authorizer.given_roles().items():
            yield self._record(name, rules)

    def is_given(self, name: str) -> bool:
        """Whether there is such a role without anybody having made it."""
        return name in self._authorizer.given_roles() and self._store.get(CLUSTER_ROLE.key(name)) is None

    def _record(self, name: str, rules: tuple[Rule, ...]) -> Record:
        uid = shown_uid("clusterrole", name)
        body: dict[str, Any] = {
            "apiVersion": CLUSTER_ROLE.api_version,
            "kind": CLUSTER_ROLE.name,
            "metadata": {
                "name": name,
                "uid": uid,
                "resourceVersion": "1",
                "generation": 1,
                "creationTimestamp": rfc3339(self._began),
                "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            },
            "rules": [_told(rule) for rule in rules],
        }
        key = CLUSTER_ROLE.key(name)
        return Record(1, key, uid, "created", 1, orjson.dumps(body), 0, self._began, "aerekos", values=body)


def _told(rule: Rule) -> dict[str, Any]:
    told = {"verbs": list(rule.verbs), "apiGroups": list(rule.groups), "resources": list(rule.resources)}
    return {**told, "resourceNames": list(rule.names)} if rule.names else told
