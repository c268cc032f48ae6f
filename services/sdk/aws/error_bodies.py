"""An AWS error as each protocol writes it: S3's XML, json-1.0/1.1, and query's XML.

Source: botocore's parsers; S3 API reference "REST error responses"; AWS query API "Common errors".
"""

from __future__ import annotations

from typing import NamedTuple

from services.sdk.aws.errors import AwsError, Protocol
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
    if protocol == "query":
        fault = "Receiver" if error.status >= 500 else "Sender"
        inside = {"Type": fault, "Code": error.code, "Message": error.message}
        content = render("ErrorResponse", {"Error": inside, "RequestId": request_id}, "")
        return ErrorBody(error.status, content, b"text/xml")
    named = ((b"x-amzn-errortype", error.code.encode()), (b"x-amzn-requestid", request_id.encode()))
    return ErrorBody(error.status, error.json(), b"application/x-amz-json-1.1", named)
