"""DeleteObject and DeleteObjects: nothing goes that the request did not mean, or that is locked.

Without a version, a bucket with versions gets a delete marker; with one, that version is gone for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from anyio import to_thread

from crds.numbers import whole_number
from services.sdk.aws.rest_xml import members, parse
from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.object_lock import require_deletable
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object
from services.storage_manager.metadata.objects import Check
from services.storage_manager.notifications.object_events import origin_of
from services.storage_manager.objects import named_version
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import DeleteCondition, delete_condition
from services.storage_manager.written_attributes import LEGAL_HOLD, RETENTION

MOST_KEYS = 1000
BYPASS = "x-amz-bypass-governance-retention"
_KNOWN = frozenset({"Key", "ETag", "VersionId", "LastModifiedTime", "Size"})


@operation(
    "DeleteObject",
    action="s3:DeleteObject",
    verb="update",
    understands=("VersionId", "BypassGovernanceRetention", "IfMatch", "IfMatchLastModifiedTime", "IfMatchSize"),
)
async def delete(context: S3Context, request: S3Request) -> S3Response:
    """DeleteObject. Absent is fine."""
    ref = await context.bucket(request)
    condition, version = delete_condition(request.headers), request.query.get("versionId")
    bypass = await may_bypass(context, request, ref, request.key)
    gone = await _remove(context, request, ref, request.key, version, condition, bypass)
    await context.report_emptiness(ref)
    headers = {"x-amz-version-id": gone.version or "null"} if gone is not None else {}
    if gone is not None and gone.marker:
        headers["x-amz-delete-marker"] = "true"
    elif version is not None:
        headers["x-amz-version-id"] = version
    return S3Response(204, headers)


async def _remove(
    context: S3Context,
    request: S3Request,
    ref: BucketRef,
    key: str,
    version: str | None,
    condition: DeleteCondition,
    bypass: bool,
) -> Object | None:
    """The version that is gone, or the marker that was made."""
    events, origin = context.events, origin_of(request)
    if version is None:
        return await context.commit_told(events.removal(ref.id, key, origin, condition))
    check, named = _deletable(condition, context.clock(), bypass), named_version(version)
    gone = partial(context.metadata.remove_version, ref.id, key, named, check)
    return await context.commit_told(events.of(ref.id, "ObjectRemoved:Delete", origin, gone))


def _deletable(condition: DeleteCondition, now: float, bypass: bool) -> Check:
    def check(found: Object | None) -> None:
        condition(found)
        if found is not None:
            hold, moment = found.attributes.get(LEGAL_HOLD) or {}, datetime.fromtimestamp(now, UTC)
            retention, on_hold = found.attributes.get(RETENTION), hold.get("Status") == "ON"
            require_deletable(retention, on_hold=on_hold, now=moment, bypass=bypass)

    return check


async def may_bypass(context: S3Context, request: S3Request, ref: BucketRef, key: str) -> bool:
    """Whether governance is to yield. Raises AccessDenied for who may not let it."""
    said = request.headers.get(BYPASS, "false").lower()
    if said not in ("true", "false"):
        raise S3Error("InvalidArgument", f"{BYPASS} is true or false")
    if said == "false":
        return False
    await context.require_allowed(request, ref, "s3:BypassGovernanceRetention", key)
    return True


@operation(
    "DeleteObjects",
    action="s3:DeleteObject",
    verb="update",
    understands=("ChecksumAlgorithm", "BypassGovernanceRetention"),
)
async def delete_many(context: S3Context, request: S3Request) -> S3Response:
    """DeleteObjects: up to 1000 keys, each by itself. What is not understood refuses all of them."""
    ref = await context.locate(request)
    if not _is_guarded(request.headers):
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 or x-amz-checksum-...")
    wanted, quiet = await to_thread.run_sync(_read, await request.document())
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    # Together: they share commits, and each of those takes as long as the disk does.
    deleting = (_delete_one(context, request, ref, each) for each in wanted)
    for each, outcome in zip(wanted, await asyncio.gather(*deleting, return_exceptions=True), strict=True):
        named: dict[str, Any] = {name: each[name] for name in ("Key", "VersionId") if name in each}
        if isinstance(outcome, S3Error):
            failed.append({**named, "Code": outcome.code, "Message": outcome.message})
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            done.append(named | _described(outcome, each))
    await context.report_emptiness(ref)
    answer = {"Deleted": [] if quiet else done, "Errors": failed}
    return S3Response(content=render_answer("DeleteObjects", answer))


async def _delete_one(
    context: S3Context, request: S3Request, ref: BucketRef, each: Mapping[str, str]
) -> Object | None:
    key, version = each["Key"], each.get("VersionId")
    action = "s3:DeleteObject" if version is None else "s3:DeleteObjectVersion"
    await context.require_allowed(request, ref, action, key, version)
    bypass = await may_bypass(context, request, ref, key)
    return await _remove(context, request, ref, key, version, _condition(each), bypass)


def _condition(each: Mapping[str, str]) -> DeleteCondition:
    """The members that a delete of one key has, as the headers that say the same."""
    names = {
        "ETag": "if-match",
        "LastModifiedTime": "x-amz-if-match-last-modified-time",
        "Size": "x-amz-if-match-size",
    }
    return delete_condition({names[name]: value for name, value in each.items() if name in names})


def _described(gone: Object | None, each: Mapping[str, str]) -> dict[str, Any]:
    if gone is None or not gone.marker:
        return {}
    return {"DeleteMarker": True, "DeleteMarkerVersionId": gone.version or "null"}


def _is_guarded(headers: dict[str, str]) -> bool:
    """Whether the body's digest was sent along: a list of what to delete must not be damaged on its way."""
    sums = (name for name in headers if name == "content-md5" or name.startswith("x-amz-checksum-"))
    return any(sums) or "x-amz-trailer" in headers or len(headers.get("x-amz-content-sha256", "")) == 64


def _read(document: bytes) -> tuple[list[dict[str, str]], bool]:
    root = parse(document)
    if root.tag != "Delete":
        raise ValueError(f"the document is a {root.tag[:80]}, not a Delete")
    whole = members(root, frozenset({"Object", "Quiet"}))
    objects = (members(each, _KNOWN) for each in whole.get("Object", []))
    wanted = [{name: values[0].text or "" for name, values in each.items()} for each in objects]
    if not 1 <= len(wanted) <= MOST_KEYS or not all(each.get("Key") for each in wanted):
        raise ValueError(f"1 to {MOST_KEYS} objects, each with a key")
    if not all(whole_number(each.get("Size", "0")) is not None for each in wanted):
        raise ValueError("Size is a number")
    quiet = whole["Quiet"][0].text if "Quiet" in whole else "false"
    if quiet not in ("true", "false"):
        raise ValueError("Quiet is true or false")
    return wanted, quiet == "true"
