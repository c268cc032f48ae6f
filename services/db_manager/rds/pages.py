"""MaxRecords, Marker and Filters: a page of a list, as RDS answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from services.db_manager.rds.errors import invalid_combination, invalid_value
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.pagination import InvalidToken, PageTokens

Json = dict[str, Any]
T = TypeVar("T")
PAGED = ("Marker", "MaxRecords", "Filters")
LEAST, MOST = 20, 100
# A marker says where a page ended and opens nothing: who may list is asked again for each page.
_TOKENS = PageTokens(b"rds markers")


def page(
    call: RequestContext,
    request: Json,
    items: Sequence[T],
    by: Callable[[T], str],
    show: Callable[[T], Any],
    most: int = MOST,
) -> tuple[list[Any], Json]:
    """What is shown, and `{"Marker": ...}` where there is more. Raises AwsError for a marker of another list."""
    limit = request.get("MaxRecords") or MOST
    if not LEAST <= limit <= most:
        raise invalid_value(f"Invalid value {limit} for MaxRecords. Must be between {LEAST} and {most}")
    narrowed = sorted(f"{name}={request[name]}" for name in request if name not in ("Marker", "MaxRecords"))
    try:
        found = _TOKENS.page(
            items, by, (call.operation, call.account, *narrowed), request.get("Marker") or None, limit
        )
    except InvalidToken:
        raise invalid_value("The provided Marker is not one of this list") from None
    return [show(each) for each in found.items], {} if found.token is None else {"Marker": found.token}


def filtered(items: Iterable[T], request: Json, tests: Mapping[str, Callable[[T, str], bool]]) -> list[T]:
    """Those that every filter lets through; within one, one of its values is enough. Raises AwsError for a filter
    that is none of the tests.
    """
    found = list(items)
    for each in request.get("Filters") or ():
        test = tests.get(each["Name"])
        if test is None:
            raise invalid_value(f"Unrecognized filter name: {each['Name']}")
        if not each.get("Values"):
            raise invalid_combination(f"The parameter Filter: {each['Name']} must not be empty.")
        found = [item for item in found if any(test(item, value) for value in each["Values"])]
    return found
