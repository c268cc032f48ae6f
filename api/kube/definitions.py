"""CustomResourceDefinitions as they are read: those people made, and, read only, one for each kind of our own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from api.kube.api_documents import work_out_schemas
from api.kube.views.view import shown_uid
from api.kube.virtual import StorageWithVirtualObjects
from controller.resources.registry import Registry
from controller.store.records import Record, Snapshot
from crds.conditions import ConditionType
from crds.kind import GROUP, Kind
from crds.kinds.definition import DEFINITION
from crds.meta import ObjectKey
from crds.model import rfc3339


class DefinitionStorage(StorageWithVirtualObjects):
    """The stored definitions, and ours beside them. Ours never change while this conductor runs; each is written when
    it is first asked for, because the schemas of all take as long as everything else at a start.
    """

    def __init__(self, registry: Registry, began: datetime) -> None:
        super().__init__(registry)
        self._began = began
        self._ours = {_key(kind): kind for kind in registry.catalog if kind.group == GROUP and not kind.internal}
        self._written: dict[ObjectKey, Record] = {}

    def other(self, key: ObjectKey) -> Record | None:
        if (kind := self._ours.get(key)) is None:
            return None
        if key not in self._written:
            self._written[key] = _record(kind, self._began)
        return self._written[key]

    def others(self, namespace: str | None) -> Iterable[Record]:
        return [record for key in self._ours if (record := self.other(key))]

    async def fresh(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        await work_out_schemas(self._ours.values())
        return await super().fresh(kind, namespace)

    async def list_at(self, kind: Kind[Any], namespace: str | None, revision: int) -> Snapshot:
        await work_out_schemas(self._ours.values())
        return await super().list_at(kind, namespace, revision)

    def list(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        return self.both(super().list(kind, namespace), namespace)


def _key(kind: Kind[Any]) -> ObjectKey:
    return DEFINITION.key(f"{kind.plural}.{kind.group}")


def _record(kind: Kind[Any], began: datetime) -> Record:
    key = _key(kind)
    name = key.name
    names = {
        "plural": kind.plural,
        "singular": kind.singular,
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
    }
    version: dict[str, Any] = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": kind.schema},
        "subresources": {"status": {}} if kind.has_status else {},
        "additionalPrinterColumns": [
            {
                "name": each.name,
                "type": "string" if each.type == "bytes" else each.type,
                "jsonPath": f".{each.path}",
                "priority": each.priority,
            }
            for each in kind.columns
            if each.path and each.path != "metadata.name"
        ],
    }
    body = {
        "apiVersion": DEFINITION.api_version,
        "kind": DEFINITION.name,
        "metadata": {
            "name": name,
            "uid": shown_uid("definition", name),
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": rfc3339(began),
            "labels": {"aerekos.cloud/built-in": "true"},
        },
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
        "status": {
            "acceptedNames": names,
            "storedVersions": [kind.version],
            "conditions": [
                {"type": each, "status": "True"} for each in (ConditionType.NAMES_ACCEPTED, ConditionType.ESTABLISHED)
            ],
        },
    }
    uid = shown_uid("definition", name)
    return Record(1, key, uid, "created", 1, orjson.dumps(body), 0, began, "aerekos", values=body)
