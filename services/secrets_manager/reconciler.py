"""The ManagedSecret reconciler: says what it is called in AWS, rotates it when due, deletes it at its date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from crds.model import rfc3339
from services.sdk.aws.errors import AwsError
from services.sdk.reconcile import AlsoWatch, Outcome, Temporary, World, done
from services.secrets_manager.conditions import SecretReason
from services.secrets_manager.delivery import DeliveryFailure, SecretDelivery
from services.secrets_manager.kinds import MANAGED_SECRET, ManagedSecret, RotationStatus
from services.secrets_manager.rotation import RotationFailure, Rotations, next_rotation, update_next
from services.secrets_manager.secret import FoundSecret, unfinished
from services.secrets_manager.secret_store import SecretStore

_LONGEST_REQUEUE_SECONDS = 86_400.0


class SecretReconciler:
    """Reads and writes through the store of the operations."""

    kind = MANAGED_SECRET
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, store: SecretStore, delivery: SecretDelivery, rotations: Rotations) -> None:
        self._store, self._delivery, self._rotations = store, delivery, rotations

    async def reconcile(self, resource: ManagedSecret, world: World) -> Outcome:
        found, now = FoundSecret(resource), world.clock.now()
        date = resource.spec.deletion_date
        if date is not None and date <= now and await self._deleted(found, now):
            return done("deleted as scheduled", reason=SecretReason.DELETED)
        resource.status.arn = found.arn
        if date is not None:
            return done(reason=SecretReason.SCHEDULED, requeue_after=_seconds(now, date))
        undelivered = await self._delivered(resource, found)
        await self._rotate_if_due(resource, now)
        if undelivered:
            raise Temporary(f"not delivered: {undelivered}", reason=SecretReason.DELIVERY_FAILED)
        reason = SecretReason.CURRENT if resource.status.current_version else SecretReason.EMPTY
        return done(reason=reason, requeue_after=_seconds(now, resource.status.next_rotation_at))

    async def finalize(self, resource: ManagedSecret, world: World) -> Outcome:
        return done()

    async def _deleted(self, found: FoundSecret, now: datetime) -> bool:
        """Whether it has gone. It is read again: the wish to delete may have been taken back since."""
        fresh = await self._store.read(found)
        if fresh is None:
            return True
        if fresh.spec.deletion_date is None or fresh.spec.deletion_date > now:
            return False
        await self._store.delete(fresh)
        return True

    async def _delivered(self, resource: ManagedSecret, found: FoundSecret) -> str:
        """Why the current value is not where it should be; empty where it is. No reason not to rotate."""
        try:
            resource.status.delivered_to = await self._delivery.deliver(found)
        except DeliveryFailure as failure:
            return str(failure)
        except AwsError as error:
            return error.message
        return ""

    async def _rotate_if_due(self, resource: ManagedSecret, now: datetime) -> None:
        """Raises Temporary for what has to be tried again."""
        update_next(resource.status, resource.spec.rotation, now)
        due = resource.status.next_rotation_at
        if resource.status.rotation is None and (due is None or due > now):
            return
        found = await self._begun(resource)
        if found is None:
            return
        under_way = found.secret.status.rotation
        assert under_way is not None
        try:
            await self._rotated(found, under_way.token, now)
        except RotationFailure as failure:
            raise _failed(resource, under_way, str(failure)) from failure
        except AwsError as error:
            raise _failed(resource, under_way, error.message) from error

    async def _begun(self, resource: ManagedSecret) -> FoundSecret | None:
        """The secret as it is now, which says that a rotation is under way: whoever takes over goes on with the same
        version. None where there is none, and where none is wanted any more. Raises AwsError, Conflict.
        """
        fresh = await self._store.fresh(FoundSecret(resource))
        rules, status = fresh.spec.rotation, fresh.secret.status
        if rules is None or not rules.enabled or fresh.spec.deletion_date is not None:
            return None
        if status.rotation is not None:
            return fresh
        if resource.status.rotation is not None or status.rotated_at != resource.status.rotated_at:
            return None  # it has ended meanwhile
        # One that was cancelled goes on: what it has set may be the only password that the database knows by now.
        token = unfinished(fresh) or str(uuid4())
        return await self._store.patch_status(fresh, {"rotation": RotationStatus(token=token).wire()})

    async def _rotated(self, found: FoundSecret, token: str, now: datetime) -> None:
        """Our own write, at once: what is saved after the pass may be overtaken."""
        found = await self._rotations.rotate(found, token)
        following = next_rotation(found.spec.rotation, now)
        ended = {
            "rotation": None,
            "rotatedAt": rfc3339(now),
            "nextRotationAt": None if following is None else rfc3339(following),
        }
        await self._store.patch_status(found, ended)


def _failed(resource: ManagedSecret, under_way: RotationStatus, why: str) -> Temporary:
    step, colon, _ = why.partition(": ")
    resource.status.rotation = RotationStatus(
        token=under_way.token, step=step if colon else "", attempts=under_way.attempts + 1, message=why
    )
    return Temporary(f"not rotated: {why}", reason=SecretReason.ROTATION_FAILED)


def _seconds(now: datetime, due: datetime | None) -> float | None:
    return None if due is None else min(max((due - now).total_seconds(), 1.0), _LONGEST_REQUEUE_SECONDS)
