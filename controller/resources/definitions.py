"""Kinds that people define at runtime: from a stored CustomResourceDefinition into the catalog, and out again.

The registry asks before it writes a definition, and tells after it has; `load` brings back what an earlier
conductor kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from controller.kit.patterns import PatternError, Work, WorkSpent, compile_pattern
from controller.resources.json_path import JsonPathError, compile_path
from controller.store.records import Record, Store
from crds.catalog import Catalog
from crds.errors import Cause, Invalid
from crds.kind import Column, Kind
from crds.kinds.definition import DEFINITION, CustomResource, CustomResourceDefinition, PrinterColumn, Version
from crds.schema import Schema

_STEPS_PER_PATTERN = 4096  # of `Work`: what compiling one costs
_RESERVED = ("k8s.io", "aerekos.cloud")


class Definitions:
    """What the stored definitions say can exist, kept in the catalog."""

    def __init__(self, catalog: Catalog, store: Store) -> None:
        self._catalog, self._store = catalog, store
        self._known: dict[str, Kind[Any]] = {}
        self._generations: dict[str, tuple[str, int]] = {}

    def load(self) -> None:
        """Make every stored definition known."""
        for record in self._store.list(DEFINITION.group, DEFINITION.plural).records:
            self.learn(record)

    def admit(self, body: dict[str, Any]) -> None:
        """Raises Invalid for a definition whose name is wrong or whose place is taken."""
        definition = DEFINITION.parse(body)
        spec, name = definition.spec, definition.metadata.name
        if name != f"{spec.names.plural}.{spec.group}":
            raise _invalid(name, "metadata.name", f"must be {spec.names.plural}.{spec.group}")
        if any(spec.group == each or spec.group.endswith(f".{each}") for each in _RESERVED):
            raise _invalid(name, "spec.group", f"{spec.group} is reserved")
        there = self._catalog.find(spec.group, spec.names.plural)
        if there is not None and there is not self._known.get(name):
            raise _invalid(name, "spec.names.plural", f"{spec.names.plural} is already taken in {spec.group}")
        self._check_patterns(definition)
        clash = self._catalog.of(f"{spec.group}/{spec.stored.name}", spec.names.kind)
        if clash is not None and clash is not self._known.get(name):
            raise _invalid(name, "spec.names.kind", f"{spec.names.kind} is already taken in {spec.group}")

    def _check_patterns(self, definition: CustomResourceDefinition) -> None:
        """Of what is new in it: a definition from before this was checked can still be changed, and then mended."""
        name, work = definition.metadata.name, Work()
        known = self._known.get(name)
        kept = set(_patterns(known.schema)) if known is not None else set()
        for version in definition.spec.versions:
            for pattern in set(_patterns(_schema(version))) - kept:
                try:
                    work.spend(_STEPS_PER_PATTERN + len(pattern))
                    compile_pattern(pattern)
                except PatternError as wrong:
                    raise _invalid(name, "spec.versions.schema.pattern", f"{pattern[:200]!r} {wrong}") from None
                except WorkSpent:
                    raise _invalid(name, "spec.versions.schema", "has too many patterns") from None

    def learn(self, record: Record) -> None:
        """A definition was written: its kind is known from now on, or no longer."""
        name, seen = record.key.name, (record.uid, record.generation)
        if record.verb != "deleted" and self._generations.get(name) == seen:
            return  # only its status or metadata: the kind is the same
        self._generations[name] = seen
        old = self._known.pop(name, None)
        if old is not None:
            self._catalog.remove(old)
        if record.verb != "deleted":
            self._known[name] = kind_of(DEFINITION.parse(record.body))
            self._catalog.add(self._known[name])


def kind_of(definition: CustomResourceDefinition) -> Kind[Any]:
    """The kind a definition describes, in its storage version."""
    spec, version = definition.spec, definition.spec.stored
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
    )


def _scale_selector(path: str | None) -> Callable[[dict[str, Any]], str] | None:
    if not path:
        return None
    place = path.removeprefix(".")
    return lambda resource: str(field_at(resource, place) or "")


def _schema(version: Version) -> Schema:
    return (version.validation.open_api_v3_schema if version.validation else None) or {}


def _patterns(schema: Any) -> Iterator[str]:
    """Every `pattern` of a schema, wherever it stands."""
    if not isinstance(schema, dict):
        return
    if isinstance(pattern := schema.get("pattern"), str):
        yield pattern
    for word in ("items", "additionalProperties", "not"):
        yield from _patterns(schema.get(word))
    for word in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(word) or ():
            yield from _patterns(each)
    for each in (schema.get("properties") or {}).values():
        yield from _patterns(each)


def _whole(schema: Schema) -> Schema:
    """With the fields every resource has, which definitions leave out."""
    words = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    return {**schema, "properties": {**(schema.get("properties") or {}), **words}}


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


def _invalid(name: str, field: str, message: str) -> Invalid:
    text = f'CustomResourceDefinition.apiextensions.k8s.io "{name}" is invalid: {field}: Invalid value: {message}'
    return Invalid(text, key=DEFINITION.key(name), causes=(Cause(field, message),))
