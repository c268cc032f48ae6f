"""Answers in XML and requests read by S3's model: names, lists, namespaces and moments are its business.

A member that the model does not have is a KeyError, so that a misspelt one does not get past any test.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from services.sdk.aws.errors import AwsError
from services.sdk.aws.model import load_model
from services.sdk.aws.protocols import Codec, HttpRequest, codec_for
from services.storage_manager.errors import S3Error

if TYPE_CHECKING:
    from services.storage_manager.context import S3Request


def render_answer(operation: str, result: Mapping[str, Any]) -> bytes:
    """The body of that operation's answer."""
    body = _codec().serialize(operation, result, "").body
    if not isinstance(body, bytes):
        raise TypeError(f"{operation} answers with a stream")
    return body


def parse_request(request: S3Request, document: bytes) -> dict[str, Any]:
    """The members of the operation's input. Raises S3Error MalformedXML for what the model does not allow."""
    path = "/" + quote(request.bucket, safe="") + (f"/{quote(request.key)}" if request.key else "")
    whole = HttpRequest(request.method, path, urlencode(request.query), request.headers, document)
    try:
        return _codec().parse(request.operation, whole)
    except AwsError as wrong:
        raise S3Error("MalformedXML", wrong.message) from wrong


@cache
def _codec() -> Codec:
    return codec_for(load_model("s3"), "rest-xml")
