"""Turns what a client sent into a resource that keeps its kind's rules, or into an error that names the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import ValidationError

from controller.resources.bounds import OBJECT_BYTES, metadata_faults
from controller.resources.depth_limit import MOST_LEVELS, deeper_than, may_be_deeper_than
from controller.resources.json_patch import copy_json
from controller.resources.structural_schema import faults, pruned, with_defaults
from controller.resources.unknown_fields import Location, inherited, restored
from crds.errors import BadRequest, Cause, Invalid, TooLarge
from crds.kind import GROUP, Kind, KubeObject
from crds.kinds.definition import GROUP as EXTENSIONS
from crds.kinds.rbac import GROUP as RBAC
from crds.meta import ObjectKey
from crds.names import label_fault, label_key_fault, label_value_fault, path_segment_fault, subdomain_fault

FieldValidation = Literal["Strict", "Warn", "Ignore"]

_WORDS = ("apiVersion", "kind", "metadata")
_MISSING = "missing"
_UNKNOWN = "extra_forbidden"
_UNDECODABLE = re.compile(r".*_type|.*_from_float|datetime_.*|base64")  # of pydantic, and our own
_CAUSES = {
    "missing": "FieldValueRequired",
    "literal_error": "FieldValueNotSupported",
    "enum": "FieldValueNotSupported",
}


class ValidatedObject(NamedTuple):
    """A resource as it will be kept (defaults filled, unknown fields gone), and what was dropped on the way."""

    body: dict[str, Any]
    warnings: tuple[str, ...] = ()
    model: KubeObject | None = None
    """What was checked, as its kind's model, where that says the same as `body`."""

    def typed(self) -> KubeObject | None:
        """The model, told what was written into the body's metadata since the check."""
        if self.model is not None:
            meta, told = self.body["metadata"], self.model.metadata
            told.generation = meta.get("generation")
            if (owners := meta.get("managedFields")) is not told.managed_fields:
                told.managed_fields = owners
        return self.model


def validate(
    kind: Kind[Any], body: dict[str, Any], mode: FieldValidation = "Warn", old: dict[str, Any] | None = None
) -> ValidatedObject:
    """The resource in its kept form, `old` being what it replaces: unknown fields that stand in there already are a
    newer version's, and stay.

    Other unknown fields are an error (Strict), dropped with a warning (Warn) or dropped silently (Ignore).
    Raises Invalid with one cause per faulty field; BadRequest for unknown fields under Strict, or too deep nesting.
    """
    text = _text(kind, body)
    if kind.given_schema is not None:
        return _validate_by_schema(kind, body, mode, old)
    try:
        model = kind.parse(text)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=True)
    else:
        kept = model.wire()
        return ValidatedObject(kept, model=model if kept == body else None)
    key = _key(kind, body)
    unknown = [fault for fault in faults if fault["type"] == _UNKNOWN]
    wrong = [fault for fault in faults if fault["type"] != _UNKNOWN]
    if wrong:
        raise _undecodable(kind, key, wrong) or _invalid(kind, key, wrong)
    kept_fields = inherited(body, old, [fault["loc"] for fault in unknown]) if old is not None else []
    kept_places = {each.location for each in kept_fields}
    names = [f'unknown field "{_path(fault["loc"])}"' for fault in unknown if fault["loc"] not in kept_places]
    if names and mode == "Strict":
        raise BadRequest("strict decoding error: " + ", ".join(names), key=key)
    known = validate(kind, _without(body, [fault["loc"] for fault in unknown]), "Strict").body
    return ValidatedObject(restored(known, kept_fields), tuple(names) if mode == "Warn" else ())


def unknown_fields(kind: Kind[Any], body: dict[str, Any]) -> list[Location]:
    """Where in a stored resource fields are that its kind does not know."""
    if kind.given_schema is not None:
        return []
    try:
        kind.parse(body)
    except ValidationError as error:
        return [fault["loc"] for fault in error.errors(include_url=False) if fault["type"] == _UNKNOWN]
    return []


def _text(kind: Kind[Any], body: dict[str, Any]) -> bytes:
    """Raises BadRequest for what is no JSON, or could not be put into other JSON any more."""
    try:
        text = orjson.dumps(body)
    except TypeError as error:
        raise BadRequest(f"the resource cannot be written as JSON: {error}", key=_key(kind, body)) from error
    if len(text) > OBJECT_BYTES:
        raise TooLarge(f"Request entity too large: limit is {OBJECT_BYTES}", key=_key(kind, body))
    if may_be_deeper_than(text, MOST_LEVELS) and deeper_than(body, MOST_LEVELS):
        raise BadRequest(f"a resource may be nested {MOST_LEVELS} levels deep, not more", key=_key(kind, body))
    return text


def _validate_by_schema(
    kind: Kind[Any], body: dict[str, Any], mode: FieldValidation, old: dict[str, Any] | None
) -> ValidatedObject:
    """As `checked`, for kinds without a model: their metadata by the common one, the rest by their schema.

    A schema that became tighter holds for what changes: a label can be set on what it would refuse today.
    """
    meta = validate(_ONLY_METADATA, {name: body[name] for name in _WORDS if name in body}, mode)
    clean, unknown = pruned({**body, **meta.body}, kind.schema, root=True)
    if unknown and old is not None:
        known = set(pruned(old, kind.schema, root=True)[1])
        unknown = [path for path in unknown if path not in known]
    named = [f'unknown field "{path}"' for path in unknown]
    if named and mode == "Strict":
        raise BadRequest("strict decoding error: " + ", ".join(named), key=_key(kind, body))
    whole = with_defaults(clean, kind.schema)
    causes = list(faults(_content(whole), _inner(kind)))
    if causes and old is not None:
        before = with_defaults(pruned(old, kind.schema, root=True)[0], kind.schema)
        causes = list(faults(_content(whole), _inner(kind), old=_content(before)))
    if old is None:
        causes += _name_faults(kind, whole["metadata"])
    if causes:
        raise _refused(kind, _key(kind, body), causes)
    return ValidatedObject(whole, (*meta.warnings, *(named if mode == "Warn" else ())))


