"""Operations on the tags of objects. Source: S3 user guide, "Categorizing your objects using tags"."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.documents import read_document
from services.storage_manager.configuration.tagging import object_tags, tag_document
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object
from services.storage_manager.notifications.object_events import origin_of
from services.storage_manager.objects import find_object, named_version, version_header
from services.storage_manager.operations import operation
from services.storage_manager.written_attributes import TAGS


@operation("GetObjectTagging", action="s3:GetObjectTagging", verb="get", understands=("VersionId",))
async def get_tags(context: S3Context, request: S3Request) -> S3Response:
    """GetObjectTagging: an empty set for an object without tags."""
    ref = await context.bucket(request)
    found = find_object(context, ref, request.key, request.query.get("versionId"))
    fields = tag_document(dict(sorted((found.attributes.get(TAGS) or {}).items())))
    headers = version_header(context, ref, found)
    return S3Response(headers=headers, content=render_answer(request.operation, fields))


@operation(
    "PutObjectTagging",
    action="s3:PutObjectTagging",
    verb="update",
    understands=("VersionId", "ChecksumAlgorithm"),
)
async def put_tags(context: S3Context, request: S3Request) -> S3Response:
    """PutObjectTagging: in place of all it had."""
    ref = await context.writable_bucket(request)
    tags = object_tags(read_document(request.operation, await request.document()))
    changed = await change_attribute(context, ref, request, TAGS, tags, "ObjectTagging:Put")
    return S3Response(headers=version_header(context, ref, changed))


@operation("DeleteObjectTagging", action="s3:DeleteObjectTagging", verb="update", understands=("VersionId",))
async def delete_tags(context: S3Context, request: S3Request) -> S3Response:
    """DeleteObjectTagging."""
    ref = await context.bucket(request)
    changed = await change_attribute(context, ref, request, TAGS, None, "ObjectTagging:Delete")
    return S3Response(204, version_header(context, ref, changed))


async def change_attribute(
    context: S3Context, ref: BucketRef, request: S3Request, name: str, value: Any, event: str = ""
) -> Object:
    """Keep that attribute of the version a request names, none where the value is empty. Raises as `find_object`.
    event: what it is told as, if it is.
    """

    def change(found: Object) -> dict[str, Any]:
        others = {each: kept for each, kept in found.attributes.items() if each != name}
        return others | ({name: value} if value else {})

    version = request.query.get("versionId")
    find_object(context, ref, request.key, version)
    await change_attributes(context, ref, request, change, event)
    return find_object(context, ref, request.key, version)


async def change_attributes(
    context: S3Context,
    ref: BucketRef,
    request: S3Request,
    change: Callable[[Object], dict[str, Any]],
    event: str = "",
) -> None:
    """The same, as `change` makes them of those there are."""
    version = request.query.get("versionId")
    named = None if version is None else named_version(version)
    kept = partial(context.metadata.change_attributes, ref.id, request.key, named, change)
    await context.commit_told(context.events.of(ref.id, event, origin_of(request), kept))
