"""GET of one resource or a list, as objects or as a Table, in pages of one revision."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import orjson

from api.wire.answering import Answer, json_answer
from api.wire.asking import Ask, as_count
from api.wire.tables import table, wants_table
from controller.kit.clock import Clock
from controller.resources.local import SELECTABLE
from controller.resources.registry import Registry
from controller.resources.selecting import by_fields, by_labels
from controller.store.records import Compacted, Record, Snapshot
from crds.errors import BadRequest, Expired


class Reading:
    """Answers from the store's memory; only later pages of a long list may need its history."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock

    async def get(self, ask: Ask) -> Answer:
        """One resource, as the bytes the store keeps."""
        record = self._registry.get(ask.target.kind, ask.target.key)
        if wants_table(ask.headers.get("accept", "")):
            meta = {"resourceVersion": str(record.revision)}
            return json_answer(200, table(ask.target.kind, [record.object], meta, now=self._clock.now()))
        return Answer(200, record.body)

    async def list(self, ask: Ask) -> Answer:
        """Raises BadRequest (selector, limit, token), Expired (the page's revision is compacted)."""
        revision, after = _read_token(ask.params.get("continue", ""))
        snapshot = await self._snapshot(ask, revision)
        records = chosen(ask, snapshot.records)
        limit = as_count(ask.params, "limit") or 0
        page, rest = _page(records, after, limit)
        meta: dict[str, Any] = {"resourceVersion": str(snapshot.revision)}
        if rest:
            meta["continue"] = _write_token(snapshot.revision, page[-1])
            if not ask.params.get("labelSelector") and not ask.params.get("fieldSelector"):
                meta["remainingItemCount"] = rest
        return self._rendered(ask, page, meta)

    async def _snapshot(self, ask: Ask, revision: int) -> Snapshot:
        kind, namespace, store = ask.target.kind, ask.target.namespace, self._registry.store
        if not revision or revision == store.revision:
            return store.list(kind.group, kind.plural, namespace)
        try:
            return await store.list_at(kind.group, kind.plural, namespace, revision)
        except Compacted as gone:
            raise Expired("The provided continue parameter is too old; start the list again") from gone

    def _rendered(self, ask: Ask, page: Sequence[Record], meta: dict[str, Any]) -> Answer:
        kind = ask.target.kind
        if wants_table(ask.headers.get("accept", "")):
            return json_answer(200, table(kind, [record.object for record in page], meta, now=self._clock.now()))
        head = orjson.dumps({"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": meta})
        return Answer(200, head[:-1] + b',"items":[' + b",".join(record.body for record in page) + b"]}")


def chosen(ask: Ask, records: Sequence[Record]) -> Sequence[Record]:
    """Those the request's selectors mean."""
    tests = [
        by_labels(ask.params.get("labelSelector", "")),
        by_fields(ask.params.get("fieldSelector", ""), SELECTABLE),
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


def _write_token(revision: int, last: Record) -> str:
    text = orjson.dumps([revision, last.key.namespace, last.key.name])
    return base64.urlsafe_b64encode(text).decode()


def _read_token(token: str) -> tuple[int, tuple[str, str] | None]:
    if not token:
        return 0, None
    try:
        revision, namespace, name = orjson.loads(base64.urlsafe_b64decode(token))
        return int(revision), (str(namespace), str(name))
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadRequest("continue key is not valid; start the list again without it") from error
