"""Changes of the metadata index that are told of: each records its event in its own transaction.

made = await context.commit_told(context.events.of(ref.id, "ObjectCreated:Put", origin, change), pieces)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from services.sdk.aws.accounts import account_of
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.metadata.objects import Check
from services.storage_manager.notifications.destinations import Sends, Sent, Undelivered
from services.storage_manager.notifications.event_messages import Origin
from services.storage_manager.notifications.outbox import Outbox, Route, Waiting

if TYPE_CHECKING:
    from services.storage_manager.context import S3Request

T = TypeVar("T", bound=Object | None)
SOURCE_IP, _ANONYMOUS, _LIFECYCLE = "x-aerekos-source-ip", "Anonymous", "s3.amazonaws.com"


class Told(Generic[T]):
    """A blocking change. `recorded`: whether somebody is to be told of it, once it was run."""

    def __init__(self, run: Callable[[Told[T]], T]) -> None:
        self._run, self.recorded = run, False

    def __call__(self) -> T:
        return self._run(self)


class ObjectEvents:
    """`wake`: called when something was recorded, and is durable. `destinations`: the way to those who are told."""

    def __init__(self, metadata: MetadataIndex) -> None:
        self._metadata = metadata
        self.outbox = Outbox(metadata)
        self.wake: Callable[[], None] = _nobody
        self.destinations: Sends = _Nowhere()

    def of(self, bucket: str, event: str, origin: Origin, change: Callable[[], T]) -> Told[T]:
        """A change that returns the version it is about; None where nothing changed. `event`: empty for none."""

        def run(told: Told[T]) -> T:
            made = change()
            if made is not None and event:
                told.recorded = self.outbox.record(bucket, event, made, origin)
            return made

        return Told(run)

    def removal(
        self, bucket: str, key: str, origin: Origin, check: Check, kind: str = "ObjectRemoved"
    ) -> Told[Object | None]:
        """As `MetadataIndex.remove`. Nothing is told where nothing was."""

        def run(told: Told[Object | None]) -> Object | None:
            seen: list[Object | None] = []

            def noted(found: Object | None) -> None:
                check(found)
                seen.append(found)

            marker = self._metadata.remove(bucket, key, noted)
            if marker is not None:
                told.recorded = self.outbox.record(bucket, f"{kind}:DeleteMarkerCreated", marker, origin)
            elif seen[0] is not None:
                told.recorded = self.outbox.record(bucket, f"{kind}:Delete", seen[0], origin)
            return marker

        return Told(run)


def origin_of(request: S3Request) -> Origin:
    """Of a request."""
    policies, caller, address = request.caller.rights.policies, request.caller, request.headers.get(SOURCE_IP, "")
    if caller.anonymous:
        return Origin(_ANONYMOUS, address, request.id, _ANONYMOUS)
    ids = policies.requester.ids if policies is not None else ()
    return Origin(f"AWS:{ids[0] if ids else caller.name}", address, request.id, account_of(caller.namespace))


def lifecycle_origin() -> Origin:
    """Of what a lifecycle removes."""
    return Origin(_LIFECYCLE, None, "", _LIFECYCLE)


class _Nowhere:
    """Before it is known, and in a copy, which takes no writes."""

    async def send(self, route: Route, events: Sequence[Waiting]) -> Sent:
        raise Undelivered("nobody is told of events by this process")


def _nobody() -> None:
    return None
