"""The check of a signed request at the gateway: head first, then, only for who passed it, a bounded body.

In this order: one signature, said once; a scope this service answers; a time that counts; a known key. S3 says the
body's hash in the head, so its signature is verified before a byte of the body is read, and the service compares the
body with that hash. All other protocols sign the body itself: it is read up to a limit, and handed on from memory.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from controller.kit.clock import Clock
from crds.errors import NotFound
from services.sdk.asgi import Receive, Scope, read_body, replaying
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.aws.form_upload import access_key_of, is_signed_by
from services.sdk.aws.sigv4 import (
    UNSIGNED_PAYLOAD,
    RawRequest,
    Signature,
    SigningKey,
    check_time,
    derive_key,
    payload_hash,
    read_signature,
    verify_timely,
)

T = TypeVar("T")
BODY_LIMIT = 4 * 1024 * 1024
_SAYS_ITS_HASH = "s3"
_PAYLOAD_HEADER, _PAYLOAD_QUERY = "x-amz-content-sha256", "X-Amz-Content-Sha256"
_HEX = frozenset("0123456789abcdefABCDEF")
_STREAMS = frozenset(
    {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
)
_INVALID = "The security token included in the request is invalid."
_TOKEN_HEADER, _TOKEN_QUERY = "x-amz-security-token", "X-Amz-Security-Token"
# Said twice, one reader would take the first and another the last.
_ONCE = frozenset({"authorization", "host", "x-amz-date", _TOKEN_HEADER, _PAYLOAD_HEADER, "content-length"})


class Owner(NamedTuple, Generic[T]):
    """The owner of an access key, and its secret. Of a temporary one also the session token that comes with each
    request, and when it ends.
    """

    who: T
    secret: str
    token: str = ""
    ends_at: datetime | None = None


class Verified(NamedTuple, Generic[T]):
    """A request that its owner signed. `payload` is the hash or marker that was signed."""

    who: T
    signature: Signature
    payload: str


_Head = tuple[RawRequest, Signature, Owner[T]]
"""What a signed request says before its body."""


class SignatureVerifier(Generic[T]):
    """`find`: the owner of an access key id, as of now. Raises NotFound."""

    def __init__(self, find: Callable[[str], Owner[T]], clock: Clock) -> None:
        self._find, self._clock = find, clock

    async def verified(self, scope: Scope, receive: Receive, speaks: Sequence[str]) -> tuple[Verified[T], Receive]:
        """Who signed it, and what gives its body from here on. Raises SignatureError, AwsError. `speaks`: the signing
        names of the service it is meant for.
        """
        head = self._head(scope, speaks)
        if _says_its_hash(head):
            return _verified(head, b""), receive
        body = await read_body(receive, BODY_LIMIT)
        if body is None:
            raise AwsError("RequestEntityTooLargeException", f"the body is over {BODY_LIMIT} bytes", 413)
        check_time(head[1], self._clock.now())  # it may have taken long to come
        return _verified(head, body), replaying(body, receive)

    def verified_with(self, scope: Scope, body: bytes, speaks: Sequence[str]) -> Verified[T]:
        """The same for a request whose whole body has come. Raises SignatureError."""
        return _verified(self._head(scope, speaks), body)

    def _head(self, scope: Scope, speaks: Sequence[str]) -> _Head[T]:
        """What the head alone can prove wrong. Raises SignatureError, AwsError."""
        request, now = raw_request(scope), self._clock.now()
        signature = read_head(request, speaks)
        check_time(signature, now)
        owner = self._owner(signature.access_key)
        _check_token(owner, session_token(request, signature), now)
        if signature.service == _SAYS_ITS_HASH:
            _check_payload_is_known(request, signature)
        return request, signature, owner

    def signer_of_form(self, fields: Mapping[str, str]) -> T:
        """Who signed the policy of a browser's upload, which says itself until when. Raises SignatureError."""
        owner = self._owner(access_key_of(fields) or "")
        _check_token(owner, fields.get(_TOKEN_HEADER), self._clock.now())
        if not is_signed_by(fields, owner.secret):
            why = "The request signature we calculated does not match the signature you provided."
            raise SignatureError("mismatch", why)
        return owner.who

    def _owner(self, access_key: str) -> Owner[T]:
        try:
            return self._find(access_key)
        except NotFound:
            raise SignatureError("unknown-key", _INVALID) from None


def _says_its_hash(head: _Head[Any]) -> bool:
    """Whether the head stands for the body, which need not be read to verify it."""
    return head[1].service == _SAYS_ITS_HASH


