"""What a request may say beside its body: a header or query member that would change its meaning and is not
understood here is refused, never dropped. Each operation names what it understands; what changes nothing is listed.

Source: the S3 API reference, each operation's "Request Syntax"; errors as S3 words them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from services.storage_manager.checksums import ALGORITHM, CHECKSUMS, PREFIX, TYPE
from services.storage_manager.errors import S3Error

META = "x-amz-meta-"
SSE, SSE_KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
OWNER, SOURCE_OWNER = "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"
# What signs, what says who calls with which program, and what Body checks. They change nothing of what is asked.
ALWAYS = frozenset(
    {
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
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)
_WRITE = frozenset({"x-amz-acl", "x-amz-storage-class", SSE, SSE_KEY, f"{SSE}-bucket-key-enabled", META})
_SUMS = frozenset(CHECKSUMS)
_SOURCE = frozenset(
    {"x-amz-copy-source", SOURCE_OWNER}
    | {f"x-amz-copy-source-if-{each}" for each in ("match", "none-match", "modified-since", "unmodified-since")}
)
# `x-amz-...` and conditional headers that each operation understands; `x-amz-meta-` stands for all that begin so.
HEADERS: dict[str, frozenset[str]] = {
    "ListBuckets": frozenset(),
    "CreateBucket": frozenset({"x-amz-acl", "x-amz-object-ownership", "x-amz-bucket-object-lock-enabled"}),
    "HeadBucket": frozenset({OWNER}),
    "DeleteBucket": frozenset({OWNER}),
    "GetBucketLocation": frozenset({OWNER}),
    "ListObjects": frozenset({OWNER}),
    "ListMultipartUploads": frozenset({OWNER}),
    "DeleteObjects": _SUMS | {OWNER},
    "PutObject": _WRITE | _SUMS | {OWNER, "if-match", "if-none-match"},
    "CopyObject": _WRITE | _SOURCE | {OWNER, "x-amz-metadata-directive", "x-amz-tagging-directive", ALGORITHM},
    "GetObject": frozenset({OWNER, "x-amz-checksum-mode"}),
    "HeadObject": frozenset({OWNER, "x-amz-checksum-mode"}),
    "DeleteObject": frozenset({OWNER, "if-match"}),
    "CreateMultipartUpload": _WRITE | {OWNER, ALGORITHM, TYPE},
    "UploadPart": _SUMS | {OWNER},
    "UploadPartCopy": _SOURCE | {OWNER, "x-amz-copy-source-range"},
    "CompleteMultipartUpload": _SUMS | {OWNER, TYPE, "x-amz-mp-object-size", "if-match", "if-none-match"},
    "AbortMultipartUpload": frozenset({OWNER}),
    "ListParts": frozenset({OWNER}),
}
_OVERRIDES = frozenset(
    {
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
    }
)
_LISTING = frozenset(["prefix", "delimiter", "encoding-type"])
QUERY: dict[str, frozenset[str]] = {
    "ListBuckets": frozenset({"max-buckets", "continuation-token", "prefix"}),
    "GetBucketLocation": frozenset({"location"}),
    "ListObjects": _LISTING
    | frozenset(["marker", "max-keys", "list-type", "continuation-token", "start-after", "fetch-owner"]),
    "ListMultipartUploads": frozenset(
        ["prefix", "encoding-type", "uploads", "key-marker", "upload-id-marker", "max-uploads"]
    ),
    "DeleteObjects": frozenset({"delete"}),
    "GetObject": _OVERRIDES | {"partNumber"},
    "HeadObject": _OVERRIDES | {"partNumber"},
    "CreateMultipartUpload": frozenset({"uploads"}),
    "UploadPart": frozenset({"uploadId", "partNumber"}),
    "UploadPartCopy": frozenset({"uploadId", "partNumber"}),
    "CompleteMultipartUpload": frozenset({"uploadId"}),
    "AbortMultipartUpload": frozenset({"uploadId"}),
    "ListParts": frozenset(["uploadId", "max-parts", "part-number-marker", "encoding-type"]),
}
# Of a request that reads, these are followed or change nothing; a write that does not know them would be another one.
_CONDITIONS = frozenset(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"])
_READS = frozenset(name for name in HEADERS if name.startswith(("Get", "Head", "List")))
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


def sealing_of(headers: dict[str, str]) -> dict[str, str]:
    """What was asked for the object's own encryption, as it is kept with the object."""
    return {name: headers[name] for name in (SSE, SSE_KEY) if name in headers}


