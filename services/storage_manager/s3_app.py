"""The S3 API: a raw ASGI application, path style. Authenticate, choose the operation, answer.

Buckets as host names are made paths by the gateway, after the signature was verified. This is not the kit's `AwsApp`:
that reads each request into the members of its model and writes each answer from them, which costs more than the rest
of a small GET, and its bodies know neither signed chunks nor trailers. What needs the model takes it: `dispatch`,
`operations`, `S3Request.params` and `answers`.

`S3App` works over the interfaces alone; whoever starts the service gives it an `Authenticator` and an `S3Context`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from crds.errors import ApiError
from services.sdk.asgi import header_map, note_action, send_whole
from services.sdk.aws.authentication import raw_request
from services.sdk.aws.judgement import note_denial
from services.sdk.aws.model import load_model
from services.sdk.aws.rest_xml import render
from services.sdk.permissions import Permission
from services.storage_manager.caller_rights import object_arn
from services.storage_manager.context import S3Context, S3Request, S3Response, read_headers, read_query
from services.storage_manager.coverage import COVERAGE
from services.storage_manager.cross_origin import (
    answer_preflight,
    headers_for_origin,
    is_for_pages,
    require_for_pages,
)
from services.storage_manager.dispatch import dispatch
from services.storage_manager.errors import S3Error, disk_full, is_disk_full
from services.storage_manager.handlers import OPERATIONS
from services.storage_manager.interfaces import Authenticator, Caller, Scope
from services.storage_manager.kinds import BUCKET
from services.storage_manager.post_object import answer_form, is_form, put_of_form
from services.storage_manager.request_body import Incoming, Receive
from services.storage_manager.supported_parameters import Understood, hoisted, require_length
from services.storage_manager.websites import SITE, answer_website

_PUT, _GET, _HEAD = OPERATIONS["PutObject"], OPERATIONS["GetObject"], OPERATIONS["HeadObject"]
log = logging.getLogger(__name__)
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion"})
_WITHOUT_BUCKET = frozenset({"ListBuckets", "CreateBucket"})
_DENIED = frozenset({"AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed"})


def resource_of(request: S3Request) -> str:
    """The ARN of the object, or of the bucket; empty for all buckets."""
    if not request.bucket:
        return ""
    return object_arn(request.bucket, request.key)


def judged(request: S3Request) -> Caller:
    """The caller, and whether IAM's policies give them this. Raises S3Error AccessDenied for what these refuse.

    Of what is no bucket yet: all else is judged with its bucket (`authorization.py`).
    """
    if request.operation not in _WITHOUT_BUCKET:
        return request.caller
    if request.caller.anonymous:
        raise S3Error("AccessDenied", f"{request.action} needs a signature")
    rights, action = request.caller.rights, request.action
    return replace(request.caller, allowed=rights.allows(action, resource_of(request), request.query))


class S3App:
    """The application."""

    def __init__(self, context: S3Context, authenticator: Authenticator) -> None:
        self._context, self._authenticator = context, authenticator
        model, self._dispatch = load_model("s3"), dispatch()
        for each in OPERATIONS.values():
            each.require_modelled(model)
        self._understood = {
            name: Understood(each, model, self._dispatch.marks_of(name)) for name, each in OPERATIONS.items()
        }

    def permissions(self) -> dict[str, Permission | None]:
        """As `services.sdk.permissions.GuardedApp`."""
        return {name: Permission(each.verb, BUCKET) for name, each in OPERATIONS.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        id, body = scope["state"].get("request_id") or secrets.token_hex(8), Incoming(receive, scope["headers"])
        try:
            answer = await self._answer(scope, body, id)
        except S3Error as fault:
            answer = self._refusal(fault, id, scope)
        except ApiError as error:
            answer = self._refusal(S3Error("ServiceUnavailable", error.message), id, scope)
        except Exception as error:
            log.exception("request %s failed", id)
            failed = disk_full() if is_disk_full(error) else S3Error("InternalError", "the request failed here")
            answer = self._refusal(failed, id, scope)
        answer.headers |= await self._headers_for_origin(scope)
        await body.drain()
        if not body.ended:
            answer.headers["connection"] = "close"  # an unread body could not be told from the next request
        answer.headers["x-amz-request-id"] = id
        await _send(answer, scope["method"] == "HEAD", send)

    async def _answer(self, scope: Scope, receive: Receive, id: str) -> S3Response:
        asked = raw_request(scope)
        caller = await self._authenticator.authenticate(scope, asked)
        bucket, _, key = _path(scope).removeprefix("/").partition("/")
        query = read_query(scope["query_string"])
        headers = hoisted(query, read_headers(asked))
        note_action(scope, resource=object_arn(bucket, key) if bucket else "", caller=caller.name)
        if scope["method"] == "OPTIONS":
            require_for_pages(caller.identity)
            return await answer_preflight(self._context, caller, bucket, headers)
        if SITE in headers:
            return await self._answer_website(
                S3Request(_GET, scope["method"], bucket, key, {}, headers, caller, receive, id)
            )
        if is_form(scope["method"], bucket, key, headers):
            return await self._answer_form(
                S3Request(_PUT, "POST", bucket, key, query, headers, caller, receive, id), scope
            )
        name = self._dispatch.choose(scope["method"], bucket, key, query, headers)
        declared = OPERATIONS.get(name)
        if declared is None:
            raise S3Error("NotImplemented", f"{name} is not implemented: {COVERAGE.reason_of(name)}")
        request = S3Request(declared, scope["method"], bucket, key, query, headers, caller, receive, id)
        note_action(scope, request.action)
        try:
            self._understood[name].require(headers, query)
            require_length(name, headers)
            request.caller = judged(request)
            return await _with_first_block(await declared.handler(self._context, request))
        except ValueError as why:
            raise S3Error("MalformedXML", str(why)) from why
        except S3Error as fault:
            if fault.code in _ABSENT:
                await self._context.require_may_know(request)
            raise

    async def _headers_for_origin(self, scope: Scope) -> dict[str, str]:
        """Of an answer that a page of another origin may read; a preflight has them already."""
        if b"origin" not in header_map(scope) or scope["method"] == "OPTIONS":
            return {}
        identity, bucket = scope["state"]["caller"], scope["path"].removeprefix("/").partition("/")[0]
        if not is_for_pages(identity):
            return {}
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        caller = Caller(identity.name, identity.namespace)
        method = headers.get("access-control-request-method") or str(scope["method"])
        return await headers_for_origin(self._context, caller, bucket, method, headers)

    async def _answer_website(self, request: S3Request) -> S3Response:
        if request.method not in ("GET", "HEAD"):
            return S3Response(405, {"allow": "GET, HEAD, OPTIONS"})
        request.declared = _GET if request.method == "GET" else _HEAD
        return await _with_first_block(await answer_website(self._context, request))

    async def _answer_form(self, request: S3Request, scope: Scope) -> S3Response:
        if request.query:
            raise S3Error("InvalidArgument", "an upload by a form has no query")
        asked, form = await put_of_form(self._context, request)
        note_action(scope, asked.action, resource=object_arn(asked.bucket, asked.key))
        self._understood[asked.operation].require(asked.headers, {})
        asked.caller = judged(asked)
        return answer_form(asked, form, await asked.declared.handler(self._context, asked))

    def _refusal(self, fault: S3Error, id: str, scope: Scope) -> S3Response:
        fields = {"Code": fault.code, "Message": fault.message, **fault.fields}
        fields |= {"Resource": scope["path"], "RequestId": id}
        headers = {"content-type": "application/xml", **fault.headers}
        if fault.code in _DENIED:
            note_denial(scope, fault.message, fault)
        return S3Response(fault.status, headers, render("Error", fields, ""))


def _path(scope: Scope) -> str:
    """As UTF-8, or InvalidURI: two keys must never become one."""
    try:
        return unquote(scope["raw_path"].decode("latin-1").partition("?")[0], errors="strict")
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", "the key is not UTF-8") from None


async def _with_first_block(answer: S3Response) -> S3Response:
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


async def _send(answer: S3Response, bodiless: bool, send: Send) -> None:
    content, headers = answer.content, answer.headers
    if isinstance(content, bytes) and content and "content-type" not in headers:
        headers["content-type"] = "application/xml"
    length = answer.length if answer.length is not None else len(content) if isinstance(content, bytes) else 0
    if answer.status not in (204, 304):
        headers["content-length"] = str(length)
    raw = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
    if isinstance(content, bytes):
        await send_whole(send, answer.status, raw, b"" if bodiless else content)
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await _stream(content, send)


async def _stream(content: AsyncIterator[bytes], send: Send) -> None:
    """A fault after the first byte breaks the connection: the length never matches, the client notices."""
    async for block in content:
        await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
