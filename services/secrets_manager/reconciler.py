"""The ManagedSecret reconciler: says what it is called in AWS, and deletes it when its date has come."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from crds.errors import NotFound
from services.sdk.reconcile import AlsoWatch, Outcome, World, done
from services.secrets_manager.conditions import SecretReason
from services.secrets_manager.kinds import MANAGED_SECRET, ManagedSecret
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.secret_store import SecretStore

_LONGEST_REQUEUE_SECONDS = 86_400.0


class SecretReconciler:
    """Reads and writes through the store of the operations."""

    kind = MANAGED_SECRET
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    async def reconcile(self, resource: ManagedSecret, world: World) -> Outcome:
        found, now = FoundSecret(resource), world.clock.now()
        due = resource.spec.deletion_date
        if due is not None and due <= now and await self._deleted(found, now):
            return done("deleted as scheduled", reason=SecretReason.DELETED)
        resource.status.arn = found.arn
        if due is not None:
            return done(reason=SecretReason.SCHEDULED, requeue_after=_seconds(now, due))
        return done(reason=SecretReason.CURRENT if found.current else SecretReason.EMPTY)

    async def finalize(self, resource: ManagedSecret, world: World) -> Outcome:
        return done()

    async def _deleted(self, found: FoundSecret, now: datetime) -> bool:
        """Whether it has gone. It is read again: the wish to delete may have been taken back since."""
        with suppress(NotFound):
            fresh = await self._store.read(found)
            if fresh is None:
                return True
            if fresh.spec.deletion_date is None or fresh.spec.deletion_date > now:
                return False
            await self._store.delete(fresh)
        return True


def _seconds(now: datetime, due: datetime) -> float:
    return min(max((due - now).total_seconds(), 1.0), _LONGEST_REQUEUE_SECONDS)
