"""How an object is sealed: with the bucket's key (SSE-S3, SSE-KMS), one that the request names, or one it brings.

Source: S3 user guide, "Protecting data with encryption", "Using server-side encryption with customer-provided keys".
A key that the customer brings (SSE-C) is never kept: beside the object lies a salted digest, by which another key is
told from it before anything is decrypted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import DEFAULT_KEY, BucketRef
from services.storage_manager.metadata import Object
from services.storage_manager.supported_parameters import SSE, SSE_KEY

CUSTOMER = f"{SSE}-customer-"
SOURCE = "x-amz-copy-source-server-side-encryption-customer-"
DIGEST = "customer-key"
_KEY_BYTES = 32
_PARTS = ("algorithm", "key", "key-md5")
_BRINGS = {prefix: frozenset(f"{prefix}{name}" for name in _PARTS) for prefix in (CUSTOMER, SOURCE)}


def customer_key(headers: Mapping[str, str], prefix: str = CUSTOMER) -> bytes | None:
    """The key a request brings. Raises S3Error InvalidArgument for half of one, or a damaged one."""
    parts = [headers.get(f"{prefix}{name}") for name in _PARTS]
    if not any(each is not None for each in parts):
        return None
    algorithm, text, digest = parts
    if algorithm is None or text is None or digest is None:
        why = "Requests specifying Server Side Encryption with Customer provided keys must provide"
        raise S3Error("InvalidArgument", f"{why} an appropriate algorithm, secret key, and its MD5.")
    if algorithm != "AES256":
        raise S3Error("InvalidEncryptionAlgorithmError", "The encryption algorithm is AES256.")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise S3Error("InvalidArgument", "The secret key was invalid for the specified algorithm.")
    if base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode() != digest:
        raise S3Error(
            "InvalidArgument", "The calculated MD5 hash of the key did not match the hash that was provided."
        )
    return key


def sealing_of(ref: BucketRef, headers: Mapping[str, str]) -> tuple[BucketRef, dict[str, str], dict[str, Any]]:
    """The bucket as something is sealed in it that a request writes; headers and attributes to keep beside that."""
    key = customer_key(headers)
    if key is not None:
        if SSE in headers:
            raise S3Error("InvalidArgument", f"{SSE} and a key of your own exclude each other")
        return replace(ref, customer_key=key), {}, {DIGEST: _digest(key, secrets.token_hex(16))}
    return *_with_bucket_key(ref, headers), {}


def _with_bucket_key(ref: BucketRef, headers: Mapping[str, str]) -> tuple[BucketRef, dict[str, str]]:
    if SSE in headers:
        if headers[SSE] == "AES256":
            return replace(ref, encrypted=True, key=None), {SSE: "AES256"}
        named = headers.get(SSE_KEY) or (ref.key if ref.encrypted else None) or DEFAULT_KEY
        return replace(ref, encrypted=True, key=named), {SSE: "aws:kms", SSE_KEY: named}
    if not ref.encrypted:
        return ref, {}
    return ref, {SSE: "aws:kms", SSE_KEY: ref.key} if ref.key else {SSE: "AES256"}


def like_upload(
    ref: BucketRef, kept: Mapping[str, str], attributes: Mapping[str, Any], headers: Mapping[str, str]
) -> BucketRef:
    """The bucket as a part of an upload is sealed in it. Raises S3Error InvalidRequest for another key."""
    key = customer_key(headers)
    if DIGEST in attributes or key is not None:
        return replace(ref, customer_key=_required(key, attributes))
    return _with_bucket_key(ref, kept)[0]


def opened(ref: BucketRef, found: Object, headers: Mapping[str, str], prefix: str = CUSTOMER) -> BucketRef:
    """The bucket as an object of it is read. Raises S3Error InvalidRequest without the key it was sealed with."""
    if DIGEST not in found.attributes and _BRINGS[prefix].isdisjoint(headers):
        return ref
    return replace(ref, customer_key=_required(customer_key(headers, prefix), found.attributes))


def _required(key: bytes | None, attributes: Mapping[str, Any]) -> bytes:
    digest = attributes.get(DIGEST)
    if digest is None:
        raise S3Error("InvalidRequest", "The encryption parameters are not applicable to this object.")
    if key is None:
        why = "The object was stored using a form of Server Side Encryption."
        raise S3Error("InvalidRequest", f"{why} The correct parameters must be provided to retrieve the object.")
    if not hmac.compare_digest(_digest(key, digest.partition(":")[0]), digest):
        raise S3Error("InvalidRequest", "The provided encryption key is not the one the object was stored with.")
    return key


def _digest(key: bytes, salt: str) -> str:
    return f"{salt}:{hmac.new(key, bytes.fromhex(salt), hashlib.sha256).hexdigest()}"


def told(headers: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """What an answer says of it: of the customer's key, or what is kept beside the object."""
    if f"{CUSTOMER}algorithm" in headers:
        return {name: headers[name] for name in (f"{CUSTOMER}algorithm", f"{CUSTOMER}key-md5")}
    return {name: kept[name] for name in (SSE, SSE_KEY) if name in kept}
