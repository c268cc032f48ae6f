"""What a request may say beside its body: a header or query member that would change its meaning and is not
understood here is refused, never dropped. Each operation declares what it understands (`operations.py`); what changes
nothing is listed here.

Source: the S3 API reference, each operation's "Request Syntax"; errors as S3 words them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from services.sdk.aws.model import ServiceModel
from services.storage_manager.checksums import ALGORITHM, CHECKSUMS, PREFIX, TYPE
from services.storage_manager.errors import S3Error
from services.storage_manager.operations import S3Operation

META = "x-amz-meta-"
SSE, SSE_KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
OWNER, SOURCE_OWNER = "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"
# What signs, what says who calls with which program, and what Body checks. They change nothing of what is asked.
ALWAYS = frozenset(
    {
        "x-amz-api-version",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-request-payer",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-te",
        "x-amz-trailer",
        "x-amz-user-agent",
    }
)
# The members of a presigned query that are its signature.
_SIGNATURE = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)
# Of a request that reads, these are followed or change nothing; a write that does not know them would be another one.
_CONDITIONS = frozenset(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"])
# Operations with this header have a body whose checksum may be sent along; `RequestBody` verifies it.
_VERIFIED = "x-amz-sdk-checksum-algorithm"
_READS = ("Get", "Head", "List")
_UPLOADS = frozenset({"PutObject", "UploadPart"})
_CONTENT = re.compile(
    r"[0-9a-f]{64}|UNSIGNED-PAYLOAD|STREAMING-UNSIGNED-PAYLOAD-TRAILER|STREAMING-AWS4-HMAC-SHA256-PAYLOAD(-TRAILER)?"
)


def hoisted(query: dict[str, str], headers: dict[str, str]) -> dict[str, str]:
    """The headers, and those that a presigned request carries in its query: they mean the same there.

    Not its checksums: SDKs sign those of an empty body, and S3 does not look at them. Raises S3Error.
    """
    found: dict[str, str] = {}
    for name, value in query.items():
        lower = name.lower()
        if not lower.startswith("x-amz-") or lower in _SIGNATURE or lower in CHECKSUMS:
            continue
        if lower.startswith("x-amz-copy-source"):
            raise S3Error("NotImplemented", f"{name} belongs into a header, not into the query")
        if not value.isascii() or not value.isprintable():
            raise S3Error("InvalidArgument", f"{name}: a header is printable ASCII")
        found[lower] = value
    return {**found, **headers}


class Understood:
    """Names of headers and query members that one operation understands."""

    __slots__ = ("headers", "name", "prefixes", "query", "reads")

    def __init__(self, declared: S3Operation, model: ServiceModel, marks: frozenset[str]) -> None:
        named = declared.headers(model)
        self.name, self.reads = declared.name, declared.name.startswith(_READS)
        self.headers = frozenset(each for each in named if not each.endswith("-")) | ALWAYS
        if _VERIFIED in named:
            self.headers |= frozenset(CHECKSUMS)
        self.prefixes = tuple(each for each in named if each.endswith("-"))
        self.query = declared.query(model) | marks

    def require(self, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
        """Raises S3Error for what is asked for beside the body, and not done by that operation."""
        for name in query:
            if name not in self.query and not name.lower().startswith("x-"):
                raise S3Error("NotImplemented", f"{self.name} does not understand ?{name}")
        for name, value in headers.items():
            if name.startswith("x-amz-"):
                self._require_header(name)
            elif name in _CONDITIONS and not self.reads and name not in self.headers:
                raise S3Error("NotImplemented", f"{self.name} does not understand the header {name}")
            elif name == "content-range":
                raise S3Error("NotImplemented", "an object is written whole, not a range of it")
            if check := _VALUES.get(name):
                check(name, value)
        _require_key_fits(headers)

    def _require_header(self, name: str) -> None:
        if name in self.headers or (self.prefixes and name.startswith(self.prefixes)):
            return
        if name.startswith("x-amz-grant-"):
            raise _no_acl()
        if name.startswith(PREFIX) and name not in (ALGORITHM, TYPE, f"{PREFIX}mode"):
            raise S3Error("InvalidRequest", f"the checksum {name} is not known here: nothing would be verified")
        if name.startswith(SSE):
            raise S3Error("InvalidArgument", f"{name} header is not supported for this operation.")
        raise S3Error("NotImplemented", f"A header implies functionality that is not implemented: {name}")


def require_length(operation: str, headers: Mapping[str, str]) -> None:
    """Raises S3Error MissingContentLength for an upload without one: cut off, it would be a whole object.

    A form needs none: its file ends with its border.
    """
    streams = headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    needed = {"x-amz-decoded-content-length"} if streams else {"content-length", "transfer-encoding"}
    if operation in _UPLOADS and needed.isdisjoint(headers):
        raise S3Error("MissingContentLength", f"You must provide the {min(needed).title()} HTTP header.")


def _require_key_fits(headers: Mapping[str, str]) -> None:
    if SSE_KEY in headers and headers.get(SSE) != "aws:kms":
        raise S3Error("InvalidArgument", f"{SSE_KEY} needs {SSE}: aws:kms")


def _no_acl() -> S3Error:
    return S3Error("AccessControlListNotSupported", "The bucket does not allow ACLs")


def _one_of(code: str, *allowed: str) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value not in allowed:
            raise S3Error(code, f"{name}: {value[:80]!r} is not done here; only {', '.join(allowed)}")

    return check


def _content(name: str, value: str) -> None:
    if not _CONTENT.fullmatch(value):
        raise S3Error("InvalidArgument", f"{name} must be UNSIGNED-PAYLOAD, STREAMING-..., or a SHA-256 in hex")


def _trailer(name: str, value: str) -> None:
    for each in value.split(","):
        if each.strip().lower() not in CHECKSUMS:
            raise S3Error("InvalidRequest", f"the trailer {each.strip()[:80]!r} is not known here")


def _algorithm(name: str, value: str) -> None:
    if f"{PREFIX}{value.lower()}" not in CHECKSUMS:
        raise S3Error("InvalidRequest", f"there is no checksum algorithm {value[:80]}")


_VALUES: dict[str, Callable[[str, str], None]] = {
    "x-amz-api-version": _one_of("InvalidArgument", "2006-03-01"),  # the SDK for C++ says it always
    "x-amz-storage-class": _one_of("InvalidStorageClass", "STANDARD"),
    "x-amz-metadata-directive": _one_of("InvalidArgument", "COPY", "REPLACE"),
    "x-amz-tagging-directive": _one_of("InvalidArgument", "COPY", "REPLACE"),
    "x-amz-request-payer": _one_of("InvalidArgument", "requester"),
    "x-amz-checksum-mode": _one_of("InvalidArgument", "ENABLED", "enabled"),
    f"{SSE}-bucket-key-enabled": _one_of("NotImplemented", "true", "True"),
    SSE: _one_of("InvalidArgument", "AES256", "aws:kms"),
    "x-amz-content-sha256": _content,
    "x-amz-trailer": _trailer,
    "x-amz-sdk-checksum-algorithm": _algorithm,
    ALGORITHM: _algorithm,
}
