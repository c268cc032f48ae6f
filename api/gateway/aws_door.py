"""Recognises AWS requests by their signature and names the managed service that answers them.

Source: AWS Signature Version 4, credential scope `AKID/date/region/service/aws4_request` in the Authorization
header or in X-Amz-Credential of a presigned URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from crds.managed import ManagedService

_HEADER = re.compile(rb"AWS4-[A-Z0-9-]+ .*?Credential=[^/,\s]+/[0-9]{8}/[^/,\s]*/([a-z0-9-]+)/aws4_request")
_QUERY = re.compile(rb"(?:^|&)X-Amz-Credential=([^&]*)")
_SCOPE = re.compile(rb"[^/]+/[0-9]{8}/[^/]*/([a-z0-9-]+)/aws4_request")


def signing_names(services: Iterable[ManagedService]) -> dict[str, str]:
    """AWS signing name -> Service name, from the manifests."""
    return {name: service.service_name for service in services for name in service.speaks}


def signed_for(headers: Sequence[tuple[bytes, bytes]], query: bytes) -> str | None:
    """The AWS signing name of a signed request (`kms`, `s3`), or None when it carries no AWS signature."""
    for name, value in headers:
        if name == b"authorization" and value.startswith(b"AWS4-"):
            found = _HEADER.match(value)
            return found[1].decode() if found else ""
    if b"X-Amz-Credential=" in query and (credential := _QUERY.search(query)):
        found = _SCOPE.fullmatch(unquote_to_bytes(credential[1]))
        return found[1].decode() if found else ""
    return None


def refusal(signing_name: str, known: Mapping[str, str]) -> tuple[str, str]:
    """AWS error code and message for a signature that names no service of ours."""
    if not signing_name:
        return "IncompleteSignature", "The credential scope must be AKID/date/region/service/aws4_request."
    names = ", ".join(sorted(known))
    return "UnknownService", f"This cloud does not speak {signing_name!r}; it speaks: {names}."
