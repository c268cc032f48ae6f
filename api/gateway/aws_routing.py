"""Recognises AWS requests by their signature and names the managed service that answers them.

Source: AWS Signature Version 4, credential scope `AKID/date/region/service/aws4_request` in the Authorization
header or in X-Amz-Credential of a presigned URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from api.asgi import Scope
from crds.managed import ManagedService
from services.sdk.aws.authorization_header import LONGEST, parse_authorization, parse_credential

_FORM = b"application/x-www-form-urlencoded"


def signing_names(services: Iterable[ManagedService]) -> dict[str, str]:
    """AWS signing name -> Service name, from the manifests."""
    return {name: service.service_name for service in services for name in service.speaks}


def signed_for(headers: Sequence[tuple[bytes, bytes]], query: bytes) -> str | None:
    """The AWS signing name of a signed request (`kms`, `s3`), or None when it carries no AWS signature."""
    for name, value in headers:
        if name == b"authorization" and value.startswith(b"AWS4-"):
            claim = parse_authorization(value.decode("latin-1")) if len(value) <= LONGEST else None
            return _service_of(claim.credential) if claim else ""
    if b"X-Amz-Credential=" in query:
        for part in query.split(b"&"):
            name, _, value = part.partition(b"=")
            if name == b"X-Amz-Credential":
                return _service_of(unquote_to_bytes(value[:LONGEST]).decode("latin-1"))
    return None


def _service_of(credential: str) -> str:
    """The service a credential is scoped to; empty when it is no credential."""
    found = parse_credential(credential)
    return found.service if found else ""


def is_unsigned_form(scope: Scope) -> bool:
    """Whether it may be a request of the query protocol that nobody signed: SDKs send these to the root."""
    if scope["method"] != "POST" or scope["path"] != "/" or scope["query_string"]:
        return False
    names = dict(scope["headers"])
    return b"authorization" not in names and names.get(b"content-type", b"").startswith(_FORM)


def form_value(body: bytes, name: str) -> str:
    """The only value of that name in a form; empty where it is not there, or there twice."""
    found = [value for part in body.split(b"&") for key, _, value in [part.partition(b"=")] if key == name.encode()]
    return unquote_to_bytes(found[0]).decode("latin-1") if len(found) == 1 else ""


def refusal(signing_name: str, known: Mapping[str, str]) -> tuple[str, str]:
    """AWS error code and message for a signature that names no service of ours."""
    if not signing_name:
        return "IncompleteSignature", "The credential scope must be AKID/date/region/service/aws4_request."
    names = ", ".join(sorted(known))
    return "UnknownService", f"This cloud does not speak {signing_name!r}; it speaks: {names}."
