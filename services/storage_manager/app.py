"""The S3 door: a raw ASGI application, path style. Admit, choose the operation, answer.

`S3` works over the ports alone; whoever starts the service gives it a Gate and a House.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from crds.errors import ApiError
from services.sdk.app import note_action
from services.sdk.aws.rest_xml import render
from services.storage_manager import buckets, copying, multipart, objects, uploads
from services.storage_manager.bodies import Receive
from services.storage_manager.faults import S3Fault
from services.storage_manager.house import Answer, House, Request, read_query
from services.storage_manager.ports import Gate, Scope

log = logging.getLogger(__name__)
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Operation = Callable[[House, Request], Awaitable[Answer]]
PLAIN_QUERY = {
    "prefix",
    "delimiter",
    "marker",
    "max-keys",
    "encoding-type",
    "list-type",
    "continuation-token",
}
PLAIN_QUERY |= {
    "start-after",
    "fetch-owner",
    "uploadId",
    "partNumber",
    "x-id",
    "key-marker",
    "upload-id-marker",
}
PLAIN_QUERY |= {"max-uploads", "part-number-marker", "max-parts"} | set(objects.OVERRIDES)

# (method, has a key, what the query or headers ask for)
OPERATIONS: dict[tuple[str, bool, str], Operation] = {
    ("PUT", False, ""): buckets.create,
    ("HEAD", False, ""): buckets.head,
    ("DELETE", False, ""): buckets.delete,
    ("GET", False, ""): buckets.list_objects,
    ("GET", False, "location"): buckets.location,
    ("GET", False, "uploads"): uploads.list_uploads,
    ("POST", False, "delete"): objects.delete_many,
    ("PUT", True, ""): objects.put,
    ("PUT", True, "copy"): copying.copy,
    ("GET", True, ""): objects.get,
    ("HEAD", True, ""): objects.get,
    ("DELETE", True, ""): objects.delete,
    ("POST", True, "uploads"): multipart.create,
    ("PUT", True, "uploadId"): multipart.put_part,
    ("PUT", True, "uploadId+copy"): multipart.copy_part,
    ("POST", True, "uploadId"): multipart.complete,
    ("DELETE", True, "uploadId"): multipart.abort,
    ("GET", True, "uploadId"): uploads.list_parts,
}


# What AWS calls each of them where permissions are written (IAM actions for Amazon S3).
ACTIONS: dict[Operation, str] = {
    buckets.list_all: "ListAllMyBuckets",
    buckets.create: "CreateBucket",
    buckets.head: "ListBucket",
    buckets.delete: "DeleteBucket",
    buckets.list_objects: "ListBucket",
    buckets.location: "GetBucketLocation",
    uploads.list_uploads: "ListBucketMultipartUploads",
    uploads.list_parts: "ListMultipartUploadParts",
    objects.get: "GetObject",
    objects.delete: "DeleteObject",
    objects.delete_many: "DeleteObject",
    multipart.abort: "AbortMultipartUpload",
}
_DENIED = frozenset({"AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed"})


def action_of(operation: Operation) -> str:
    """`s3:GetObject`. What is not named above writes an object, whatever its way there."""
    return f"s3:{ACTIONS.get(operation, 'PutObject')}"


def resource_of(request: Request) -> str:
    """The ARN of the object, or of the bucket; empty for all buckets."""
    if not request.bucket:
        return ""
    return f"arn:aws:s3:::{request.bucket}/{request.key}" if request.key else f"arn:aws:s3:::{request.bucket}"


def choose(request: Request) -> Operation:
    """The operation. Raises NotImplemented for what we do not speak."""
    if not request.bucket:
        if request.method == "GET":
            return buckets.list_all
        raise S3Fault("NotImplemented")
    asked = [name for name in request.query if name not in PLAIN_QUERY and not name.lower().startswith("x-amz-")]
    parts = ["uploadId"] if "uploadId" in request.query else []
    copying = ["copy"] if "x-amz-copy-source" in request.headers else []
    found = OPERATIONS.get((request.method, bool(request.key), "+".join(asked + parts + copying)))
    if found is None:
        raise S3Fault("NotImplemented", f"{request.method} {' '.join(asked)} is not implemented")
    return found


class S3:
    """The application."""

    def __init__(self, house: House, gate: Gate) -> None:
        self._house, self._gate = house, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        id = secrets.token_hex(8)
        try:
            answer = await self._answer(scope, receive)
        except S3Fault as fault:
            answer = self._refusal(fault, id, scope)
        except ApiError as error:
            answer = self._refusal(S3Fault("ServiceUnavailable", error.message), id, scope)
        except Exception:
            log.exception("request %s failed", id)
            answer = self._refusal(S3Fault("InternalError", "the request failed here"), id, scope)
        answer.headers["x-amz-request-id"] = id
        await _send(answer, scope["method"] == "HEAD", send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        caller = await self._gate.admit(scope)
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        bucket, _, key = _path(scope).removeprefix("/").partition("/")
        query = read_query(scope["query_string"])
        request = Request(scope["method"], bucket, key, query, headers, caller, receive)
        note_action(scope, resource=resource_of(request), caller=caller.name)
        try:
            operation = choose(request)
            note_action(scope, action_of(operation))
            return await _primed(await operation(self._house, request))
        except ValueError as why:
            raise S3Fault("MalformedXML", str(why)) from why

    def _refusal(self, fault: S3Fault, id: str, scope: Scope) -> Answer:
        fields = {"Code": fault.code, "Message": fault.message, "Resource": scope["path"], "RequestId": id}
        headers = {"content-type": "application/xml"}
        note_action(scope, forbidden=fault.code in _DENIED)
        if any(
            name in (b"transfer-encoding", b"content-length") and value != b"0" for name, value in scope["headers"]
        ):
            headers["connection"] = "close"  # an unread body could not be told from the next request
        return Answer(fault.status, headers, render("Error", fields, ""))


def _path(scope: Scope) -> str:
    """As UTF-8, or InvalidURI: two keys must never become one."""
    try:
        return unquote(scope["raw_path"].decode("latin-1").partition("?")[0], errors="strict")
    except UnicodeDecodeError:
        raise S3Fault("InvalidURI", "the key is not UTF-8") from None


async def _primed(answer: Answer) -> Answer:
    """The first block is read before the status leaves: a broken blob then answers 500, not a broken 200."""
    if isinstance(answer.content, bytes):
        return answer
    stream = answer.content
    first = await anext(stream, b"")

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for block in stream:
            yield block

    answer.content = rest()
    return answer


async def _send(answer: Answer, bodiless: bool, send: Send) -> None:
    content, headers = answer.content, answer.headers
    if isinstance(content, bytes) and content and "content-type" not in headers:
        headers["content-type"] = "application/xml"
    length = answer.length if answer.length is not None else len(content) if isinstance(content, bytes) else 0
    if answer.status not in (204, 304):
        headers["content-length"] = str(length)
    raw = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if isinstance(content, bytes):
        await send({"type": "http.response.body", "body": b"" if bodiless else content})
        return
    await _stream(content, send)


async def _stream(content: AsyncIterator[bytes], send: Send) -> None:
    """A fault after the first byte breaks the connection: the length never matches, the client notices."""
    async for block in content:
        await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
