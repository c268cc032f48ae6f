"""Finds queues: by URL, by ARN, of any account, from memory; and says what their specs mean for their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from crds.errors import AlreadyExists, Conflict, NotFound
from services.queue_manager import errors
from services.queue_manager.broker import Broker
from services.queue_manager.kinds import QUEUE, Queue
from services.queue_manager.live_queue import LiveQueue, QueueRules
from services.queue_manager.metrics import Depth
from services.queue_manager.names import QueueName, parse_queue_arn
from services.queue_manager.queue import FoundQueue
from services.sdk.aws.accounts import account_of
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.resource_names import resource_name
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources

_PATIENCE_SECONDS, _LOOK_AGAIN_SECONDS = 5.0, 0.1
_ATTEMPTS = 10


def asked_region(call: RequestContext) -> str:
    """The region a signature names; services ask in none, and get queues of all."""
    return "" if call.caller.service or call.caller.through else call.region


class QueueDirectory:
    """One per process."""

    def __init__(self, context: ServiceContext, broker: Broker) -> None:
        self._own, self._broker = context.resources, broker
        self._queues = context.informer(QUEUE)
        self._namespaces: dict[str, str] = {}

    def note(self, queue: Queue) -> FoundQueue:
        """As it was just written: whoever asks next finds it so."""
        return FoundQueue(self._queues.put(queue))

    async def find(self, meant: QueueName, call: RequestContext | None = None) -> FoundQueue | None:
        """The queue of that account and name; in the caller's region, where none is named."""
        namespace = self.namespace_of(meant.account, call)
        if namespace is None:
            return None
        region = meant.region or (asked_region(call) if call else "")
        for name in dict.fromkeys((resource_name(meant.name, region), resource_name(meant.name))):
            queue = await self._queues.read(name, namespace)
            if queue is None or queue.metadata.deletion_timestamp is not None:
                continue
            found = FoundQueue(queue)
            if found.is_meant(meant._replace(region=region)):
                return found
        return None if region else next((each for each in self.all(namespace) if each.is_meant(meant)), None)

    def by_arn(self, arn: str) -> FoundQueue | None:
        """From memory alone."""
        meant = parse_queue_arn(arn)
        namespace = self.namespace_of(meant.account, None) if meant else None
        if meant is None or namespace is None:
            return None
        for name in dict.fromkeys((resource_name(meant.name, meant.region), resource_name(meant.name))):
            queue = self._queues.get(name, namespace)
            if queue is not None and queue.metadata.deletion_timestamp is None:
                found = FoundQueue(queue)
                if found.is_meant(meant):
                    return found
        return None

    async def read_arn(self, arn: str) -> FoundQueue | None:
        """From memory, once all there is was read; what is not there, from the conductor. Raises ApiError."""
        await self._queues.synced.wait()
        meant = parse_queue_arn(arn)
        return self.by_arn(arn) or (await self.find(meant) if meant else None)

    async def read(self, name: str, namespace: str) -> FoundQueue | None:
        """By what the resource is called. Raises ApiError."""
        queue = await self._queues.read(name, namespace)
        return None if queue is None or queue.metadata.deletion_timestamp is not None else FoundQueue(queue)

    def all(self, namespace: str | None = None) -> Iterable[FoundQueue]:
        """Of an account, or of all."""
        return [FoundQueue(each) for each in self._queues.all(namespace) if each.metadata.deletion_timestamp is None]

    def by_uid(self, uid: str) -> FoundQueue | None:
        queue = self._queues.by_uid(uid)
        return None if queue is None else FoundQueue(queue)

    def sources_of(self, target: FoundQueue) -> list[FoundQueue]:
        """The queues whose dead letters go there."""
        return [
            each
            for each in self.all(target.namespace)
            if each.spec.redrive is not None and self.by_arn(each.spec.redrive.dead_letter_target_arn) == target
        ]

    def live(self, found: FoundQueue) -> LiveQueue:
        """Its messages. Raises AwsError where it was deleted since it was found: nobody would delete them."""
        now = self._queues.by_uid(found.uid)
        if now is None or now.metadata.deletion_timestamp is not None:
            raise errors.no_queue()
        return self._broker.queue(found.uid, found.is_fifo)

    def rules(self, found: FoundQueue) -> QueueRules:
        """What its spec means for them."""
        spec = found.spec
        target = self.dead_letter_queue(found)
        return QueueRules(
            delay=spec.delay_seconds * 1000,
            retention=spec.retention_seconds * 1000,
            arn=found.arn,
            most_receives=spec.redrive.max_receive_count if spec.redrive else 0,
            dead_letters=None if target is None else self.live(target),
            per_group=spec.fifo is not None and spec.fifo.deduplication_scope == "messageGroup",
        )

    def depths(self) -> Iterator[Depth]:
        """Of all queues that ever had a message."""
        now = self._broker.now()
        for live in self._broker.known():
            found = self.by_uid(live.uid)
            if found is None:
                continue
            live.come_due()
            order, oldest = live.order, live.order.oldest()
            age = 0.0 if oldest is None else (now - oldest) / 1000
            yield Depth(found.namespace, found.name, order.visible, order.in_flight, order.delayed, age)

    def dead_letter_queue(self, found: FoundQueue) -> FoundQueue | None:
        """Where its failed messages go, if there is such a queue, and it takes them."""
        if found.spec.redrive is None:
            return None
        target = self.by_arn(found.spec.redrive.dead_letter_target_arn)
        return target if target is not None and target.takes_dead_letters_of(found) else None

    async def create(self, acting: Resources, queue: Queue) -> FoundQueue:
        """Make it; while one of its name is being deleted, wait a little. Raises AlreadyExists, AwsError,
        ApiError.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_SECONDS
        while True:
            try:
                return self.note(await acting.create(QUEUE, queue))
            except AlreadyExists:
                if not await self._is_being_deleted(queue):
                    raise
            if loop.time() > deadline:
                raise errors.deleted_recently()
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def patch(self, acting: Resources, found: FoundQueue, spec: dict[str, Any]) -> FoundQueue:
        return self.note(await acting.patch(QUEUE, found.name, {"spec": spec}, found.namespace))

    async def change(
        self, acting: Resources, found: FoundQueue, patch_of: Callable[[FoundQueue], dict[str, Any]]
    ) -> FoundQueue:
        """Patch it by what follows from its spec as it is now, and again when somebody else changed it meanwhile.
        Raises AwsError, ApiError, and what patch_of raises.
        """
        now = found
        for attempt in range(_ATTEMPTS):
            if attempt:
                now = self.note(await self._own.get(QUEUE, found.name, found.namespace))
            if now.uid != found.uid:
                break
            read = {"resourceVersion": now.resource.metadata.resource_version}
            try:
                patch = {"metadata": read, "spec": patch_of(now)}
                return self.note(await acting.patch(QUEUE, found.name, patch, found.namespace))
            except Conflict:
                continue
        raise errors.changed_meanwhile()

    async def delete(self, acting: Resources, found: FoundQueue) -> None:
        """The reconciler lets its messages go."""
        await acting.delete(QUEUE, found.name, found.namespace, uid=found.uid)
        self._queues.drop(found.resource)

    async def _is_being_deleted(self, queue: Queue) -> bool:
        try:
            there = await self._own.get(QUEUE, queue.metadata.name, queue.metadata.namespace or "default")
        except NotFound:
            return True  # it has gone just now
        return there.metadata.deletion_timestamp is not None

    def namespace_of(self, account: str, call: RequestContext | None) -> str | None:
        """The caller's own, or that of one that has queues."""
        if call is not None and account == call.account:
            return call.namespace
        if account not in self._namespaces:
            known = {each.metadata.namespace or "default" for each in self._queues.all()}
            self._namespaces.update({account_of(each): each for each in known})
        return self._namespaces.get(account)
