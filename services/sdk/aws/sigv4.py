"""AWS Signature Version 4: does this request carry the signature its sender's key makes?

Pure: raw request parts and a derived signing key in, nothing or SignatureError out. Both header signatures and
presigned queries. Bodies are not read here: the caller gives their hash (or S3's marker).
Source: AWS IAM User Guide "Create a signed AWS API request"; S3 API reference "Authenticating requests".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from posixpath import normpath
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

from crds.numbers import whole_number
from services.sdk.aws.authorization_header import parse_authorization, parse_credential
from services.sdk.aws.errors import SignatureError

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)
MAX_EXPIRES = 604800
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-"
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
_UNRESERVED = "-_.~"
_BLOCK = 64  # bytes that SHA-256 takes at once
_STAMP = "%Y%m%dT%H%M%SZ"
_UNSIGNED_ALLOWED = frozenset({"x-amz-content-sha256", "x-amzn-trace-id"})


class RawRequest:
    """A request as it came: path and query undecoded, header names in lower case. `first`: the first header of each
    name; `doubled`: whether one was sent more than once.
    """

    __slots__ = ("doubled", "first", "headers", "method", "path", "query")

    def __init__(self, method: str, path: str, query: str, headers: Sequence[tuple[str, str]]) -> None:
        self.method, self.path, self.query, self.headers = method, path, query, headers
        self.first = dict(headers)
        self.doubled = len(self.first) < len(headers)
        if self.doubled:
            self.first = dict(reversed(headers))

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return self.first.get(name)

    def query_value(self, name: str) -> str | None:
        """The value of that query member."""
        return _query_of(self.query).get(name) if self.query else None


class Signature(NamedTuple):
    """A signature as a request claims it. `timestamp` is `20260102T030405Z`; `expires` seconds, only when presigned.

    Chunk signatures of STREAMING bodies start from `value` (the seed), `timestamp` and `scope`.
    """

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    timestamp: str
    expires: int | None = None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    @property
    def presigned(self) -> bool:
        return self.expires is not None


def read_signature(request: RawRequest) -> Signature | None:
    """The signature in the Authorization header or the query; None when unsigned. Raises SignatureError."""
    header = request.first.get("authorization")
    if header is not None and header.startswith("AWS4-"):
        return _from_header(header, request)
    query = _query_of(request.query)
    if "X-Amz-Signature" in query or "X-Amz-Credential" in query:
        return _from_query(query)
    return None


def payload_hash(request: RawRequest, signature: Signature, body_sha256: str | None) -> str:
    """The hash or marker that stands for the body in the canonical request.

    S3 says it in a header (hash, UNSIGNED-PAYLOAD or STREAMING-...); other services sign the body itself.
    Raises SignatureError when S3's header is missing or contradicts a body we know.
    """
    if signature.service != "s3":
        return body_sha256 or EMPTY_HASH
    query = _query_of(request.query) if signature.presigned else {}
    said = request.first.get("x-amz-content-sha256") or query.get("X-Amz-Content-Sha256")
    if said is None:
        if signature.presigned:
            return UNSIGNED_PAYLOAD
        raise SignatureError("incomplete", "Missing required header for this request: x-amz-content-sha256")
    plain = not said.startswith(STREAMING) and said != UNSIGNED_PAYLOAD
    if plain and body_sha256 is not None and not hmac.compare_digest(said.lower().encode(), body_sha256.encode()):
        raise SignatureError(
            "mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
        )
    return said


def verify(request: RawRequest, signature: Signature, key: bytes, body_hash: str, now: datetime) -> None:
    """Raises SignatureError unless `key` made this signature, for this request, at a time that still counts."""
    check_time(signature, now)
    verify_timely(request, signature, SigningKey(key), body_hash)


def verify_timely(request: RawRequest, signature: Signature, key: SigningKey, body_hash: str) -> None:
    """The same where the time was looked at already."""
    _check_headers(request, signature)
    expected = key.signature(string_to_sign(request, signature, body_hash).encode())
    if not hmac.compare_digest(expected.encode(), signature.value.encode()):
        raise SignatureError(
            "mismatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        )


def check_time(signature: Signature, now: datetime) -> None:
    """Raises SignatureError: more than 15 minutes off, or presigned and past its time."""
    made = _moment(signature.timestamp)
    if signature.expires is None:
        if abs(now - made) > SKEW:
            raise SignatureError("skewed", _skewed(signature.timestamp, made, now))
        return
    if made - now > SKEW:
        raise SignatureError("expired", "Request is not yet valid")
    if now > made + timedelta(seconds=signature.expires):
        raise SignatureError("expired", "Request has expired")


def _skewed(said: str, made: datetime, now: datetime) -> str:
    is_now = now.strftime(_STAMP)
    if made < now:
        return f"Signature expired: {said} is now earlier than {is_now} less 15 min."
    return f"Signature not yet current: {said} is still later than {is_now} + 15 min."


def string_to_sign(request: RawRequest, signature: Signature, body_hash: str) -> str:
    """The text that is signed with the signing key."""
    _, date, region, service, _, _, stamp, _ = signature
    digest = hashlib.sha256(canonical_request(request, signature, body_hash).encode()).hexdigest()
    return f"{ALGORITHM}\n{stamp}\n{date}/{region}/{service}/aws4_request\n{digest}"


def canonical_request(request: RawRequest, signature: Signature, body_hash: str) -> str:
    """The one spelling both sides agree on."""
    values = _joined(request.headers) if request.doubled else request.first
    headers = "".join([f"{name}:{' '.join(values.get(name, '').split())}\n" for name in signature.signed_headers])
    path = request.path if request.path == "/" else _canonical_path(request.path, signature.service)
    query = request.query and _canonical_query(request.query)
    return f"{request.method}\n{path}\n{query}\n{headers}\n{';'.join(signature.signed_headers)}\n{body_hash}"


def _joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The value of each header; of one that was sent several times, all of them."""
    names = dict.fromkeys(name for name, _ in headers)
    return {name: ",".join([" ".join(value.split()) for each, value in headers if each == name]) for name in names}


