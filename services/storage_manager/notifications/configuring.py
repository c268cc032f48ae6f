"""Operations on the notification configuration of a bucket.

Each destination gets a test event before anything is kept: one that does not take it is not configured.
"""

from __future__ import annotations

from anyio import to_thread

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.documents import Document, read_document
from services.storage_manager.configuration.notification import check_notification, targets_of
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.notifications.destinations import Undelivered
from services.storage_manager.notifications.event_messages import check_message
from services.storage_manager.notifications.outbox import NOTIFICATION, Route, Waiting, kept_configuration
from services.storage_manager.operations import operation

SKIP = "x-amz-skip-destination-validation"


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
    body = check_message(ref.name, request.id, context.clock())
    for arn in dict.fromkeys(each.arn for each in targets_of(checked)):
        route = Route(ref.id, ref.name, ref.namespace, arn)
        try:
            sent = await context.events.destinations.send(route, [Waiting(0, body)])
            why = "" if sent.taken else "it does not take such messages"
        except Undelivered as refused:
            why = str(refused)
        if why:
            text = "Unable to validate the following destination configurations"
            fields = {"ArgumentName1": arn, "ArgumentValue1": why[:500]}
            raise S3Error("InvalidArgument", f"{text}: {arn}: {why[:500]}", fields)
