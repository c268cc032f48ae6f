"""Endpoints, sources and namespaces, found in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crds.errors import NotFound
from crds.kinds.namespace import NAMESPACE
from services.sdk.context import ServiceContext
from services.sdk.outbound import allows_private
from services.webhook_manager.delivery import Receiver
from services.webhook_manager.kinds import STANDARD_DELAYS, WEBHOOK_ENDPOINT, WebhookEndpoint
from services.webhook_manager.source_kinds import WEBHOOK_SOURCE, WebhookSource

SOURCE_CONCURRENCY, SOURCE_RETENTION, SOURCE_TIMEOUT = 8, 72 * 3600.0, 30.0


class Directory:
    """Reads from memory what the conductor has."""

    def __init__(self, context: ServiceContext) -> None:
        self.endpoints = context.informer(WEBHOOK_ENDPOINT)
        self.sources = context.informer(WEBHOOK_SOURCE)
        self._namespaces = context.informer(NAMESPACE)

    async def synced(self) -> None:
        """Returns once all there is was read."""
        for each in (self.endpoints, self.sources, self._namespaces):
            await each.synced.wait()

    def receiver(self, uid: str) -> Receiver | None:
        """None for one that is gone."""
        endpoint = self.endpoints.by_uid(uid)
        if endpoint is not None:
            return receiver_of(endpoint)
        source = self.sources.by_uid(uid)
        return None if source is None else _receiver_of_source(source)

    def uids(self) -> set[str]:
        found = [each.metadata.uid or "" for each in self.endpoints.all()]
        return {*found, *(each.metadata.uid or "" for each in self.sources.all())}

    def near(self, uid: str) -> list[str]:
        """The receivers of that one's namespace; none for one that is gone."""
        found = self.receiver(uid)
        if found is None:
            return []
        endpoints = [each.metadata.uid or "" for each in self.endpoints.all(found.namespace)]
        return [*endpoints, *(each.metadata.uid or "" for each in self.sources.all(found.namespace))]

    async def endpoint(self, name: str, namespace: str) -> WebhookEndpoint:
        """Raises NotFound."""
        found = await self.endpoints.read(name, namespace)
        if found is None:
            raise NotFound(f"there is no WebhookEndpoint {name} in the namespace {namespace}")
        return found

    async def source(self, name: str, namespace: str) -> WebhookSource:
        """Raises NotFound."""
        found = await self.sources.read(name, namespace)
        if found is None:
            raise NotFound(f"there is no WebhookSource {name} in the namespace {namespace}")
        return found

    def allows_private(self, namespace: str) -> bool:
        """Whether endpoints of that namespace may be in private networks."""
        return allows_private(self._namespaces, namespace)

    def on_deleted(self, tell: Callable[[str], None]) -> Callable[[], None]:
        """`tell` hears the uid of each receiver that is deleted, until what is returned is called."""

        def noticed(change: str, resource: Any, before: Any) -> None:
            if change == "DELETED":
                tell(resource.metadata.uid or "")

        stops = [each.listen(noticed) for each in (self.endpoints, self.sources)]

        def stop() -> None:
            for each in stops:
                each()

        return stop


def receiver_of(endpoint: WebhookEndpoint) -> Receiver:
    """As its spec says."""
    meta, spec = endpoint.metadata, endpoint.spec
    return Receiver(
        uid=meta.uid or "",
        namespace=meta.namespace or "default",
        name=meta.name,
        kind="endpoint",
        generation=meta.generation or 0,
        concurrency=spec.concurrency,
        rate=spec.rate_per_second,
        timeout=spec.timeout_seconds,
        delays=tuple(spec.retry_delay_seconds),
        disable_after=spec.disable_after_days,
        retention=spec.retention_hours * 3600.0,
        paused=not spec.enabled,
    )


def _receiver_of_source(source: WebhookSource) -> Receiver:
    meta = source.metadata
    return Receiver(
        uid=meta.uid or "",
        namespace=meta.namespace or "default",
        name=meta.name,
        kind="source",
        generation=meta.generation or 0,
        concurrency=SOURCE_CONCURRENCY,
        rate=None,
        timeout=SOURCE_TIMEOUT,
        delays=STANDARD_DELAYS,
        disable_after=None,
        retention=SOURCE_RETENTION,
        paused=False,
    )
