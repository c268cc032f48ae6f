"""An upload by a browser's form (POST Object): its fields become the headers of a PutObject of the file.

The gateway verifies the signature of a form's policy and says whose it is; what the policy allows is judged here.
Without a policy nobody signed, and it is an upload by anybody. Source: S3 API reference, "POST Object".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from services.sdk.aws.form_upload import FormError, FormFields, access_key_of, boundary_of, file_blocks, read_fields
from services.sdk.aws.rest_xml import parse, render
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.form_policy import FormPolicy, read_policy
from services.storage_manager.request_body import Receive

_HEADERS = frozenset({"cache-control", "content-type", "content-disposition", "content-encoding", "expires"})
# Of the form itself; they are no headers of an object.
_OF_FORM = frozenset({"x-amz-signature", "x-amz-credential", "x-amz-algorithm", "x-amz-date", "x-amz-security-token"})
_FILENAME = "${filename}"


def is_form(method: str, bucket: str, key: str, headers: MutableMapping[str, str]) -> bool:
    """Whether a request is such an upload."""
    return method == "POST" and bool(bucket) and not key and boundary_of(headers.get("content-type", "")) is not None


async def put_of_form(context: S3Context, request: S3Request) -> tuple[S3Request, FormFields]:
    """The PutObject that a form asks for. Raises S3Error MalformedPOSTRequest, AccessDenied, InvalidPolicy..."""
    boundary = boundary_of(request.headers.get("content-type", "")) or ""
    form = await _read(request.receive, boundary)
    policy, key = _policy_of(form, request), form.fields.get("key", "").replace(_FILENAME, form.filename)
    if policy is not None:
        now = datetime.fromtimestamp(context.clock(), UTC)
        policy.require({**form.fields, **({"key": key} if key else {})}, request.bucket, now)
    if not key:
        raise S3Error(
            "InvalidArgument", "Bucket POST must contain a field named 'key'.  If it is specified, check it."
        )
    body = _receiver(_bounded(file_blocks(form, request.receive), policy))
    headers = _headers_of(form) | {"host": request.headers.get("host", "")}
    return replace(request, method="PUT", key=key, query={}, headers=headers, receive=body), form


async def _read(receive: Receive, boundary: str) -> FormFields:
    try:
        return await read_fields(receive, boundary)
    except FormError as wrong:
        raise S3Error("MalformedPOSTRequest", str(wrong)) from wrong


def _policy_of(form: FormFields, request: S3Request) -> FormPolicy | None:
    """Nobody's word counts but the gateway's: the policy must be signed by whom it says."""
    key, signer = access_key_of(form.fields), request.caller.identity.access_key
    if key is None:
        if signer or any(name in form.fields for name in ("signature", "x-amz-signature")):
            raise S3Error("InvalidArgument", "Bucket POST must contain a field named 'policy'.")
        return None
    if not key:
        raise S3Error("InvalidArgument", "Bucket POST must contain a field named 'AWSAccessKeyId' and 'signature'.")
    if key != signer:
        raise S3Error("AccessDenied", "the policy of this form is not signed by the caller")
    return read_policy(form.fields["policy"])


def _headers_of(form: FormFields) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in form.fields.items():
        header = {"acl": "x-amz-acl", "tagging": "x-amz-tagging"}.get(name, name)
        if header not in _HEADERS and (not header.startswith("x-amz-") or header in _OF_FORM):
            continue
        text = _tags_of(value) if name == "tagging" else value
        if not text.isprintable():
            raise S3Error("InvalidArgument", f"{name[:80]}: a header is printable")
        # As any other header: text of the bytes that came.
        found[header] = text.encode().decode("latin-1")
    return found


def _tags_of(document: str) -> str:
    """The document of a form as the header that says the same. Raises ValueError for what is none."""
    root = parse(document.encode())
    pairs = [(tag.findtext("Key") or "", tag.findtext("Value") or "") for tag in root.findall("TagSet/Tag")]
    return urlencode(pairs, quote_via=quote)


async def _bounded(blocks: AsyncIterator[bytes], policy: FormPolicy | None) -> AsyncIterator[bytes]:
    size = 0
    try:
        async for block in blocks:
            size += len(block)
            if policy is not None:
                policy.require_size(size, ended=False)
            yield block
    except FormError as wrong:
        raise S3Error("MalformedPOSTRequest", str(wrong)) from wrong
    if policy is not None:
        policy.require_size(size, ended=True)


def _receiver(blocks: AsyncIterator[bytes]) -> Receive:
    async def receive() -> MutableMapping[str, Any]:
        block = await anext(blocks, None)
        return {"type": "http.request", "body": block or b"", "more_body": block is not None}

    return receive


def answer_form(request: S3Request, form: FormFields, answer: S3Response) -> S3Response:
    """What the form asked to be answered with: a redirect, a document (201), or nothing."""
    etag, headers = answer.headers.get("etag", ""), dict(answer.headers)
    location = f"https://{request.headers.get('host', '')}/{request.bucket}/{quote(request.key)}"
    target = form.fields.get("success_action_redirect") or form.fields.get("redirect")
    if target is not None and (parts := urlsplit(target)).scheme in ("http", "https") and parts.netloc:
        query = [*parse_qsl(parts.query, keep_blank_values=True)]
        query += [("bucket", request.bucket), ("key", request.key), ("etag", etag)]
        headers["location"] = urlunsplit(parts._replace(query=urlencode(query, quote_via=quote, safe="/")))
        return S3Response(303, headers)
    headers["location"] = location
    status = form.fields.get("success_action_status")
    if status == "201":
        fields = {"Location": location, "Bucket": request.bucket, "Key": request.key, "ETag": etag}
        return S3Response(201, headers, render("PostResponse", fields, ""))
    return S3Response(200 if status == "200" else 204, headers)
