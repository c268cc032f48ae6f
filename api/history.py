"""What a resource was before, and which revision belongs to a moment: the routes behind `history`, `--at` and `undo`.

History reaches back as far as the store keeps it. Whoever may get a resource may read what it was, since its
namespace was made; who may get it in every namespace, also what came before that.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any

import anyio
import anyio.to_thread
import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from api.kube.request import ResourcePath, find_target, not_served
from api.kube.tenancy import Tenancy
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.resources.versions import convert_record
from controller.store.records import Record
from crds.errors import BadRequest, Expired, NotFound
from crds.kind import GROUP, Kind
from crds.model import rfc3339_micro

MOST_VERSIONS, MOST_BYTES, _AT_ONCE = 1000, 2**24, 2
# Moves with every write, or is set by controllers: a version is another one by what is left, which people wish for.
_MOVING = ("resourceVersion", "generation", "managedFields", "finalizers")
# Clocks of two machines differ; a moment that is only just to come is the present one.
_AHEAD = timedelta(seconds=30)


def history_routes(
    registry: Registry, authenticator: Authenticator, authorizer: Authorizer, clock: Clock
) -> APIRouter:
    """`GET /history/<path of a resource>`: its versions, oldest first, those whose status alone differs left out
    unless `status=true`; the newest `limit` among the newest MOST_BYTES. `GET /history?at=<RFC 3339>`: the revision
    of that moment.
    """
    router = APIRouter(prefix="/history")
    store, tenancy = registry.store, Tenancy(registry.store)
    # The past is read from disk, in the threads that also write, and much of it at once.
    few = anyio.Semaphore(_AT_ONCE)

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("")
    async def revision(asker: Annotated[Principal, Depends(authenticate)], at: AwareDatetime) -> dict[str, Any]:
        if at > clock.now() + _AHEAD:
            raise BadRequest(f"at: {rfc3339_micro(at)} is still to come")
        async with few:
            found = await store.revision_at(at)
        if not found:
            because = "is no longer kept" if store.oldest > 1 else "is nothing: this cloud was made later"
            raise Expired(f"at: what stood at {rfc3339_micro(at)} {because}; {_oldest(store.oldest)}")
        return {"revision": found, "oldest": store.oldest}

    @router.get("/{group}/{path:path}")
    async def versions(
        group: str,
        path: str,
        asker: Annotated[Principal, Depends(authenticate)],
        status: bool = False,
        limit: Annotated[int, Query(ge=1, le=MOST_VERSIONS)] = 100,
    ) -> Response:
        target = _target(f"/{group}/{path}", registry)
        may = Action("get", target.kind.group, target.kind.plural, target.room, target.name)
        authorizer.require(asker, may)
        cluster_wide = authorizer.allows(asker, may._replace(namespace=""))
        began = 0 if cluster_wide else await tenancy.began(target.room)
        async with few:
            kept = await store.history(target.key, most_bytes=MOST_BYTES)
            kept = [each for each in kept if each.revision >= began]
            if not kept:
                raise NotFound(f'{target.kind.plural} "{target.name}" is not in the history; {_oldest(store.oldest)}')
            body = await anyio.to_thread.run_sync(lambda: _answer(target.kind, kept, store.oldest, limit, status))
        return Response(body, media_type="application/json")

    return router


def _target(path: str, registry: Registry) -> ResourcePath:
    """The stored resource that path names. Raises NotFound for collections, subresources and what is only shown."""
    target = find_target(path, registry.catalog)
    if not target.name or target.subresource:
        raise not_served()
    return target


def _answer(kind: Kind[Any], kept: Sequence[Record], oldest: int, limit: int, status: bool) -> bytes:
    """JSON. Takes a while: many bodies are read, and written again."""
    chosen = kept if status else list(_wanted(kept))
    shown = [_version(convert_record(kind, each)) for each in chosen[-limit:]]
    head = {"apiVersion": f"{GROUP}/v1", "kind": "ResourceHistory", "oldest": oldest}
    return orjson.dumps({**head, "versions": shown})


def _wanted(kept: Sequence[Record]) -> Iterator[Record]:
    """Those that differ from the one before in more than their status."""
    before: Any = None
    for each in kept:
        wish = (each.uid, each.verb == "deleted", _wish(each.object))
        if wish != before:
            yield each
        before = wish


def _wish(resource: dict[str, Any]) -> dict[str, Any]:
    meta = {key: value for key, value in resource["metadata"].items() if key not in _MOVING}
    return {**{key: value for key, value in resource.items() if key != "status"}, "metadata": meta}


def _version(record: Record) -> dict[str, Any]:
    return {
        "revision": record.revision,
        "verb": record.verb,
        "time": rfc3339_micro(record.written_at),
        "by": record.written_by,
        "resource": record.object,
    }


def _oldest(revision: int) -> str:
    return f"the oldest revision that is kept is {revision}"
