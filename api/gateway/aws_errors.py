"""Refusals of the gateway to AWS clients, in the words of the protocol that was spoken.

Who asks too often hears what AWS says then, which SDKs know to wait for. Source: AWS "Common errors"
(ThrottlingException, Throttling); Amazon S3 API, "Error responses" (SlowDown); botocore `retries`.
"""

from __future__ import annotations

from api.asgi import Response, Scope
from crds.errors import ApiError, TooManyRequests
from services.sdk.aws.error_bodies import error_body
from services.sdk.aws.errors import AwsError, Protocol

_XML = frozenset({"s3", "query", "rest-xml"})
_THROTTLED: dict[Protocol, tuple[str, int]] = {
    "json": ("ThrottlingException", 400),
    "smithy-rpc-v2-cbor": ("ThrottlingException", 400),
    "rest-json": ("ThrottlingException", 429),
    "query": ("Throttling", 400),
    "rest-xml": ("Throttling", 400),
    "s3": ("SlowDown", 503),
}


def protocol_of(scope: Scope) -> Protocol:
    """How a service we do not have would have worded it: clients of the query protocol send forms."""
    for name, value in scope["headers"]:
        if name == b"smithy-protocol" and value == b"rpc-v2-cbor":
            return "smithy-rpc-v2-cbor"
        if name == b"content-type" and value.startswith(b"application/x-www-form-urlencoded"):
            return "query"
    return "json"


def as_aws_error(error: ApiError, protocol: Protocol) -> AwsError:
    """Clients look at the HTTP code or the word first, and try again."""
    if isinstance(error, TooManyRequests):
        word, code = _THROTTLED[protocol]
        return AwsError(word, error.message, code)
    code = 503 if error.code in (404, 503, 504) else error.code
    return AwsError("ServiceUnavailable" if protocol in _XML else "ServiceUnavailableException", error.message, code)


def aws_answer(
    error: AwsError, protocol: Protocol, scope: Scope, request_id: bytes, retry_after: int | None = None
) -> Response:
    """The whole refusal. What was not read of a body could not be told from the next request: the connection ends."""
    told = error_body(error, protocol, request_id=request_id.decode("latin-1"), resource=scope["path"])
    if retry_after is None and told.status == 503:
        retry_after = 1
    again = () if retry_after is None else ((b"retry-after", b"%d" % retry_after),)
    return Response(told.status, told.content, told.content_type, (*told.headers, *again, (b"connection", b"close")))
