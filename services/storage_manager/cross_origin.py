"""Pages of other origins: preflights are answered, and answers carry what lets a browser show them to such a page.

Nothing is given by that: who asks is judged as ever. Only what is signed, or is asked by nobody, may be a page's of
another origin: whoever comes by the dashboard's session is known by a cookie, which such pages could use as well.
Source: S3 user guide, "Using cross-origin resource sharing".
"""

from __future__ import annotations

from crds.errors import ApiError
from services.sdk.identity import Caller as Identity
from services.storage_manager.configuration.cors import (
    answer_headers,
    matching_rule,
    preflight_headers,
    requested_headers,
)
from services.storage_manager.configuration.documents import Document
from services.storage_manager.context import S3Context, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import ANONYMOUS, Caller

CORS = "cors"


def is_for_pages(identity: Identity) -> bool:
    """Whether pages of other origins may be told about requests of that kind at all."""
    return bool(identity.access_key) or identity.name == ANONYMOUS


def require_for_pages(identity: Identity) -> None:
    """Raises S3Error AccessForbidden."""
    if not is_for_pages(identity):
        raise S3Error("AccessForbidden", "CORSResponse: only requests that are signed may come from other origins.")


async def answer_preflight(context: S3Context, caller: Caller, bucket: str, headers: dict[str, str]) -> S3Response:
    """OPTIONS. Raises S3Error BadRequest, AccessForbidden; also where there is no such bucket."""
    return S3Response(200, preflight_headers(await _document(context, caller, bucket), headers))


async def headers_for_origin(
    context: S3Context, caller: Caller, bucket: str, method: str, headers: dict[str, str]
) -> dict[str, str]:
    """What the first rule that fits lets the page of this request's origin read; nothing without one."""
    origin = headers.get("origin", "")
    rule = matching_rule(await _document(context, caller, bucket), origin, method, requested_headers(headers))
    return {} if rule is None else answer_headers(rule, origin, requested_headers(headers))


async def _document(context: S3Context, caller: Caller, bucket: str) -> Document | None:
    try:
        ref = await context.directory.locate(caller, bucket)
    except (S3Error, ApiError):
        return None
    return context.configuration(ref, CORS)