def _content(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _WORDS}


def _inner(kind: Kind[Any]) -> dict[str, Any]:
    required = [name for name in kind.schema.get("required") or () if name not in _WORDS]
    return {**kind.schema, "required": required}


def _name_faults(kind: Kind[Any], meta: dict[str, Any]) -> list[Cause]:
    """What a schema asks of the names its resources are given."""
    named = kind.schema["properties"]["metadata"].get("properties") or {}
    fields = [name for name in ("name", "generateName") if meta.get(name) and name in named]
    return [cause for name in fields for cause in faults(meta[name], named[name], f"metadata.{name}")]


def _key(kind: Kind[Any], body: dict[str, Any]) -> ObjectKey:
    meta = body.get("metadata") or {}
    return kind.key(str(meta.get("name", "")), meta.get("namespace"))


_ONLY_METADATA = Kind(name="", plural="", model=KubeObject)


def check_bounds(kind: Kind[Any], meta: dict[str, Any], old: dict[str, Any] | None, key: ObjectKey) -> None:
    """Raises Invalid for metadata that is too much, unless it was there before."""
    domains = kind.given_schema is None and kind.group not in (GROUP, EXTENSIONS)
    if causes := list(metadata_faults(meta, old, domains=domains)):
        raise _refused(kind, key, causes)


def check_metadata(kind: Kind[Any], meta: dict[str, Any], key: ObjectKey) -> None:
    """Names, labels and annotations keep the rules of Kubernetes. Raises Invalid naming each fault."""
    causes: list[Cause] = []
    causes += _faults("metadata.name", meta.get("name") or "", _name_rule(kind))
    for field in ("labels", "annotations"):
        causes += _map_faults(f"metadata.{field}", meta.get(field) or {})
    if not causes:
        causes += [cause for value in (meta.get("labels") or {}).values() for cause in _label_value_faults(value)]
    if causes:
        raise _refused(kind, key, causes)


# These become host names, so dots are not allowed in them.
_LABEL_NAMED = frozenset({"namespaces", "services", "users"})


def _name_rule(kind: Kind[Any]) -> Callable[[str], str | None]:
    if kind.group == RBAC:
        return path_segment_fault
    return label_fault if kind.plural in _LABEL_NAMED else subdomain_fault


def _map_faults(field: str, given: Any) -> list[Cause]:
    if not isinstance(given, dict):
        return [Cause(field, f"Invalid value: {given!r}: must be an object", "FieldValueTypeInvalid")]
    return [cause for name in given for cause in _faults(field, name, label_key_fault)]


def _label_value_faults(value: Any) -> list[Cause]:
    return _faults("metadata.labels", value, label_value_fault)


def _faults(field: str, text: Any, rule: Callable[[str], str | None]) -> list[Cause]:
    if not isinstance(text, str):
        return [Cause(field, f"Invalid value: {text!r}: must be a string", "FieldValueTypeInvalid")]
    fault = rule(text)
    return [Cause(field, f"Invalid value: {text!r}: {fault}")] if fault else []


def _undecodable(kind: Kind[Any], key: ObjectKey, faults: list[Any]) -> BadRequest | None:
    """Kubernetes's own kinds have types that are compiled in: what does not fit them is no such thing at all."""
    first = next((each for each in faults if _UNDECODABLE.fullmatch(each["type"])), None)
    if first is None or kind.group == GROUP:
        return None
    told = f"{_path(first['loc'])}: {_words(first)}"
    return BadRequest(f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: {told}', key=key)


def _invalid(kind: Kind[Any], key: ObjectKey, faults: list[Any]) -> Invalid:
    causes = []
    for fault in faults:
        reason = _CAUSES.get(fault["type"], "FieldValueInvalid")
        if reason == "FieldValueInvalid" and fault["type"].endswith("_type"):
            reason = "FieldValueTypeInvalid"
        causes.append(Cause(_path(fault["loc"]), _words(fault), reason))
    return _refused(kind, key, causes)


def broken_rules(kind: Kind[Any], key: ObjectKey, causes: tuple[Cause, ...]) -> Invalid:
    """The error of a write that keeps its schema, but not its kind's rules."""
    return _refused(kind, key, list(causes))


def _refused(kind: Kind[Any], key: ObjectKey, causes: list[Cause]) -> Invalid:
    told = "; ".join(f"{cause.field}: {cause.message}" for cause in causes)
    if len(causes) > 1:
        told = f"[{told}]"
    named = f"{kind.name}.{kind.group}" if kind.group else kind.name
    return Invalid(f'{named} "{key.name}" is invalid: {told}', key=key, causes=tuple(causes))


def _words(fault: Any) -> str:
    if fault["type"] == _MISSING:
        return "Required value"
    told = fault["msg"].removeprefix("Value error, ")
    value = fault.get("input")
    if isinstance(value, dict | list):
        return f"Invalid value: {told}"
    return f"Invalid value: {value!r}: {told}"


def _path(location: tuple[str | int, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")


def _without(body: dict[str, Any], locations: list[tuple[str | int, ...]]) -> dict[str, Any]:
    """A copy of `body` in which those places are gone (deepest list items first, so indices stay true)."""
    copy: Any = copy_json(body)
    for location in sorted(locations, key=str, reverse=True):
        parent = copy
        for part in location[:-1]:
            parent = parent[part]
        del parent[location[-1]]
    result: dict[str, Any] = copy
    return result
