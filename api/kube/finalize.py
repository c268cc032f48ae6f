"""`PUT /api/v1/namespaces/{name}/finalize`: the finalizers in a namespace's spec, which are whoever's wrote them.

In Kubernetes an empty list also tears a namespace from what is still in it, which then is there and in no namespace.
Here a namespace goes when it is empty, and whoever wants it gone sooner hears what is left.
"""

from __future__ import annotations

from typing import Any

from api.asgi import Response, json_answer
from api.kube.request import ApiRequest
from api.kube.warnings import warning_headers
from controller.resources.invariants import check_place
from controller.resources.registry import Registry
from crds.errors import BadRequest, Conflict

_HELD = ("NamespaceDeletionContentFailure", "NamespaceFinalizersRemaining", "NamespaceContentRemaining")


async def finalized(ask: ApiRequest, registry: Registry) -> Response:
    """200 and the namespace with those finalizers. Raises Conflict while it is being deleted and not empty."""
    kind, key, body = ask.target.kind, ask.target.key, ask.manifest()
    check_place(kind, key, body)
    spec, meta = body.get("spec") or {}, body.get("metadata") or {}
    if not isinstance(spec, dict):
        raise BadRequest("spec must be a JSON object")
    wanted = spec.get("finalizers") or None

    def edit(current: dict[str, Any]) -> dict[str, Any]:
        if current["metadata"].get("deletionTimestamp") and not wanted:
            raise Conflict(f"the namespace {key.name} goes by itself once it is empty; {_left(current)}", key=key)
        identity = {name: meta[name] for name in ("uid", "resourceVersion") if meta.get(name)}
        kept = {**current["metadata"], "resourceVersion": "", **identity}
        return {**current, "metadata": kept, "spec": {**(current.get("spec") or {}), "finalizers": wanted}}

    written = await registry.update(kind, key, edit, ask.how, subresource=ask.target.subresource)
    return json_answer(200, written.body, headers=warning_headers(ask, written.warnings))


def _left(namespace: dict[str, Any]) -> str:
    conditions = (namespace.get("status") or {}).get("conditions") or ()
    told = {each["type"]: each.get("message", "") for each in conditions if each.get("status") == "True"}
    found = [told[name] for name in _HELD if name in told]
    return "; ".join(found) or "what is in it is being deleted"