class SigningKey:
    """A derived key that verifies many requests: HMAC-SHA256 whose two pads are hashed once for all of them. OpenSSL
    itself sets up a context for each, which takes five times as long. Source: RFC 2104.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        padded = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(each ^ 0x36 for each in padded))
        self._outer = hashlib.sha256(bytes(each ^ 0x5C for each in padded))

    def signature(self, text: bytes) -> str:
        """In hexadecimal digits, small ones."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


def derive_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The signing key of one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _from_header(header: str, request: RawRequest) -> Signature:
    claim = parse_authorization(header)
    if claim is None or claim.algorithm != ALGORITHM:
        raise SignatureError("incomplete", "Authorization header requires Credential, SignedHeaders and Signature.")
    stamp = request.first.get("x-amz-date")
    if stamp is None:
        raise SignatureError("incomplete", "Authorization header requires existence of an 'X-Amz-Date' header.")
    return _claimed(claim.credential, claim.signed_headers, claim.signature, stamp, None)


def _from_query(query: dict[str, str]) -> Signature:
    names = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires")
    lacking = [name for name in names if name not in query]
    if lacking or query.get("X-Amz-Algorithm") != ALGORITHM:
        raise SignatureError("incomplete", f"Query-string authentication requires {', '.join(names)}.")
    credential, headers, value, stamp, expires = (query[name] for name in names)
    if not (seconds := whole_number(expires, MAX_EXPIRES)):
        raise SignatureError("incomplete", f"X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds")
    return _claimed(credential, headers, value, stamp, seconds)


def _claimed(credential: str, headers: str, value: str, stamp: str, expires: int | None) -> Signature:
    found = parse_credential(credential)
    if found is None:
        raise SignatureError("incomplete", "Credential must be AKID/date/region/service/aws4_request.")
    access_key, date, region, service = found
    _moment(stamp)
    if not stamp.startswith(date):
        raise SignatureError("mismatch", f"Date in Credential scope does not match YYYYMMDD of {stamp}.")
    return Signature(access_key, date, region, service, tuple(headers.split(";")), value, stamp, expires)


def _check_headers(request: RawRequest, signature: Signature) -> None:
    if "host" not in signature.signed_headers:
        raise SignatureError("unsigned-header", "'Host' must be a signed header.")
    unsigned = request.first.keys() - signature.signed_headers - _UNSIGNED_ALLOWED
    if "\nx-amz-" in "\n" + "\n".join(unsigned):
        left = sorted(name for name in unsigned if name.startswith("x-amz-"))
        raise SignatureError(
            "unsigned-header",
            f"There were headers present in the request which were not signed: {', '.join(left)}",
        )


def _canonical_path(path: str, service: str) -> str:
    if service == "s3":
        return "/".join(_encoded(part) for part in path.split("/")) or "/"
    return quote(_normal_path(path), safe="/~")


def _normal_path(path: str) -> str:
    if not path or path == "/":
        return "/"
    clean = "/" + normpath(path).lstrip("/.")
    return clean if not path.endswith("/") or clean.endswith("/") else clean + "/"


def _canonical_query(query: str) -> str:
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name and unquote(name) != "X-Amz-Signature":
            pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text), safe=_UNRESERVED)


def _query_of(query: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {unquote(name): unquote(value) for name, _, value in pairs}


@lru_cache(maxsize=1024)
def _moment(stamp: str) -> datetime:
    """Every request has it three times, and thousands the same: a second is all it tells."""
    if len(stamp) != len("20260102T030405Z"):
        raise _no_moment(stamp)
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise _no_moment(stamp) from None


def _no_moment(stamp: str) -> SignatureError:
    return SignatureError("incomplete", f"X-Amz-Date must be like 20260102T030405Z, not {stamp[:64]!r}.")
