"""Log groups of an account, found by the names AWS calls have for them; how long each keeps its lines."""

from __future__ import annotations

import asyncio

from crds.errors import AlreadyExists, NotFound
from services.logs_manager.kinds import DEFAULT_BYTES, DEFAULT_RETENTION_DAYS, LOG_GROUP, LogGroup, LogGroupSpec
from services.logs_manager.names import group_resource
from services.logs_manager.store.streams import Stream
from services.sdk.aws.operations import RequestContext
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources

DAY_NS = 86_400 * 1_000_000_000


class Directory:
    """Reads from memory what the conductor has; who changed something has `note`d it."""

    def __init__(self, context: ServiceContext) -> None:
        self.groups, self._own = context.informer(LOG_GROUP), context.resources
        self._making = asyncio.Lock()

    def note(self, group: LogGroup) -> LogGroup:
        return self.groups.put(group)

    async def find(self, call: RequestContext, name: str) -> LogGroup | None:
        """Of the caller's region, else one that is seen in all."""
        for region in dict.fromkeys((call.region, "")):
            found = await self.groups.read(group_resource(name, region), call.namespace)
            if found is None or found.metadata.deletion_timestamp is not None:
                continue
            if found.group_name == name and call.sees(found.spec.region):
                return found
        return None

    async def require(self, namespace: str, name: str) -> str:
        """What the group of that name is called, which is made where it is not there. Raises ApiError."""
        resource = group_resource(name)
        async with self._making:
            found = self.groups.get(resource, namespace)
            if found is None or found.metadata.deletion_timestamp is not None:
                await self._make(namespace, resource, name)
        return resource

    async def _make(self, namespace: str, resource: str, name: str) -> None:
        spec = LogGroupSpec(group_name="" if name == resource else name)
        try:
            self.note(await self._own.create(LOG_GROUP, LOG_GROUP.new(resource, namespace=namespace, spec=spec)))
        except AlreadyExists:
            await self.groups.read(resource, namespace)

    async def delete(self, acting: Resources, group: LogGroup) -> None:
        """The reconciler lets its lines go."""
        meta = group.metadata
        try:
            await acting.delete(LOG_GROUP, meta.name, meta.namespace, uid=meta.uid)
        except NotFound:
            return
        self.groups.drop(group)

    def all(self, namespace: str | None = None) -> list[LogGroup]:
        return [each for each in self.groups.all(namespace) if each.metadata.deletion_timestamp is None]

    def retention_ns(self, stream: Stream) -> int:
        """How long its lines are kept."""
        return self._retention(stream.namespace, stream.group)

    def retention_of(self, namespace: str, name: str) -> int:
        """The same of the group of that name, whether or not it is there."""
        return self._retention(namespace, group_resource(name))

    def most_bytes(self, stream: Stream) -> int:
        spec = self._spec(stream.namespace, stream.group)
        return spec.max_bytes if spec else DEFAULT_BYTES

    def _retention(self, namespace: str, resource: str) -> int:
        spec = self._spec(namespace, resource)
        return ((spec.retention_days if spec else None) or DEFAULT_RETENTION_DAYS) * DAY_NS

    def _spec(self, namespace: str, resource: str) -> LogGroupSpec | None:
        found = self.groups.get(resource, namespace)
        return None if found is None else found.spec
