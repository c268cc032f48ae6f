"""The scale subresource: how many of something are wanted and there, the same for every kind (autoscaling/v1)."""

from __future__ import annotations

from typing import Any

from api.wire.answering import Answer, json_answer
from api.wire.asking import Ask
from api.wire.patches import edit_of, patch_type
from controller.resources.registry import Registry
from controller.resources.selecting import field_at
from crds.errors import BadRequest, Cause, Invalid, MethodNotAllowed
from crds.kind import Kind


class Scaling:
    """GET, PUT and PATCH of `/scale`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def answer(self, ask: Ask) -> Answer:
        """The scale as it is, or as it is after the write. Raises Conflict, Invalid, MethodNotAllowed."""
        kind, key = ask.target.kind, ask.target.key
        if ask.verb == "get":
            return json_answer(200, scale_of(kind, self._registry.get(kind, key).object))
        if ask.verb not in ("update", "patch"):
            raise MethodNotAllowed("a scale can be read, replaced and patched")
        edit = (lambda _: ask.manifest()) if ask.verb == "update" else edit_of(ask, patch_type(ask))

        def scaled(current: dict[str, Any]) -> dict[str, Any]:
            wanted = edit(scale_of(kind, current))
            return with_replicas(kind, current, wanted)

        written = await self._registry.update(kind, key, scaled, ask.how)
        return json_answer(200, scale_of(kind, written.body))


def scale_of(kind: Kind[Any], resource: dict[str, Any]) -> dict[str, Any]:
    """The scale of `resource`."""
    meta = resource["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": field_at(resource, kind.scale_path or "") or 0},
        "status": {"replicas": field_at(resource, kind.scale_status_path) or 0},
    }


def with_replicas(kind: Kind[Any], resource: dict[str, Any], scale: dict[str, Any]) -> dict[str, Any]:
    """`resource` with the number `scale` wants, for the version it names. Raises BadRequest, Invalid."""
    meta, spec = scale.get("metadata") or {}, scale.get("spec") or {}
    if not isinstance(meta, dict) or not isinstance(spec, dict):
        raise BadRequest("metadata and spec of a scale must be JSON objects")
    wanted = spec.get("replicas", 0)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0:
        cause = Cause("spec.replicas", f"Invalid value: {wanted!r}: must be a whole number of at least 0")
        raise Invalid(f"the scale is invalid: {cause.field}: {cause.message}", causes=(cause,))
    identity = {name: meta.get(name) for name in ("uid", "resourceVersion") if meta.get(name)}
    changed = _with(resource, (kind.scale_path or "").split("."), wanted)
    return {**changed, "metadata": {**resource["metadata"], "resourceVersion": "", **identity}}


def _with(value: Any, path: list[str], new: Any) -> Any:
    if not path:
        return new
    inner = value if isinstance(value, dict) else {}
    return {**inner, path[0]: _with(inner.get(path[0]), path[1:], new)}
