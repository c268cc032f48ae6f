"""The Queue reconciler: says how many messages there are and where failed ones go; lets them go with the queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.queue_manager.broker import Broker
from services.queue_manager.conditions import QueuePhase, QueueReason
from services.queue_manager.directory import QueueDirectory
from services.queue_manager.fifo_order import FifoOrder
from services.queue_manager.invariants import MESSAGES
from services.queue_manager.kinds import QUEUE, Queue
from services.queue_manager.queue import FoundQueue
from services.sdk.reconcile import AlsoWatch, Outcome, World, done

COUNT_EVERY_SECONDS = 15.0


class QueueReconciler:
    """Looks at the messages beside the operations."""

    kind = QUEUE
    finalizer: str | None = MESSAGES
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, directory: QueueDirectory, broker: Broker) -> None:
        self._directory, self._broker = directory, broker

    async def reconcile(self, resource: Queue, world: World) -> Outcome:
        """Lets go what is too old, and counts again every few seconds: messages come and go without a change of the
        resource.
        """
        found, status = FoundQueue(resource), resource.status
        live = self._broker.queue(found.uid, found.is_fifo)
        await self._broker.expire(live, self._directory.rules(found))
        if status.observed_generation != resource.metadata.generation:
            status.modified_at = world.clock.now()
            if isinstance(live.order, FifoOrder):
                live.order.set_delay(resource.spec.delay_seconds * 1000, self._broker.now())
        live.come_due()
        status.phase, status.arn = QueuePhase.READY, found.arn
        status.visible, status.in_flight, status.delayed = (
            live.order.visible,
            live.order.in_flight,
            live.order.delayed,
        )
        oldest = live.order.oldest()
        status.oldest_sent_at = None if oldest is None else datetime.fromtimestamp(oldest // 1000, UTC)
        if resource.spec.redrive is not None and self._directory.dead_letter_queue(found) is None:
            why = f"{resource.spec.redrive.dead_letter_target_arn} is not there, or takes none of its dead letters"
            return done(why, reason=QueueReason.NO_DEAD_LETTER_QUEUE, requeue_after=COUNT_EVERY_SECONDS)
        return done(reason=QueueReason.SERVING, requeue_after=COUNT_EVERY_SECONDS)

    async def finalize(self, resource: Queue, world: World) -> Outcome:
        """Whoever deletes a queue deletes its messages, as with AWS."""
        await self._broker.drop(resource.metadata.uid or "")
        return done()
