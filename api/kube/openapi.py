"""Schemas of this API's resources, in OpenAPI v2 (kubectl up to 1.28) and v3 (everything newer).

Clients use it to explain kinds, to check manifests before they send them, and to learn that PATCH takes
`dryRun` and `fieldValidation` (without which they check on their own side, against older rules).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson

from crds.kind import Kind, KubeObject
from crds.schema import INT_OR_STRING, PRESERVE, Schema, schema_of

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
Kinds = Iterable[Kind[Any]]
_INFO = {"title": "aerekos", "version": "v1"}
_V3 = "#/components/schemas/"
_V2 = "#/definitions/"
_TEXT, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}
_LISTING = (
    ("labelSelector", _TEXT),
    ("fieldSelector", _TEXT),
    ("limit", _NUMBER),
    ("continue", _TEXT),
    ("resourceVersion", _TEXT),
    ("resourceVersionMatch", _TEXT),
)
_HEAD = {name: schema_of(KubeObject)["properties"][name] for name in ("apiVersion", "kind")}
_OPTIONS = ("dryRun", "fieldManager", "fieldValidation", "force")
_METHODS = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
_META_SCHEMA = schema_of(KubeObject)["properties"]["metadata"]


def index(kinds: Kinds) -> dict[str, Any]:
    """`GET /openapi/v3`: one document for each group and version, with a hash that changes when it does."""
    paths, kinds = {}, list(kinds)
    for group, version in _versions(kinds):
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        digest = hashlib.sha256(orjson.dumps(document_v3(kinds, group, version))).hexdigest()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest[:32].upper()}"}
    return {"paths": paths}


def document_v3(kinds: Kinds, group: str, version: str) -> dict[str, Any] | None:
    """`GET /openapi/v3/apis/{group}/{version}`; None when there is no such version."""
    kinds = [kind for kind in kinds if (kind.group, kind.version) == (group, version)]
    if not kinds:
        return None
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": _paths(kinds, v3=True),
        "components": {"schemas": _definitions(kinds, _V3)},
    }


def document_v2(kinds: Kinds) -> dict[str, Any]:
    """`GET /openapi/v2`: every kind in one document."""
    kinds = list(kinds)
    definitions = {name: _without_v3_words(each) for name, each in _definitions(kinds, _V2).items()}
    return {"swagger": "2.0", "info": _INFO, "paths": _paths(kinds, v3=False), "definitions": definitions}


def definition_name(kind: Kind[Any]) -> str:
    """`cloud.aerekos.v1.Service`; the core group is written as Kubernetes does."""
    if not kind.group:
        return f"io.k8s.api.core.{kind.version}.{kind.name}"
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.name])


def _versions(kinds: Kinds) -> list[tuple[str, str]]:
    return sorted({(kind.group, kind.version) for kind in kinds})


def _definitions(kinds: Kinds, prefix: str) -> dict[str, Schema]:
    found: dict[str, Schema] = {META: _META_SCHEMA}
    for kind in kinds:
        schema = {**kind.schema, "x-kubernetes-group-version-kind": [_gvk(kind)]}
        if kind.description:
            schema["description"] = kind.description
        properties = {**_HEAD, **schema.get("properties", {})}  # clients refuse what has neither, as Helm does
        properties["metadata"] = {"$ref": prefix + META}
        schema["properties"] = properties
        found[definition_name(kind)] = schema
    return found


def _gvk(kind: Kind[Any]) -> dict[str, str]:
    return {"group": kind.group, "version": kind.version, "kind": kind.name}


def _paths(kinds: Kinds, *, v3: bool) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for kind in kinds:
        root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        where = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
        paths[where] = {
            "get": _operation(kind, "list", (), v3=v3),
            "post": _operation(kind, "post", _OPTIONS, v3=v3),
        }
        paths[where + "/{name}"] = {
            method: _operation(kind, action, _OPTIONS if method in ("put", "patch") else (), v3=v3)
            for method, action in _METHODS.items()
        }
        if v3:  # kubectl reads the second version only for its types
            _add_what_is_sent(kind, paths[where], paths[where + "/{name}"])
    return paths


def _add_what_is_sent(kind: Kind[Any], collection: dict[str, Any], single: dict[str, Any]) -> None:
    """Path parameters, the queries of a list, and bodies."""
    room = [_path_parameter("namespace")] if kind.namespaced else []
    collection["get"]["parameters"] = [{"name": name, "in": "query", "schema": type_} for name, type_ in _LISTING]
    collection["parameters"], single["parameters"] = room, [*room, _path_parameter("name")]
    whole = {"schema": {"$ref": f"#/components/schemas/{definition_name(kind)}"}}
    body = {"required": True, "content": {"application/json": whole}}
    collection["post"]["requestBody"] = body
    if "put" in single:
        single["put"]["requestBody"] = body
    if "patch" in single:
        patch = {"schema": {"type": "object"}}
        single["patch"]["requestBody"] = {"required": True, "content": {"application/merge-patch+json": patch}}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _operation(kind: Kind[Any], action: str, options: Iterable[str], *, v3: bool) -> dict[str, Any]:
    def parameter(name: str) -> dict[str, Any]:
        type_ = "boolean" if name == "force" else "string"
        typed: dict[str, Any] = {"schema": {"type": type_}} if v3 else {"type": type_}
        return {"name": name, "in": "query", **typed}

    return {
        "operationId": f"{action}{definition_name(kind)}",
        "parameters": [parameter(name) for name in options],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
    }


def _without_v3_words(schema: Schema) -> Schema:
    """v2 clients know neither defaults of open types nor a type that is a number or a string."""
    plain = {word: value for word, value in schema.items() if word not in ("default", "nullable", INT_OR_STRING)}
    if INT_OR_STRING in schema:
        plain |= {"type": "string", "format": "int-or-string"}
    elif PRESERVE in schema and "type" not in schema:
        plain["type"] = "object"
    if "properties" in plain:
        plain["properties"] = {name: _without_v3_words(each) for name, each in plain["properties"].items()}
    for word in ("items", "additionalProperties"):
        if isinstance(plain.get(word), dict):
            plain[word] = _without_v3_words(plain[word])
    return plain
