"""Kinds that people define at runtime: from a stored CustomResourceDefinition into the catalog, and out again.

The registry asks before it writes a definition, and tells after it has; `load` brings back what an earlier
conductor kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from controller.resources.definition_rules import changed_faults, definition_faults, expressions_of
from controller.resources.json_path import JsonPathError, compile_path
from controller.resources.quarantine import Quarantine
from controller.resources.selectors import field_at
from controller.store.records import Record, Store
from crds.catalog import Catalog
from crds.errors import Cause, Invalid, MethodNotAllowed
from crds.kind import Column, Kind, KubeObject
from crds.kinds.definition import (
    DEFINITION,
    CustomResource,
    CustomResourceDefinition,
    DefinitionSpec,
    PrinterColumn,
    Version,
)
from crds.schema import Schema, schema_of

MOST_TOLD = 10
_METADATA = schema_of(KubeObject)["properties"]["metadata"]


RuleFaults = Callable[[Sequence[tuple[str, str]]], list[str]]
"""Why each expression (its text, and the type it must have) is none; empty where it is one."""


class Definitions:
    """Kinds that stored definitions declare, kept in the catalog."""

    def __init__(self, catalog: Catalog, store: Store, quarantine: Quarantine, rule_faults: RuleFaults) -> None:
        self._catalog, self._store, self._quarantine, self._rule_faults = catalog, store, quarantine, rule_faults
        self._known: dict[str, Kind[Any]] = {}
        self._generations: dict[str, tuple[str, int]] = {}
        self._going: set[tuple[str, str]] = set()

    def load(self) -> None:
        """Make every stored definition known."""
        for record in self._store.list(DEFINITION.group, DEFINITION.plural).records:
            self.learn(record)

    def admit(self, body: dict[str, Any], old: dict[str, Any] | None) -> None:
        """Raises Invalid naming every fault of a definition, `old` being what it replaces.

        A definition from before a rule was made can still be changed: of what it holds, only what is new is judged.
        """
        if old is not None and body["spec"] == old["spec"]:
            return
        if causes := [*self._taken(body), *definition_faults(body)]:
            known = set(definition_faults(old)) if old is not None else set()
            causes = [each for each in causes if each not in known]
        if old is not None:
            causes += changed_faults(old, body)
        causes = causes or list(self._broken_rules(body, old))
        if causes:
            raise _invalid(body["metadata"]["name"], tuple(causes))

    def _broken_rules(self, body: dict[str, Any], old: dict[str, Any] | None) -> Iterator[Cause]:
        """Expressions that are none; those that stood there before were judged then."""
        before = {text for _, text, _ in expressions_of(old)} if old is not None else set()
        new = [each for each in expressions_of(body) if each[1] not in before]
        for (place, text, _), fault in zip(new, self._rule_faults([each[1:] for each in new]), strict=True):
            if fault:
                yield Cause(place, f"Invalid value: {text[:200]!r}: compilation failed: {fault}")

    def check_open(self, kind: Kind[Any]) -> None:
        """Raises MethodNotAllowed for a kind whose definition is going: what came now would vanish with it."""
        if (kind.group, kind.plural) in self._going:
            raise MethodNotAllowed("create not allowed while custom resource definition is terminating")

    def _taken(self, body: dict[str, Any]) -> Iterator[Cause]:
        spec, known = body["spec"], self._known.get(body["metadata"]["name"])
        group, names = spec["group"], spec["names"]
        there = self._catalog.find(group, names["plural"])
        if there is not None and there is not known:
            yield _is_taken("spec.names.plural", names["plural"], group)
        for version in spec["versions"]:
            clash = self._catalog.of(f"{group}/{version['name']}", names["kind"])
            if clash is not None and clash is not known:
                yield _is_taken("spec.names.kind", names["kind"], group)
                return

    def learn(self, record: Record) -> None:
        """A definition was written: its kind is known from now on, or no longer."""
        name, seen = record.key.name, (record.uid, record.generation)
        if record.verb != "deleted" and self._generations.get(name) == seen:
            return  # only its status or metadata: the kind is the same
        self._generations[name] = seen
        old = self._known.pop(name, None)
        if old is not None:
            self._catalog.remove(old)
            self._going.discard((old.group, old.plural))
        if record.verb != "deleted":
            definition = self._quarantine.read(DEFINITION, record)
            if definition is not None:
                self._register(name, definition)

    def _register(self, name: str, definition: CustomResourceDefinition) -> None:
        kind = self._known[name] = kind_of(definition)
        self._catalog.add(kind)
        if definition.metadata.deletion_timestamp is not None:
            self._going.add((kind.group, kind.plural))


def kind_of(definition: CustomResourceDefinition) -> Kind[Any]:
    """The kind a definition describes in its storage version, and with it the others that are served.

    Only where another version is no more than another apiVersion: programs that convert are not asked.
    """
    spec, stored = definition.spec, definition.spec.stored
    alike = spec.conversion is None or spec.conversion.strategy == "None"
    others = [each for each in spec.versions if each.served and not each.storage] if alike else []
    kept = {*definition.status.stored_versions, *(each.name for each in spec.versions)}
    names, converted = tuple(each.name for each in (stored, *others)), alike and kept != {stored.name}

    def version(which: Version, *further: Kind[Any]) -> Kind[Any]:
        kind = _in_version(spec, which)
        return replace(kind, served=which.served, converted=converted, all_versions=names, further=further)

    return version(stored, *map(version, others))


def _in_version(spec: DefinitionSpec, version: Version) -> Kind[Any]:
    subresources = version.subresources
    scale = subresources.scale if subresources else None
    return Kind(
        name=spec.names.kind,
        plural=spec.names.plural,
        model=CustomResource,
        group=spec.group,
        version=version.name,
        singular=spec.names.singular or spec.names.kind.lower(),
        short_names=tuple(spec.names.short_names or ()),
        categories=tuple(spec.names.categories or ()),
        namespaced=spec.scope == "Namespaced",
        has_status=subresources is not None and subresources.status is not None,
        scale_path=scale.spec_replicas_path.removeprefix(".") if scale else None,
        scale_status_path=scale.status_replicas_path.removeprefix(".") if scale else "",
        scale_selector=_scale_selector(scale.label_selector_path) if scale else None,
        columns=_columns(version),
        description=str(_schema(version).get("description", "")),
        selectable=tuple(each.json_path.removeprefix(".") for each in version.selectable_fields or ()),
        given_schema=_whole(_schema(version)),
        defined=True,
        deprecated=_deprecation(spec, version),
    )


def _deprecation(spec: DefinitionSpec, version: Version) -> str:
    if not version.deprecated:
        return ""
    return version.deprecation_warning or f"{spec.group}/{version.name} {spec.names.kind} is deprecated"


def _scale_selector(path: str | None) -> Callable[[dict[str, Any]], str] | None:
    if not path:
        return None
    place = path.removeprefix(".")
    return lambda resource: str(field_at(resource, place) or "")


def _schema(version: Version) -> Schema:
    return (version.validation.open_api_v3_schema if version.validation else None) or {}


def _whole(schema: Schema) -> Schema:
    """With the fields every resource has, which definitions leave out: server-side apply merges them as anywhere."""
    given = schema.get("properties") or {}
    names = (given.get("metadata") or {}).get("properties") or {}
    metadata = {**_METADATA, "properties": {**_METADATA["properties"], **names}}
    words = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": metadata}
    return {**schema, "properties": {**given, **words}}


def _columns(version: Version) -> tuple[Column, ...]:
    given = version.additional_printer_columns
    if given is None:
        age = "metadata.creationTimestamp"
        return (Column("Name", "metadata.name"), Column("Age", age, type="date", read=_reading(age)))
    return (Column("Name", "metadata.name"), *(_column(each) for each in given))


def _column(column: PrinterColumn) -> Column:
    path = column.json_path.strip().removeprefix(".")
    return Column(column.name, path, column.type, column.priority or 0, column.description or "", _reading(path))


def _reading(path: str) -> Callable[[dict[str, Any]], Any]:
    try:
        return compile_path(path).first
    except JsonPathError:  # kept since before such definitions were refused
        return lambda resource: None


def _is_taken(field: str, name: str, group: str) -> Cause:
    return Cause(field, f"Invalid value: {name!r}: is already taken in {group}")


def _invalid(name: str, causes: tuple[Cause, ...]) -> Invalid:
    told = "; ".join(f"{cause.field}: {cause.message}" for cause in causes[:MOST_TOLD])
    told = f"[{told}]" if len(causes) > 1 else told
    text = f'CustomResourceDefinition.apiextensions.k8s.io "{name}" is invalid: {told}'
    return Invalid(text, key=DEFINITION.key(name), causes=causes)
