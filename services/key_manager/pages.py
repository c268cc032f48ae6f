"""Limit and Marker: a page of a list of keys or aliases, as KMS answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.pagination import InvalidToken, PageTokens
from services.sdk.keys import parse

Json = dict[str, Any]


def page_tokens(root: bytes) -> PageTokens:
    """Signed with the oldest root key: of all, replicas that are being replaced know that one."""
    return PageTokens(*(each.key for each in reversed(parse(root, "root-key"))))


class Pages:
    """Cuts pages. `tokens` are the same in every replica."""

    def __init__(self, tokens: PageTokens) -> None:
        self._tokens = tokens

    def page(self, call: RequestContext, items: Sequence[Json], by: str, request: Json, limit: int) -> Json:
        """`{"items": [...], "Truncated": ..., "NextMarker"?: ...}`. Raises AwsError InvalidMarkerException."""
        scope = (call.operation, call.account, str(request.get("KeyId") or ""))
        try:
            found = self._tokens.page(
                items, lambda row: str(row[by]), scope, request.get("Marker"), int(request.get("Limit") or limit)
            )
        except InvalidToken:
            raise AwsError("InvalidMarkerException", "Could not parse the marker.") from None
        more = {} if found.token is None else {"NextMarker": found.token}
        return {"items": found.items, "Truncated": found.token is not None, **more}
