"""Writes to views: edits of nodes and deployments, restarts by deleting or evicting pods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from api.asgi import Response, json_answer
from api.auth.pass_role import RolePassing
from api.kube.patches import edit_of, patch_type
from api.kube.request import ApiRequest
from api.kube.scale import scale_of, with_replicas
from api.kube.views.nodes import NODE
from api.kube.views.pod_annotations import refuse_others
from api.kube.views.pod_template import RESTARTED_AT
from api.kube.views.pods import POD
from api.kube.views.view import Body, ViewStorage
from api.kube.warnings import warning_headers
from controller.admission.request import AdmissionRequest
from controller.kit.clock import Clock
from controller.resources.edits import Edit
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.records import Record
from crds.conditions import ConditionType
from crds.errors import BadRequest, Conflict, MethodNotAllowed, NotFound, TooManyRequests
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey
from crds.model import rfc3339

Restart = Callable[[ObjectKey, str], Awaitable[bool]]
"""Stops one instance, which the runtime then starts again. False when it cannot do that to a single one."""


class ViewWriteHandler:
    """Answers PUT, PATCH, POST and DELETE on views. Errors are `crds.errors.ApiError`s."""

    def __init__(self, registry: Registry, clock: Clock, restart: Restart | None, passing: RolePassing) -> None:
        self._registry, self._clock, self._restart, self._passing = registry, clock, restart, passing

    async def answer(self, ask: ApiRequest, source: ViewStorage) -> Response:
        target = ask.target
        if target.subresource == "scale":
            return await self._scale(ask, source)
        if target.subresource == "eviction":
            return await self._evict(ask, source)
        if target.subresource:
            raise MethodNotAllowed(f"{target.kind.plural}/{target.subresource} can only be read")
        if target.kind is POD:
            refuse_others(ask.who, target.key, _held(source, target.key))
        if ask.verb in ("update", "patch"):
            self._refuse_passing(ask, source)
            written = await source.update(target.key, _edit(ask), ask.how)
            return json_answer(200, written.body, headers=warning_headers(ask, written.warnings))
        return await self._delete(ask, source)

    def _refuse_passing(self, ask: ApiRequest, source: ViewStorage) -> None:
        """Raises Forbidden where what is shown is a Service with a role that the asker may not pass."""
        held = source.found(ask.target.key)[1]
        if held.key[:2] == (SERVICE.group, SERVICE.plural):
            self._passing.refuse(ask.who, SERVICE, held.key.namespace, held.object, {}, partly=True)

    async def _scale(self, ask: ApiRequest, source: ViewStorage) -> Response:
        kind = ask.target.kind
        if ask.verb == "get":
            return json_answer(200, scale_of(kind, source.found(ask.target.key)[0].object))
        edit = _edit(ask)
        scaled: Edit = lambda shown: with_replicas(kind, shown, edit(scale_of(kind, shown)))  # noqa: E731
        written = await source.update(ask.target.key, scaled, ask.how)
        return json_answer(200, scale_of(kind, written.body), headers=warning_headers(ask, written.warnings))

    async def _delete(self, ask: ApiRequest, source: ViewStorage) -> Response:
        """The answer is what was deleted: typed clients insist on it."""
        options = ask.manifest() if ask.body.strip() else {}
        shown, held = source.found(ask.target.key)
        _check(options, shown)
        how = _rehearsed(ask.how, options)
        self._admit(ask, "DELETE", shown.object, None)
        if ask.target.kind is NODE:
            await self._registry.delete(WORKER, held.key, how, uid=held.uid)
        elif not how.dry_run:
            await self._restarted(held, ask.target.name, how)
        return json_answer(200, shown.object)

    async def _evict(self, ask: ApiRequest, source: ViewStorage) -> Response:
        """A restart elsewhere: refused while there is no other worker it could go to. Raises TooManyRequests."""
        options = ask.manifest().get("deleteOptions") or {}
        shown, held = source.found(ask.target.key)
        _check(options, shown)
        self._admit(ask, "CREATE", None, shown.object)
        node = shown.object["spec"].get("nodeName")
        workers = self._registry.store.list(WORKER.group, WORKER.plural).records
        elsewhere = [each for each in workers if each.key.name != node and not _is_closed(each.object)]
        if not elsewhere:
            # Without Retry-After: with it clients would wait on their own, past the time kubectl was given.
            raise TooManyRequests(f"Cannot evict pod {ask.target.name}: no other worker takes new instances")
        how = _rehearsed(ask.how, options)
        if not how.dry_run:
            await self._restarted(held, ask.target.name, how)
        success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        return json_answer(201, success)

    def _admit(
        self, ask: ApiRequest, operation: Literal["CREATE", "DELETE"], old: Body | None, new: Body | None
    ) -> None:
        """What is no write of a stored resource is asked about as what it is called. Raises as policies say."""
        target, dry = ask.target, ask.how.dry_run
        request = AdmissionRequest(
            operation, target.kind, target.key, ask.requester, old, new, target.subresource, dry
        )
        self._registry.admission.validate(request)

    async def _restarted(self, service: Record, instance: str, how: WriteOptions) -> None:
        """That one instance where the runtime can, or else all of them, one after the other."""
        if self._restart is not None and await self._restart(service.key, instance):
            return
        annotations = {RESTARTED_AT: rfc3339(self._clock.now())}
        await self._registry.merge(SERVICE, service.key, {"metadata": {"annotations": annotations}}, how)


def _held(source: ViewStorage, key: ObjectKey) -> ObjectKey | None:
    try:
        return source.found(key)[1].key
    except NotFound:
        return None


def _edit(ask: ApiRequest) -> Edit:
    if ask.verb == "update":
        wanted = ask.manifest()
        return lambda _: wanted
    sort = patch_type(ask)
    if sort == "apply":
        raise BadRequest(f"{ask.target.kind.plural} are a view; apply the resource they show")
    return edit_of(ask, sort)


def _check(options: Body, shown: Record) -> None:
    preconditions = options.get("preconditions") or {}
    uid, version = preconditions.get("uid"), preconditions.get("resourceVersion")
    if (uid and uid != shown.uid) or (version and version != str(shown.revision)):
        raise Conflict(f"the precondition for {shown.key} does not hold: it has changed since", key=shown.key)


def _rehearsed(how: WriteOptions, options: Body) -> WriteOptions:
    asked: Any = options.get("dryRun")
    return how._replace(dry_run=True) if asked == ["All"] else how


def _is_closed(worker: Body) -> bool:
    ready = any(
        each["type"] == ConditionType.READY and each["status"] == "True"
        for each in (worker.get("status") or {}).get("conditions") or ()
    )
    return bool((worker.get("spec") or {}).get("unschedulable")) or not ready
