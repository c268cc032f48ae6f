"""The Bucket reconciler: counts what is inside, and lets a bucket go only when it is empty."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from anyio import to_thread

from services.sdk.aws.accounts import account_of
from services.sdk.reconcile import AlsoWatch, Outcome, World, again, done
from services.storage_manager.bucket_directory import bucket_ref
from services.storage_manager.conditions import BucketPhase, BucketReason
from services.storage_manager.configuration.access import BucketRules
from services.storage_manager.configuration.rules import rules_of
from services.storage_manager.damaged_data import DamagedData
from services.storage_manager.expiration import Expiration
from services.storage_manager.group_commit import GroupCommitter
from services.storage_manager.invariants import OBJECTS
from services.storage_manager.key_rewrapping import KeyRewrapper
from services.storage_manager.kinds import BUCKET, Bucket, BucketAccess
from services.storage_manager.lost_keys import LostKeys
from services.storage_manager.metadata import MetadataIndex
from services.storage_manager.notifications.delivery import Delivery, is_configured
from services.storage_manager.replication.condition import Replication

COUNT_EVERY_SECONDS = 15.0
REQUEUE_SECONDS = 2.0


class BucketReconciler:
    """Reads and writes the metadata beside the operations; each call is one transaction."""

    kind = BUCKET
    finalizer: str | None = OBJECTS
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(
        self,
        metadata: MetadataIndex,
        committer: GroupCommitter,
        lost: LostKeys,
        damaged: DamagedData,
        rewrapper: KeyRewrapper,
        expiration: Expiration,
        replication: Replication,
        delivery: Delivery,
    ) -> None:
        self._metadata, self._committer, self._lost, self._damaged = metadata, committer, lost, damaged
        self._rewrapper, self._expiration, self._replication = rewrapper, expiration, replication
        self._delivery = delivery

    async def reconcile(self, resource: Bucket, world: World) -> Outcome:
        """Lets go what its lifecycle says, and counts again every few seconds: objects come and go without a change
        of the resource.
        """
        ref, status = bucket_ref(resource), resource.status
        more = await self._expiration.advance(ref.id, world.clock.now())
        status.objects, status.bytes = await to_thread.run_sync(self._metadata.usage, ref.id)
        status.keys = sorted(await to_thread.run_sync(self._metadata.sealed_by, ref.id))
        status.phase, status.arn = BucketPhase.READY, ref.arn
        status.access = _access_of(rules_of(account_of(ref.namespace), self._metadata.recent(ref.id).documents))
        await self._lost.update_condition(resource, world.clock.now())
        self._damaged.update_condition(resource, world.clock.now())
        self._replication.update_condition(resource, world.clock.now())
        configured = is_configured(self._metadata.recent(ref.id).documents)
        await self._delivery.update_condition(resource, configured=configured, now=world.clock.now())
        await self._rewrapper.rewrap_bucket(ref)
        return done(requeue_after=REQUEUE_SECONDS if more else COUNT_EVERY_SECONDS)

    async def finalize(self, resource: Bucket, world: World) -> Outcome:
        """Nothing is thrown away: a full bucket waits until somebody empties it."""
        ref, status = bucket_ref(resource), resource.status
        left = await self._committer.run_alone(partial(self._metadata.seal_bucket, ref.id))
        if left:
            status.phase, status.objects = BucketPhase.DELETING, left
            why = f"{left} objects to be removed: aws s3 rm --recursive s3://{ref.name}"
            return again(REQUEUE_SECONDS, f"waiting for {why}", reason=BucketReason.BUCKET_NOT_EMPTY)
        await self._committer.run_alone(partial(self._metadata.drop_bucket, ref.id))
        return done()


def _access_of(rules: BucketRules) -> BucketAccess:
    return BucketAccess(
        policy=rules.policy,
        object_ownership=rules.ownership.value,
        restrict_public_buckets=rules.block.restrict_buckets,
    )
