"""An AWS error as each protocol writes it, of a service whose model is not at hand: the gateway's.

Source: botocore's parsers; S3 API reference "REST error responses"; AWS query API "Common errors".
"""

from __future__ import annotations

from typing import NamedTuple

from services.sdk.aws.errors import AwsError, Protocol
from services.sdk.aws.protocols import cbor
from services.sdk.aws.rest_xml import render


class ErrorBody(NamedTuple):
    """What goes over the wire. `headers` besides the content type."""

    status: int
    content: bytes
    content_type: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def error_body(error: AwsError, protocol: Protocol, *, request_id: str, resource: str = "") -> ErrorBody:
    """`resource`: the path, which S3 tells."""
    if protocol == "s3":
        fields = {"Code": error.code, "Message": error.message, "Resource": resource, "RequestId": request_id}
        headers = ((b"x-amz-request-id", request_id.encode()),)
        return ErrorBody(error.status, render("Error", fields, ""), b"application/xml", headers)
    if protocol in ("query", "rest-xml"):
        fault = "Receiver" if error.status >= 500 else "Sender"
        inside = {"Type": fault, "Code": error.code, "Message": error.message}
        content = render("ErrorResponse", {"Error": inside, "RequestId": request_id}, "")
        return ErrorBody(error.status, content, b"text/xml")
    named = ((b"x-amzn-errortype", error.code.encode()), (b"x-amzn-requestid", request_id.encode()))
    if protocol == "smithy-rpc-v2-cbor":
        more = (*named, (b"smithy-protocol", b"rpc-v2-cbor"))
        return ErrorBody(error.status, _cbor(error), b"application/cbor", more)
    content_type = b"application/json" if protocol == "rest-json" else b"application/x-amz-json-1.1"
    return ErrorBody(error.status, error.json(), content_type, named)


def _cbor(error: AwsError) -> bytes:
    texts = ("__type", error.code, "message", error.message)
    return cbor.map_head(2) + b"".join(map(cbor.encode_text, texts))
