"""LogGroups say what they hold; what is deleted takes its lines along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.logs_manager.conditions import LogGroupReason
from services.logs_manager.invariants import LINES
from services.logs_manager.kinds import LOG_GROUP, LogGroup
from services.logs_manager.names import group_arn
from services.logs_manager.store.log_store import LogStore
from services.logs_manager.upkeep import MOST_BYTES, Upkeep
from services.sdk.aws.accounts import account_of
from services.sdk.reconcile import AlsoWatch, Outcome, World, done

_LOOK_AGAIN = 300.0


class GroupReconciler:
    """Writes only what changed: lines are no write. Sizes move when they moved by a tenth, times by five minutes."""

    kind = LOG_GROUP
    finalizer: str | None = LINES
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, store: LogStore, upkeep: Upkeep) -> None:
        self._store, self._upkeep = store, upkeep

    async def reconcile(self, resource: LogGroup, world: World) -> Outcome:
        status, meta = resource.status, resource.metadata
        namespace = meta.namespace or "default"
        status.arn = group_arn(resource.spec.region, account_of(namespace), resource.group_name)
        streams = self._store.streams.of_group(namespace, meta.name)
        sizes = [size for each in streams if (size := self._upkeep.sizes.get(each.id)) is not None]
        stored, status.streams = sum(each.stored for each in sizes), len(streams)
        if abs(stored - status.stored_bytes) > status.stored_bytes / 10:
            status.stored_bytes = stored
        status.oldest_at = _moved(status.oldest_at, min((each.first for each in sizes), default=None))
        status.newest_at = _moved(status.newest_at, max((each.last for each in sizes), default=None))
        if (namespace, meta.name) in self._upkeep.over:
            text = (
                f"it has more than {resource.spec.max_bytes} bytes, or all groups together more than {MOST_BYTES}: "
                "the oldest lines go; raise maxBytes, or keep less, to keep more"
            )
            return done(text, reason=LogGroupReason.FULL, requeue_after=_LOOK_AGAIN)
        return done(reason=LogGroupReason.KEPT, requeue_after=_LOOK_AGAIN)

    async def finalize(self, resource: LogGroup, world: World) -> Outcome:
        """Raises sqlite3.Error: it is tried again."""
        meta = resource.metadata
        await self._store.delete(self._store.streams.of_group(meta.namespace or "default", meta.name))
        return done()


def _moved(before: datetime | None, ns: int | None) -> datetime | None:
    if ns is None:
        return None
    now = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return before if before is not None and abs((now - before).total_seconds()) < _LOOK_AGAIN else now
