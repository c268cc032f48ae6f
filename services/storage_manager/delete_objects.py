"""DeleteObject and DeleteObjects: nothing goes that the request did not mean."""

from __future__ import annotations

from typing import Any

from anyio import to_thread

from services.sdk.aws.rest_xml import members, parse
from services.storage_manager.answers import render_answer
from services.storage_manager.caller_rights import object_arn
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.operations import operation

MOST_KEYS = 1000
_DONE = frozenset({"Key", "ETag"})
_KNOWN = _DONE | {"VersionId", "LastModifiedTime", "Size"}


@operation("DeleteObject", action="s3:DeleteObject", verb="update", understands=("IfMatch",))
async def delete(context: S3Context, request: S3Request) -> S3Response:
    """DeleteObject. Absent is fine, unless `If-Match` names what should be there."""
    ref = await context.bucket(request)
    only = request.headers.get("if-match", "").strip('"')
    await to_thread.run_sync(lambda: context.metadata.remove(ref.id, request.key, only_over=only))
    await context.report_emptiness(ref)
    return S3Response(204)


@operation("DeleteObjects", action="s3:DeleteObject", verb="update", understands=("ChecksumAlgorithm",))
async def delete_many(context: S3Context, request: S3Request) -> S3Response:
    """DeleteObjects: up to 1000 keys, each by itself. What is not understood refuses all of them."""
    ref = await context.bucket(request)
    if not _is_guarded(request.headers):
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 or x-amz-checksum-...")
    wanted, quiet = await to_thread.run_sync(_read, await request.document())
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for each in wanted:
        refusal = _denied(request, each["Key"]) or await _delete_one(context, ref, each)
        if refusal:
            failed.append({"Key": each["Key"], "Code": refusal.code, "Message": refusal.message})
        elif not quiet:
            done.append({"Key": each["Key"]})
    await context.report_emptiness(ref)
    return S3Response(content=render_answer("DeleteObjects", {"Deleted": done, "Errors": failed}))


def _denied(request: S3Request, key: str) -> S3Error | None:
    """What IAM's policies have against this one."""
    caller, arn = request.caller, object_arn(request.bucket, key)
    try:
        may = caller.rights.allows(request.declared.action, arn)
    except S3Error as refusal:
        return refusal
    return S3Error("AccessDenied", f"no policy allows this for {arn}") if caller.allowed and not may else None


async def _delete_one(context: S3Context, ref: BucketRef, wanted: dict[str, str]) -> S3Error | None:
    only = wanted.get("ETag", "").strip('"')
    try:
        await to_thread.run_sync(lambda: context.metadata.remove(ref.id, wanted["Key"], only_over=only))
    except S3Error as refusal:
        return refusal
    return None


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
    for name in sorted({name for each in wanted for name in each} - _DONE):
        raise S3Error("NotImplemented", f"DeleteObjects does not understand the member {name}")
    quiet = whole["Quiet"][0].text if "Quiet" in whole else "false"
    if quiet not in ("true", "false"):
        raise ValueError("Quiet is true or false")
    return wanted, quiet == "true"
