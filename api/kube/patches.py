"""The body of a PATCH: which of the four kinds it is, and the edit it asks for."""

from __future__ import annotations

from typing import Any, Literal

from api.kube.request import ApiRequest
from controller.resources.edits import Edit, merging, merging_strategically, patching_json
from controller.resources.managed_fields.fields import child_schema
from crds.errors import BadRequest, UnsupportedMedia
from crds.kind import Kind
from crds.schema import Schema

PatchType = Literal["merge", "json", "apply", "strategic"]
_TYPES: dict[str, PatchType] = {
    "application/merge-patch+json": "merge",
    "application/json-patch+json": "json",
    "application/apply-patch+yaml": "apply",
    "application/strategic-merge-patch+json": "strategic",
}


def patch_type(ask: ApiRequest) -> PatchType:
    """Raises UnsupportedMedia: strategic merge exists only for kinds Kubernetes itself has."""
    found = _TYPES.get(ask.content_type)
    if found is not None and (found != "strategic" or is_kubernetes_own(ask.target.kind)):
        return found
    strategic = is_kubernetes_own(ask.target.kind)
    accepted = ", ".join(name for name, each in _TYPES.items() if each != "strategic" or strategic)
    raise UnsupportedMedia(
        "the body of the request was in an unknown format - accepted media types include: "
        f"{accepted} (got {ask.content_type or 'none'})"
    )


def is_kubernetes_own(kind: Kind[Any]) -> bool:
    """Whether clients have this kind compiled in."""
    return not kind.defined and (kind.group in ("", "apps") or kind.group.endswith(".k8s.io"))


def edit_of(ask: ApiRequest, sort: PatchType) -> Edit:
    """The edit a merge, JSON or strategic merge patch asks for. Raises BadRequest."""
    if sort == "json":
        return patching_json(ask.json())
    patch = ask.object("application/json")
    return merging(patch) if sort == "merge" else merging_strategically(patch, ask.target.kind.schema)


def read_config(ask: ApiRequest, api_version: str = "", kind: str = "") -> dict[str, Any]:
    """The applied configuration: YAML or JSON, of that kind or the request's. Without nulls, but where the schema of
    a defined kind has them. Raises BadRequest.
    """
    config = ask.object("application/json" if ask.body.lstrip().startswith(b"{") else "application/yaml")
    if (config.get("metadata") or {}).get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    target = ask.target.kind
    for field, value in (("apiVersion", api_version or target.api_version), ("kind", kind or target.name)):
        if config.get(field) != value:
            raise BadRequest(f"{field} in the applied configuration must be {value!r}, not {config.get(field)!r}")
    own = target.defined and not kind
    cleaned: dict[str, Any] = _with_known_nulls(config, target.schema) if own else _without_nulls(config)
    return cleaned


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


def _with_known_nulls(value: Any, schema: Schema) -> Any:
    """Without the nulls that are no values there: a default would come in their place, or nothing."""
    if isinstance(value, dict):
        below = {name: child_schema(schema, name) for name in value}
        return {
            name: _with_known_nulls(each, below[name])
            for name, each in value.items()
            if each is not None or below[name].get("nullable") or not below[name]
        }
    if isinstance(value, list):
        return [_with_known_nulls(each, schema.get("items") or {}) for each in value]
    return value
