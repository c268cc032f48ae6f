"""Errors as AWS words them. Each protocol has its own code for the same fault; all sets are drawn here.

  fault           json-1.0 / json-1.1                 S3 (rest-xml)                    query
  missing         MissingAuthenticationTokenException AccessDenied 403                 MissingAuthenticationToken 403
  incomplete      IncompleteSignatureException        AuthorizationHeaderMalformed 400 IncompleteSignature 400
  unknown-key     UnrecognizedClientException         InvalidAccessKeyId 403           InvalidClientTokenId 403
  mismatch        InvalidSignatureException           SignatureDoesNotMatch 403        SignatureDoesNotMatch 403
  skewed          InvalidSignatureException           RequestTimeTooSkewed 403         SignatureDoesNotMatch 403
  expired         InvalidSignatureException           AccessDenied 403                 SignatureDoesNotMatch 403
  unsigned-header InvalidSignatureException           AccessDenied 403                 SignatureDoesNotMatch 403
  bad-token       UnrecognizedClientException         InvalidToken 400                 InvalidClientTokenId 403
  expired-token   ExpiredTokenException               ExpiredToken 400                 ExpiredToken 403

All of json's and CBOR's are 400, those of rest-json 403. rest-xml but for S3 has query's words.

Source: AWS "Common errors" of each service's API reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

Fault = Literal[
    "missing",
    "incomplete",
    "unknown-key",
    "mismatch",
    "skewed",
    "expired",
    "unsigned-header",
    "bad-token",
    "expired-token",
]
Protocol = Literal["json", "s3", "query", "rest-json", "rest-xml", "smithy-rpc-v2-cbor"]

_JSON: dict[Fault, tuple[str, int]] = {
    "missing": ("MissingAuthenticationTokenException", 400),
    "incomplete": ("IncompleteSignatureException", 400),
    "unknown-key": ("UnrecognizedClientException", 400),
    "mismatch": ("InvalidSignatureException", 400),
    "skewed": ("InvalidSignatureException", 400),
    "expired": ("InvalidSignatureException", 400),
    "unsigned-header": ("InvalidSignatureException", 400),
    "bad-token": ("UnrecognizedClientException", 400),
    "expired-token": ("ExpiredTokenException", 400),
}
_S3: dict[Fault, tuple[str, int]] = {
    "missing": ("AccessDenied", 403),
    "incomplete": ("AuthorizationHeaderMalformed", 400),
    "unknown-key": ("InvalidAccessKeyId", 403),
    "mismatch": ("SignatureDoesNotMatch", 403),
    "skewed": ("RequestTimeTooSkewed", 403),
    "expired": ("AccessDenied", 403),
    "unsigned-header": ("AccessDenied", 403),
    "bad-token": ("InvalidToken", 400),
    "expired-token": ("ExpiredToken", 400),
}
_QUERY: dict[Fault, tuple[str, int]] = {
    "missing": ("MissingAuthenticationToken", 403),
    "incomplete": ("IncompleteSignature", 400),
    "unknown-key": ("InvalidClientTokenId", 403),
    "mismatch": ("SignatureDoesNotMatch", 403),
    "skewed": ("SignatureDoesNotMatch", 403),
    "expired": ("SignatureDoesNotMatch", 403),
    "unsigned-header": ("SignatureDoesNotMatch", 403),
    "bad-token": ("InvalidClientTokenId", 403),
    "expired-token": ("ExpiredToken", 403),
}
_WORDS: dict[Protocol, dict[Fault, tuple[str, int]]] = {
    "json": _JSON,
    "smithy-rpc-v2-cbor": _JSON,
    "rest-json": {fault: (code, 403) for fault, (code, _) in _JSON.items()},
    "s3": _S3,
    "query": _QUERY,
    "rest-xml": _QUERY,
}


class AwsError(Exception):
    """An answer that is not a success. `status` is the HTTP code; `fields`: what the model's error has besides."""

    def __init__(self, code: str, message: str, status: int = 400, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status
        self.fields: Mapping[str, Any] = fields or {}

    def json(self) -> bytes:
        """The body of json-1.0 and json-1.1."""
        return json.dumps({"__type": self.code, "message": self.message}).encode()


class SignatureError(Exception):
    """A signature that is not accepted; `as_error` gives it a protocol's own words."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault, self.message = fault, message

    def as_error(self, protocol: Protocol) -> AwsError:
        """The AwsError of that protocol."""
        code, status = _WORDS[protocol][self.fault]
        return AwsError(code, self.message, status)
