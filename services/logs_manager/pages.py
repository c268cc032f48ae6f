"""limit and nextToken: a page of a list, as CloudWatch Logs answers it; and places in a stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from services.logs_manager import errors
from services.sdk.aws.pagination import InvalidToken, PageTokens

Json = dict[str, Any]
T = TypeVar("T")
# A token says where a page ended and opens nothing: who may read is asked again for each page.
TOKENS = PageTokens(b"logs manager pages")
MOST, _LAST = 50, (1 << 63) - 1


def page(items: Sequence[T], by: Callable[[T], str], scope: Sequence[str], request: Json) -> tuple[list[T], Json]:
    """The rows in the order of `by`, and `{"nextToken": ...}` if there are more. Raises AwsError."""
    most = int(request.get("limit") or MOST)
    try:
        found = TOKENS.page(items, by, scope, request.get("nextToken"), most)
    except (InvalidToken, ValueError, TypeError):
        raise errors.invalid("The specified nextToken is invalid.") from None
    return found.items, {"nextToken": found.token} if found.token else {}


def place(scope: Sequence[str], at: tuple[int, int]) -> str:
    """A token for what comes after a line of that time and number."""
    return TOKENS.seal(scope, list(at))


def placed(scope: Sequence[str], token: str) -> tuple[int, int]:
    """Raises AwsError."""
    try:
        time, number = TOKENS.open(scope, token)
    except (InvalidToken, ValueError, TypeError):
        time = None
    if not (isinstance(time, int) and isinstance(number, int) and 0 <= time <= _LAST and 0 <= number <= _LAST):
        raise errors.invalid("The specified nextToken is invalid.")
    return time, number
