"""Tags of things of IAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.iam_manager.errors import invalid
from services.iam_manager.pages import page
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.tags import require_tags, tags_of

Json = dict[str, Any]


def given_tags(request: Json) -> dict[str, str]:
    """Those of a request. Raises InvalidInput."""
    try:
        found = tags_of(request.get("Tags") or ())
    except ValueError:
        raise invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.") from None
    if len({name.lower() for name in found}) != len(found):
        raise invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    require_tags(found, "InvalidInput")
    return found


def with_tags(request: Json) -> Callable[[Any], None]:
    """A change that adds the tags of the request. Keys are the same in any case."""
    given = given_tags(request)

    def change(found: Any) -> None:
        lowered = {name.lower() for name in given}
        kept = {name: text for name, text in found.spec.tags.items() if name.lower() not in lowered}
        require_tags({**kept, **given}, "LimitExceeded")
        found.spec.tags = {**kept, **given}

    return change


def without_tags(request: Json) -> Callable[[Any], None]:
    """A change that takes tags away."""
    lowered = {name.lower() for name in request["TagKeys"]}

    def change(found: Any) -> None:
        found.spec.tags = {name: text for name, text in found.spec.tags.items() if name.lower() not in lowered}

    return change


def tag_page(call: RequestContext, request: Json, tags: dict[str, str]) -> Json:
    """A page of them."""
    items = sorted(tags.items())
    return page(call, request, "Tags", items, lambda each: each[0], lambda each: {"Key": each[0], "Value": each[1]})
