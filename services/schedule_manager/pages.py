"""MaxResults (EventBridge: Limit) and NextToken: a page of a list, as EventBridge and its Scheduler answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from services.schedule_manager import errors
from services.sdk.aws.pagination import InvalidToken, PageTokens

Json = dict[str, Any]
T = TypeVar("T")
MOST = 100
# A token says where a page ended and opens nothing: who may list is asked again for each page.
_TOKENS = PageTokens(b"schedule manager pages")


def page(items: Sequence[T], by: Callable[[T], str], scope: Sequence[str], request: Json) -> tuple[list[T], Json]:
    """The rows in the order of `by`, and `{"NextToken": ...}` if there are more. Raises AwsError."""
    most = int(request.get("MaxResults") or request.get("Limit") or MOST)
    try:
        found = _TOKENS.page(items, by, scope, request.get("NextToken"), most)
    except InvalidToken:
        raise errors.validation("NextToken is not one of this list.") from None
    return found.items, {"NextToken": found.token} if found.token else {}
