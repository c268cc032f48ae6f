"""POST, PUT, PATCH and DELETE on the resource API."""

from __future__ import annotations

from typing import Any

import orjson

from api.asgi import Response, json_answer
from api.auth.authorizer import Authorizer
from api.auth.escalation import refuse_escalation
from api.auth.iam_policies import IamPolicies
from api.auth.lending import refuse_lending
from api.auth.networks import refuse_foreign_networks
from api.auth.pass_role import RolePassing
from api.kube.get_list import chosen
from api.kube.patches import edit_of, patch_type, read_config
from api.kube.request import ApiRequest
from api.kube.warnings import warning_headers
from controller.kit.clock import Clock
from controller.resources.edits import Edit
from controller.resources.managed_fields.tracking import require_manager
from controller.resources.registry import Registry, WriteResult
from controller.resources.versions import convert_snapshot
from crds.errors import BadRequest, Cause, Conflict, Forbidden, Invalid, MethodNotAllowed, NotFound
from crds.kinds.rbac import GROUP as RBAC
from crds.kinds.service import SERVICE


class WriteHandler:
    """Each method answers one HTTP verb. Errors are `crds.errors.ApiError`s."""

    def __init__(self, registry: Registry, authorizer: Authorizer, clock: Clock) -> None:
        self._registry, self._authorizer = registry, authorizer
        self.passing = RolePassing(authorizer, IamPolicies(registry.store), clock)

    async def create(self, ask: ApiRequest) -> Response:
        """201 and the new resource."""
        if ask.target.name:
            raise MethodNotAllowed("POST goes to the collection; use PUT or PATCH for a named resource")
        body = ask.manifest()
        kind, namespace = ask.target.kind, ask.target.namespace
        named = (body.get("metadata") or {}).get("namespace")
        if kind.namespaced and namespace is None:
            namespace = named or "default"
        elif kind.namespaced and named not in (None, "", namespace):
            raise BadRequest(
                f"the namespace of the provided object ({named}) does not match the one of the request ({namespace})"
            )
        for field, value in (("apiVersion", kind.api_version), ("kind", kind.name)):
            if body.get(field) not in (None, "", value):
                raise BadRequest(f"{field} in the body ({body[field]}) is not the one of the URL ({value})")
        self._guard(ask, body)
        written = await self._registry.create(kind, namespace or "", body, ask.how)
        return _written(ask, 201, written)

    async def replace(self, ask: ApiRequest) -> Response:
        """200 and the resource as it is now."""
        target, body = ask.target, ask.manifest()
        self._guard(ask, body)
        written = await self._registry.replace(target.kind, target.key, body, ask.how, subresource=target.subresource)
        return _written(ask, 200, written)

    async def patch(self, ask: ApiRequest) -> Response:
        """200 and the resource as it is now; 201 when an apply made it."""
        target, sub = ask.target, ask.target.subresource
        sort = patch_type(ask)
        if sort == "apply":
            return await self._apply(ask, sub)
        if "force" in ask.params:
            forbidden = "Forbidden: may not be specified for non-apply patch"
            raise _option_refused("PatchOptions", Cause("force", forbidden, "FieldValueForbidden"))
        edit = self._guarded(ask, edit_of(ask, sort))
        written = await self._registry.update(target.kind, target.key, edit, ask.how, subresource=sub)
        return _written(ask, 200, written)

    async def _apply(self, ask: ApiRequest, subresource: str) -> Response:
        target, config = ask.target, read_config(ask)
        how = ask.how
        require_manager(how.manager if how.named else "")
        before = self._registry.store.get(target.key)
        self._guard(ask, config, before.object if before else {})
        written = await self._registry.apply(
            target.kind, target.key, config, how, force=ask.flag("force"), subresource=subresource
        )
        return _written(ask, 200 if before else 201, written)

    def _guarded(self, ask: ApiRequest, edit: Edit) -> Edit:
        kind = ask.target.kind
        if kind.group != RBAC and kind is not SERVICE and kind.passes is None and kind.lends is None:
            return edit

        def guarded(current: dict[str, Any]) -> dict[str, Any]:
            edited = edit(current)
            self._guard(ask, edited)
            return edited

        return guarded

    def _guard(self, ask: ApiRequest, body: dict[str, Any], besides: dict[str, Any] | None = None) -> None:
        """`besides`: what stands and stays, where `body` is only a part."""
        target = ask.target
        named = (body.get("metadata") or {}).get("namespace")
        place = target.namespace or str(named or "default")
        if target.kind is SERVICE and not target.subresource:
            refuse_foreign_networks(self._authorizer, ask.who, place, body, besides or {})
        if (target.kind.passes is not None or target.kind.lends is not None) and not target.subresource:
            self._refuse_giving(ask, place, body, besides)
        if target.kind.group == RBAC:
            namespace = target.namespace or "" if target.kind.namespaced else ""
            refuse_escalation(self._authorizer, ask.who, target.kind, namespace, target.name, body)

    def _refuse_giving(
        self, ask: ApiRequest, namespace: str, body: dict[str, Any], besides: dict[str, Any] | None
    ) -> None:
        """Raises Forbidden for a resource with a role that the asker may not pass, or a right they have not."""
        name, kind = ask.target.name, ask.target.kind  # no name: it is to be made, and nothing of it stands
        record = self._registry.store.get(kind.key(name, namespace)) if name and besides is None else None
        before = besides if besides is not None else record.object if record else {}
        partly = besides is not None
        self.passing.refuse(ask.who, kind, namespace, before, body, partly=partly)
        refuse_lending(self._authorizer, ask.who, kind, namespace, before, body, partly=partly)

    async def delete(self, ask: ApiRequest) -> Response:
        """200: a Status once it is gone, the marked resource while finalizers hold it."""
        options = _delete_options(ask)
        target = ask.target
        preconditions = options.get("preconditions") or {}
        written = await self._registry.delete(
            target.kind,
            target.key,
            ask.how,
            propagation=options.get("propagationPolicy") or "Background",
            uid=preconditions.get("uid"),
            resource_version=preconditions.get("resourceVersion"),
        )
        if written.record is not None and written.record.verb == "deleted":
            return json_answer(200, _gone(ask, written.body))
        return _written(ask, 200, written)

    async def delete_collection(self, ask: ApiRequest) -> Response:
        """Asks for the deletion of everything the selectors mean; answers with what was there.

        What may not go does not keep the others; then the answer is the first refusal.
        """
        kind, store = ask.target.kind, self._registry.store
        options = _delete_options(ask)
        snapshot = store.list(kind.group, kind.plural, ask.target.namespace)
        records = chosen(ask, convert_snapshot(kind, snapshot).records)
        refused: list[Conflict | Forbidden] = []
        for record in records:
            try:
                await self._registry.delete(
                    kind, record.key, ask.how, propagation=options.get("propagationPolicy") or "Background"
                )
            except NotFound:
                continue
            except (Conflict, Forbidden) as error:
                refused.append(error)
        if refused:
            raise refused[0]
        meta = {"resourceVersion": str(store.revision)}
        items = [record.object for record in records]
        return json_answer(
            200, {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}
        )