def require_understood(operation: str, headers: dict[str, str], query: dict[str, str]) -> None:
    """Raises S3Error for what is asked for beside the body, and not done by that operation."""
    known = QUERY.get(operation, frozenset())
    for name in query:
        if name not in known and not name.lower().startswith("x-"):
            raise S3Error("NotImplemented", f"{operation} does not understand ?{name}")
    for name, value in headers.items():
        if name.startswith("x-amz-"):
            _require_header(operation, name)
        elif is_condition(operation, name) and name not in HEADERS[operation]:
            raise S3Error("NotImplemented", f"{operation} does not understand the header {name}")
        elif name == "content-range":
            raise S3Error("NotImplemented", "an object is written whole, not a range of it")
        if check := _VALUES.get(name):
            check(name, value)
    _require_key_fits(headers)


def is_condition(operation: str, name: str) -> bool:
    """Return whether that header would make another request of a write that does not know it."""
    return name in _CONDITIONS and operation not in _READS


def _require_header(operation: str, name: str) -> None:
    if name in ALWAYS or name in HEADERS[operation]:
        return
    if name.startswith(META) and META in HEADERS[operation]:
        return
    if name.startswith("x-amz-grant-"):
        raise _no_acl()
    if name.startswith("x-amz-object-lock-"):
        raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")
    if name.startswith(PREFIX) and name not in (ALGORITHM, TYPE, f"{PREFIX}mode"):
        raise S3Error("InvalidRequest", f"the checksum {name} is not known here: nothing would be verified")
    raise S3Error("NotImplemented", f"A header you provided implies functionality that is not implemented: {name}")


def _require_key_fits(headers: dict[str, str]) -> None:
    if SSE_KEY in headers and headers.get(SSE) != "aws:kms":
        raise S3Error("InvalidArgument", f"{SSE_KEY} needs {SSE}: aws:kms")


def _no_acl() -> S3Error:
    return S3Error("AccessControlListNotSupported", "The bucket does not allow ACLs")


def _one_of(code: str, *allowed: str) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value not in allowed:
            raise S3Error(code, f"{name}: {value[:80]!r} is not done here; only {', '.join(allowed)}")

    return check


def _acl(name: str, value: str) -> None:
    if value not in ("private", "bucket-owner-full-control"):
        raise _no_acl()


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
    "x-amz-acl": _acl,
    "x-amz-storage-class": _one_of("InvalidStorageClass", "STANDARD"),
    "x-amz-object-ownership": _one_of("NotImplemented", "BucketOwnerEnforced"),
    "x-amz-bucket-object-lock-enabled": _one_of("NotImplemented", "false", "False"),
    "x-amz-metadata-directive": _one_of("InvalidArgument", "COPY", "REPLACE"),
    "x-amz-tagging-directive": _one_of("NotImplemented", "COPY"),
    "x-amz-request-payer": _one_of("InvalidArgument", "requester"),
    "x-amz-checksum-mode": _one_of("InvalidArgument", "ENABLED", "enabled"),
    f"{SSE}-bucket-key-enabled": _one_of("NotImplemented", "true", "True"),
    SSE: _one_of("InvalidArgument", "AES256", "aws:kms"),
    "x-amz-content-sha256": _content,
    "x-amz-trailer": _trailer,
    "x-amz-sdk-checksum-algorithm": _algorithm,
    ALGORITHM: _algorithm,
}
