"""S3 requests that carry no signature in their head: of anybody, and uploads by browsers' forms, signed inside.

Whether anybody may is decided by the service, by the bucket's policy and lists; nothing is public of itself. A form's
signature is verified here, as every other is: the service learns no secret.
Source: S3 API reference, "Anonymous requests", "Authenticating requests in browser-based uploads".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from api.asgi import Receive, Scope
from api.auth.authentication import ANONYMOUS
from api.auth.principal import Principal
from api.gateway.bucket_hosts import bucket_of, host_of
from services.sdk.asgi import replaying
from services.sdk.aws.errors import AwsError
from services.sdk.aws.form_upload import FormError, access_key_of, boundary_of, read_fields
from services.sdk.aws.verifier import SignatureVerifier

# First segments of the cloud's own paths. A bucket of that name is reached by its host name, or signed.
OWN_SEGMENTS = frozenset(
    {
        *("api", "apis", "openapi", "auth", "agents", "internal", "templates", "swarm", "traffic", "leases", "loop"),
        *("certificates", "audit", "cloud", "news", "overlay", "policies", "services", "ui", "assets", "logs", "v2"),
        *("health", "healthz", "livez", "ready", "readyz", "metrics", "version", "catalog", "join", "join.sh"),
        *("ca.pem", "favicon.svg", "favicon.ico", "index.html", "robots.txt", "images", "sessions", "loop-health"),
        "history",
    }
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"})
_PROOFS = frozenset({b"authorization", b"x-aerekos-on-behalf-of", b"impersonate-user"})


def is_unsigned_s3(scope: Scope, own_names: Sequence[str]) -> bool:
    """Whether a request without a signature is about a bucket: by its host, or by a path that is none of our own."""
    if scope["method"] not in _METHODS or any(name in _PROOFS for name, _ in scope["headers"]):
        return False
    path: str = scope["path"]
    first = path.removeprefix("/").partition("/")[0]
    if _is_bucket_host(scope, own_names):
        return True
    return first not in OWN_SEGMENTS and _BUCKET.fullmatch(first) is not None


def _is_bucket_host(scope: Scope, own_names: Sequence[str]) -> bool:
    try:
        return bool(bucket_of(host_of(scope), own_names))
    except AwsError:
        return False


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks what a page may do. It repeats the query of a signed link, which was signed for another
    method: it proves nothing, and is asked by nobody.
    """
    return scope["method"] == "OPTIONS" and not any(name in _PROOFS for name, _ in scope["headers"])


def source_ip(scope: Scope) -> tuple[bytes, bytes]:
    """The header that tells S3 where a request came from, for conditions on `aws:SourceIp`."""
    address: str = scope["client"][0].partition("%")[0]
    return b"x-aerekos-source-ip", address.encode("ascii")


class Unsigned(NamedTuple):
    """Who it is, if anybody, and the body as it was before it was looked at."""

    who: Principal
    receive: Receive


async def identify(scope: Scope, receive: Receive, verifier: SignatureVerifier[Principal]) -> Unsigned:
    """Raises AwsError, SignatureError for a form whose signature is none."""
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    boundary = boundary_of(types[0].decode("latin-1")) if scope["method"] == "POST" and len(types) == 1 else None
    if boundary is None or scope["query_string"]:
        return Unsigned(ANONYMOUS, receive)
    try:
        form = await read_fields(receive, boundary)
    except FormError as wrong:
        raise AwsError("MalformedPOSTRequest", str(wrong)) from wrong
    again = replaying(form.read, receive, more=not form.ended)
    if not access_key_of(form.fields):
        return Unsigned(ANONYMOUS, again)
    return Unsigned(verifier.signer_of_form(form.fields), again)