def _delete_options(ask: ApiRequest) -> dict[str, Any]:
    options = ask.manifest() if ask.body.strip() else {}
    policy = ask.params.get("propagationPolicy") or options.get("propagationPolicy")
    if policy is None and options.get("orphanDependents") is not None:  # what clients sent before there were policies
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy not in (None, "Background", "Foreground", "Orphan"):
        raise _option_refused("DeleteOptions", Cause("propagationPolicy", f"Unsupported value: {policy!r}: supported "
                              'values: "Background", "Foreground", "Orphan"', "FieldValueNotSupported"))  # fmt: skip
    if dry := options.get("dryRun"):
        ask.params["dryRun"] = dry[0] if isinstance(dry, list) else str(dry)
    return {**options, "propagationPolicy": policy}


def _option_refused(options: str, cause: Cause) -> Invalid:
    return Invalid(f'{options}.meta.k8s.io "" is invalid: {cause.field}: {cause.message}', causes=(cause,))


def _gone(ask: ApiRequest, body: dict[str, Any]) -> dict[str, Any]:
    target = ask.target
    details = {
        "name": target.name,
        "group": target.kind.group,
        "kind": target.kind.plural,
        "uid": body["metadata"].get("uid"),
    }
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _written(ask: ApiRequest, code: int, written: WriteResult) -> Response:
    body = written.record.body if written.record is not None else orjson.dumps(written.body)
    return Response(code, body, headers=warning_headers(ask, written.warnings))
