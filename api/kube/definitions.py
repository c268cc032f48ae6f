"""CustomResourceDefinitions as they are read: those people made, and, read only, one for each kind of our own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

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
    """The stored definitions, and ours beside them. Ours never change while this conductor runs."""

    def __init__(self, registry: Registry, began: datetime) -> None:
        super().__init__(registry)
        ours = [kind for kind in registry.catalog if kind.group == GROUP and not kind.internal]
        self._ours = {record.key: record for record in (_record(kind, began) for kind in ours)}

    def other(self, key: ObjectKey) -> Record | None:
        return self._ours.get(key)

    def others(self, namespace: str | None) -> Iterable[Record]:
        return self._ours.values()

    def list(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        return self.both(super().list(kind, namespace), namespace)


def _record(kind: Kind[Any], began: datetime) -> Record:
    name = f"{kind.plural}.{kind.group}"
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
    return Record(1, DEFINITION.key(name), uid, "created", 1, orjson.dumps(body), 0, began, "aerekos", values=body)
