"""Operations on the notification configuration of a bucket.

Each queue and topic gets a test event before anything is kept: one that does not take it is not configured.
"""

from __future__ import annotations

import anyio
from anyio import to_thread

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.documents import Document, read_document
from services.storage_manager.configuration.notification import check_notification, targets_of
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.notifications.destinations import Sends, Undelivered
from services.storage_manager.notifications.event_messages import check_message
from services.storage_manager.notifications.outbox import NOTIFICATION, Route, Waiting, kept_configuration
from services.storage_manager.operations import operation

SKIP = "x-amz-skip-destination-validation"
# All of them together, so many at once.
CHECK_SECONDS, CHECKED_AT_ONCE = 30.0, 8


@operation(
    "PutBucketNotificationConfiguration",
    action="s3:PutBucketNotification",
    verb="update",
    understands=("SkipDestinationValidation",),
)
async def put_notification(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketNotificationConfiguration. An empty one tells nobody any more."""
    ref = await context.writable_bucket(request)
    skips = request.headers.get(SKIP, "false").lower()
    if skips not in ("true", "false"):
        raise S3Error("InvalidArgument", f"{SKIP} is true or false")
    document = read_document(request.operation, await request.document())
    checked = await to_thread.run_sync(check_notification, document)
    if not checked:
        await context.drop_configuration(ref, NOTIFICATION)
        return S3Response()
    if skips == "false":
        await _require_destinations(context, request, ref, checked)
    await context.put_configuration(ref, NOTIFICATION, kept_configuration(checked, ref.name, ref.namespace))
    return S3Response()


@operation("GetBucketNotificationConfiguration", action="s3:GetBucketNotification", verb="get")
async def get_notification(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketNotificationConfiguration: empty where nobody is told."""
    ref = await context.bucket(request)
    kept = context.configuration(ref, NOTIFICATION) or {}
    return S3Response(content=render_answer(request.operation, kept.get("Configuration", {})))


async def _require_destinations(context: S3Context, request: S3Request, ref: BucketRef, checked: Document) -> None:
    """Raises S3Error InvalidArgument for one that does not take a test event."""
    event = Waiting(0, check_message(ref.name, request.id, context.clock()))
    faults = dict.fromkeys((each.arn for each in targets_of(checked)), "it did not answer in time")
    places = anyio.CapacityLimiter(CHECKED_AT_ONCE)

    async def check(arn: str) -> None:
        async with places:
            route = Route(ref.id, ref.name, ref.namespace, arn)
            faults[arn] = await _fault_of(context.events.destinations, route, event)

    with anyio.move_on_after(CHECK_SECONDS):
        async with anyio.create_task_group() as tasks:
            for arn in faults:
                tasks.start_soon(check, arn)
    for arn, why in faults.items():
        if why:
            text = "Unable to validate the following destination configurations"
            fields = {"ArgumentName1": arn, "ArgumentValue1": why[:500]}
            raise S3Error("InvalidArgument", f"{text}: {arn}: {why[:500]}", fields)


async def _fault_of(destinations: Sends, route: Route, event: Waiting) -> str:
    """Why it does not take that event; empty where it does."""
    try:
        sent = await destinations.send(route, [event])
    except Undelivered as refused:
        return str(refused)
    return "" if sent.taken else f"it does not take such messages: {sent.why}"
