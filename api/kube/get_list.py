"""GET of one resource or a list, as objects, as a Table or as metadata, in pages of one revision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from api.asgi import Response, json_answer
from api.kube.negotiation import Form, form_of
from api.kube.request import ApiRequest, as_count
from api.kube.resource_version import ListPosition, list_place, newest_token, write_token
from api.kube.storage import ResourceStorage, StorageMap
from api.kube.tables import partial, table
from controller.kit.clock import Clock
from controller.resources.selectors import by_fields, by_labels
from controller.store.records import Compacted, Record, Snapshot
from crds.errors import Expired

_TOO_OLD = (
    "The provided continue parameter is too old to go on with the list as it was. You can start a new list without "
    "it, or use the continue token in this response for the rest as it is now: what changed in between may be "
    "missing, or come twice."
)


class ReadHandler:
    """Answers from memory; only later pages of a long list, and exact old revisions, may need the history."""

    def __init__(self, sources: StorageMap, clock: Clock) -> None:
        self._sources, self._clock = sources, clock

    async def get(self, ask: ApiRequest) -> Response:
        """One resource, as the bytes the store keeps."""
        form = form_of(ask.header(b"accept"))
        record = await self._sources.of(ask.target.kind).get(ask.target.kind, ask.target.key)
        if form == "object":
            return Response(200, record.body)
        if form == "metadata":
            return json_answer(200, partial(record.object))
        meta = {"resourceVersion": str(record.revision)}
        return json_answer(200, self._table(ask, [record], meta))

    async def list(self, ask: ApiRequest) -> Response:
        """Raises BadRequest (selector, limit, token), Invalid, Expired (the revision is compacted), Timeout."""
        form = form_of(ask.header(b"accept"))
        source = self._sources.of(ask.target.kind)
        place = list_place(ask, source.revision)
        snapshot = await _snapshot(source, ask, place)
        records = chosen(ask, snapshot.records)
        page, rest = _page(records, place.after, as_count(ask.params, "limit") or 0)
        meta: dict[str, Any] = {"resourceVersion": str(snapshot.revision)}
        if rest:
            meta["continue"] = write_token(snapshot.revision, page[-1])
            if not ask.params.get("labelSelector") and not ask.params.get("fieldSelector"):
                meta["remainingItemCount"] = rest
        return self._rendered(ask, form, page, meta)

    def _rendered(self, ask: ApiRequest, form: Form, page: Sequence[Record], meta: dict[str, Any]) -> Response:
        kind = ask.target.kind
        if form == "table":
            return json_answer(200, self._table(ask, page, meta))
        if form == "metadata":
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
            return json_answer(200, {**head, "items": [partial(record.object) for record in page]})
        head = {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": meta}
        items = b",".join([record.body for record in page])
        return Response(200, orjson.dumps(head)[:-1] + b',"items":[' + items + b"]}")

    def _table(self, ask: ApiRequest, records: Sequence[Record], meta: dict[str, Any]) -> dict[str, Any]:
        objects = [record.object for record in records]
        include = ask.params.get("includeObject", "")
        return table(ask.target.kind, objects, meta, now=self._clock.now(), include=include)


async def _snapshot(source: ResourceStorage, ask: ApiRequest, place: ListPosition) -> Snapshot:
    kind, namespace = ask.target.kind, ask.target.namespace
    if not place.revision or place.revision == source.revision:
        return await source.fresh(kind, namespace)
    try:
        return await source.list_at(kind, namespace, place.revision)
    except Compacted as gone:
        if place.after is None:
            raise Expired("The provided resource version is too old; start the list again") from gone
        raise Expired(_TOO_OLD, go_on=newest_token(place.after)) from gone


def chosen(ask: ApiRequest, records: Sequence[Record]) -> Sequence[Record]:
    """Records that the request's selectors mean."""
    kind = ask.target.kind
    tests = [
        by_labels(ask.params.get("labelSelector", "")),
        by_fields(ask.params.get("fieldSelector", ""), kind.selectable_fields, kind.selectable_absent),
    ]
    for test in tests:
        if test is not None:
            records = [record for record in records if test(record.object)]
    return records


def _page(records: Sequence[Record], after: tuple[str, str] | None, limit: int) -> tuple[Sequence[Record], int]:
    if after:
        records = [r for r in records if (r.key.namespace, r.key.name) > after]
    if not limit or len(records) <= limit:
        return records, 0
    return records[:limit], len(records) - limit