def _verified(head: _Head[T], body: bytes) -> Verified[T]:
    """Raises SignatureError. `body` counts where the head does not say its hash."""
    request, signature, owner = head
    if signature.service == _SAYS_ITS_HASH:
        payload = payload_hash(request, signature, None)
    else:
        payload = hashlib.sha256(body).hexdigest()
    key = _derived(owner.secret, signature.date, signature.region, signature.service)
    verify_timely(request, signature, key, payload)
    return Verified(owner.who, signature, payload)


def session_token(request: RawRequest, signature: Signature) -> str | None:
    """The session token of a request, from where its signature is. Raises SignatureError for one elsewhere."""
    by_header = request.first.get(_TOKEN_HEADER)
    if not request.query:
        return by_header
    by_query = request.query_value(_TOKEN_QUERY)
    here, elsewhere = (by_query, by_header) if signature.presigned else (by_header, by_query)
    if elsewhere is not None:
        raise SignatureError(
            "incomplete", "A session token comes where the signature is: both headers, or both query."
        )
    return here


def _check_token(owner: Owner[Any], token: str | None, now: datetime) -> None:
    """Raises SignatureError. Only who shows the right token hears that it has ended."""
    if token is None and not owner.token:
        return
    if token is None:
        raise SignatureError("unknown-key", _INVALID)
    if not owner.token or not hmac.compare_digest(token.encode(), owner.token.encode()):
        raise SignatureError("bad-token", _INVALID)
    if owner.ends_at is not None and now >= owner.ends_at:
        raise SignatureError("expired-token", "The security token included in the request is expired")


def read_head(request: RawRequest, speaks: Sequence[str]) -> Signature:
    """The signature a request claims, if only one, for a service of those names. Raises SignatureError."""
    doubles = _doubled(request) if request.doubled else frozenset[str]()
    if doubles or request.query:
        _refuse_doubles(request, doubles)
    signature = read_signature(request)
    if signature is None:
        raise SignatureError("missing", "Missing Authentication Token")
    if signature.service not in speaks:
        raise SignatureError("mismatch", f"Credential should be scoped to correct service: {speaks[0]!r}.")
    if doubles and (doubled := sorted(doubles & set(signature.signed_headers))):
        raise SignatureError("incomplete", f"Signed headers must be sent once: {', '.join(doubled)}.")
    if len(set(signature.signed_headers)) != len(signature.signed_headers):
        raise SignatureError("incomplete", "SignedHeaders names a header twice.")
    return signature


def _doubled(request: RawRequest) -> Set[str]:
    """The headers that were sent more than once."""
    names = [name for name, _ in request.headers]
    return {name for name in names if names.count(name) > 1}


def _refuse_doubles(request: RawRequest, doubles: Set[str]) -> None:
    if doubles and (doubled := sorted(doubles & _ONCE)):
        raise SignatureError("incomplete", f"Headers must be sent once: {', '.join(doubled)}.")
    if not request.query:
        return
    names = [unquote(part.partition("=")[0]) for part in request.query.split("&") if part]
    if len(set(names)) != len(names):
        raise SignatureError("incomplete", "Query members must be sent once.")
    by_header = (request.header("authorization") or "").startswith("AWS4-")
    if by_header and any(name in ("X-Amz-Signature", "X-Amz-Credential") for name in names):
        raise SignatureError("incomplete", "Only one auth mechanism allowed: a header or a presigned query.")


def _check_payload_is_known(request: RawRequest, signature: Signature) -> None:
    """What is neither a hash nor a marker would leave the body unsigned without anybody's wish."""
    said = payload_hash(request, signature, None)
    is_hash = len(said) == 64 and _HEX.issuperset(said)
    if not is_hash and said != UNSIGNED_PAYLOAD and said not in _STREAMS:
        raise AwsError(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, one of the STREAMING- markers, or a valid sha256 value.",
        )


def payload_headers(request: Mapping[str, Any], verified: Verified[Any]) -> list[tuple[bytes, bytes]]:
    """What a presigned query says of the body, as the header a service looks for."""
    if verified.signature.expires is None or verified.signature.service != _SAYS_ITS_HASH:
        return []
    said = any(name == _PAYLOAD_HEADER.encode() for name, _ in request["headers"])
    return [] if said else [(_PAYLOAD_HEADER.encode(), verified.payload.encode())]


def raw_request(scope: Mapping[str, Any]) -> RawRequest:
    """The parts of an ASGI http scope that are signed."""
    path = scope.get("raw_path") or scope["path"].encode()
    return RawRequest(
        scope["method"],
        path.decode("latin-1").partition("?")[0],
        scope["query_string"].decode("latin-1"),
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
    )


@lru_cache(maxsize=4096)
def _derived(secret: str, date: str, region: str, service: str) -> SigningKey:
    return SigningKey(derive_key(secret, date, region, service))
