"""MaxItems and Marker: a page of a list, as IAM answers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from services.iam_manager.errors import validation
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.pagination import InvalidToken, PageTokens

Json = dict[str, Any]
T = TypeVar("T")
PAGE = 100
# A marker says where a page ended and opens nothing: who may list is asked again for each page.
_TOKENS = PageTokens(b"iam markers")


def page(
    call: RequestContext,
    request: Json,
    name: str,
    items: Sequence[T],
    by: Callable[[T], str],
    show: Callable[[T], Any],
) -> Json:
    """`{name: [...], "IsTruncated": ..., "Marker"?: ...}`. Raises ValidationError for a marker of another list."""
    scope = (call.operation, call.account, *(str(request.get(each) or "") for each in _NARROWING))
    try:
        found = _TOKENS.page(items, by, scope, request.get("Marker"), int(request.get("MaxItems") or PAGE))
    except InvalidToken:
        raise validation("Invalid Marker.") from None
    more = {} if found.token is None else {"Marker": found.token}
    return {name: [show(each) for each in found.items], "IsTruncated": found.token is not None, **more}


_NARROWING = ("PathPrefix", "UserName", "GroupName", "RoleName", "PolicyArn", "Scope", "InstanceProfileName")
PAGED = ("Marker", "MaxItems")
