"""Refusals of the gateway to AWS clients, in the words of the protocol that was spoken."""

from __future__ import annotations

from api.asgi import Response, Scope
from crds.errors import ApiError
from services.sdk.aws.error_bodies import error_body
from services.sdk.aws.errors import AwsError, Protocol

_XML = frozenset({"s3", "query", "rest-xml"})


def protocol_of(scope: Scope) -> Protocol:
    """How a service we do not have would have worded it: clients of the query protocol send forms."""
    for name, value in scope["headers"]:
        if name == b"smithy-protocol" and value == b"rpc-v2-cbor":
            return "smithy-rpc-v2-cbor"
        if name == b"content-type" and value.startswith(b"application/x-www-form-urlencoded"):
            return "query"
    return "json"


def unavailable(error: ApiError, protocol: Protocol) -> AwsError:
    """Clients look at the HTTP code first, and try again."""
    code = 503 if error.code in (404, 429, 503, 504) else error.code
    return AwsError("ServiceUnavailable" if protocol in _XML else "ServiceUnavailableException", error.message, code)


def aws_answer(error: AwsError, protocol: Protocol, scope: Scope, request_id: bytes) -> Response:
    """The whole refusal. What was not read of a body could not be told from the next request: the connection ends."""
    told = error_body(error, protocol, request_id=request_id.decode("latin-1"), resource=scope["path"])
    again = ((b"retry-after", b"1"),) if told.status == 503 else ()
    return Response(told.status, told.content, told.content_type, (*told.headers, *again, (b"connection", b"close")))
