"""The scale subresource: how many of something are wanted and there, the same for every kind (autoscaling/v1)."""

from __future__ import annotations

from typing import Any

from api.asgi import Response, json_answer
from api.kube.patches import edit_of, patch_type, read_config
from api.kube.request import ApiRequest
from api.kube.warnings import warning_headers
from controller.resources.managed_fields.tracking import require_manager
from controller.resources.registry import Registry
from controller.resources.selectors import field_at
from crds.errors import BadRequest, Cause, Invalid, MethodNotAllowed
from crds.kind import Kind

SCALE, SCALE_VERSION = "Scale", "autoscaling/v1"
_IDENTITY = ("uid", "resourceVersion")


class ScaleHandler:
    """GET, PUT and PATCH of `/scale`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def answer(self, ask: ApiRequest) -> Response:
        """The scale as it is, or as it is after the write. Raises Conflict, Invalid, MethodNotAllowed."""
        kind, key = ask.target.kind, ask.target.key
        if ask.verb == "get":
            return json_answer(200, scale_of(kind, self._registry.get(kind, key).object))
        if ask.verb not in ("update", "patch"):
            raise MethodNotAllowed("a scale can be read, replaced and patched")
        if ask.verb == "patch" and patch_type(ask) == "apply":
            return await self._apply(ask)
        edit = (lambda _: ask.manifest()) if ask.verb == "update" else edit_of(ask, patch_type(ask))

        def scaled(current: dict[str, Any]) -> dict[str, Any]:
            wanted = edit(scale_of(kind, current))
            return with_replicas(kind, current, wanted)

        written = await self._registry.update(kind, key, scaled, ask.how, subresource="scale")
        return json_answer(200, scale_of(kind, written.body), headers=warning_headers(ask, written.warnings))

    async def _apply(self, ask: ApiRequest) -> Response:
        """Whoever applies a scale owns the number of copies from then on, as of the scale and not of the resource."""
        kind, key, config = ask.target.kind, ask.target.key, read_config(ask, SCALE_VERSION, SCALE)
        require_manager(ask.how.manager if ask.how.named else "")
        wanted = _with({}, (kind.scale_path or "").split("."), _replicas(config))
        wanted["metadata"] = {"resourceVersion": (config.get("metadata") or {}).get("resourceVersion")}
        force = ask.flag("force")
        written = await self._registry.apply(kind, key, wanted, ask.how, force=force, subresource="scale")
        return json_answer(200, scale_of(kind, written.body), headers=warning_headers(ask, written.warnings))


def scale_of(kind: Kind[Any], resource: dict[str, Any]) -> dict[str, Any]:
    """The scale of `resource`."""
    meta = resource["metadata"]
    selector = kind.scale_selector(resource) if kind.scale_selector else ""
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": SCALE,
        "apiVersion": SCALE_VERSION,
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": field_at(resource, kind.scale_path or "") or 0},
        "status": {
            "replicas": field_at(resource, kind.scale_status_path) or 0,
            **({"selector": selector} if selector else {}),
        },
    }


def with_replicas(kind: Kind[Any], resource: dict[str, Any], scale: dict[str, Any]) -> dict[str, Any]:
    """`resource` with the number `scale` wants, for the version it names. Raises BadRequest, Invalid."""
    wanted, meta = _replicas(scale), scale.get("metadata") or {}
    identity = {name: meta.get(name) for name in _IDENTITY if meta.get(name)}
    changed = _with(resource, (kind.scale_path or "").split("."), wanted)
    return {**changed, "metadata": {**resource["metadata"], "resourceVersion": "", **identity}}


def _replicas(scale: dict[str, Any]) -> int:
    meta, spec = scale.get("metadata") or {}, scale.get("spec") or {}
    if not isinstance(meta, dict) or not isinstance(spec, dict):
        raise BadRequest("metadata and spec of a scale must be JSON objects")
    wanted = spec.get("replicas", 0)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0:
        cause = Cause("spec.replicas", f"Invalid value: {wanted!r}: must be a whole number of at least 0")
        raise Invalid(f"the scale is invalid: {cause.field}: {cause.message}", causes=(cause,))
    return wanted


def _with(value: Any, path: list[str], new: Any) -> Any:
    if not path:
        return new
    inner = value if isinstance(value, dict) else {}
    return {**inner, path[0]: _with(inner.get(path[0]), path[1:], new)}
