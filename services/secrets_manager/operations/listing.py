"""ListSecrets: filtered, ordered, in pages. Source: AWS Secrets Manager API reference, ListSecrets."""

from __future__ import annotations

from typing import Any

from services.sdk.aws.operations import RequestContext, operation
from services.secrets_manager import errors
from services.secrets_manager.filters import TESTS, matches, order_of
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.operations.secret_access import SecretAccess
from services.secrets_manager.pages import page
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.views import listed

Json = dict[str, Any]
PAGE, BATCH = 100, 20
_LIST = ("IncludePlannedDeletion", "MaxResults", "NextToken", "Filters", "SortOrder", "SortBy")


class SecretListing:
    """What secrets an account has, for ListSecrets and for BatchGetSecretValue."""

    def __init__(self, secrets: SecretAccess) -> None:
        self._secrets = secrets

    async def page(self, call: RequestContext, request: Json, limit: int = BATCH) -> tuple[list[FoundSecret], str]:
        """One page, and the token of the next one or the empty text. Raises AwsError."""
        filters = request.get("Filters") or ()
        for each in filters:
            if each.get("Key") not in TESTS:
                raise errors.invalid_parameter("Invalid filter key")
            if not each.get("Values"):
                raise errors.invalid_parameter(f"Invalid filter values for key: {each['Key']}")
        planned = bool(request.get("IncludePlannedDeletion"))
        everything = await self._secrets.store.all_of(call)
        shown = [each for each in everything if (planned or not each.spec.deletion_date) and matches(each, filters)]
        sort, ascending = request.get("SortBy") or "created-date", request.get("SortOrder") != "desc"
        scope = (call.operation, call.account, call.region, str(planned), repr(filters), sort, str(ascending))
        by = order_of(sort)
        rows, more = page(shown, by if ascending else lambda each: _reversed(by(each)), scope, request, limit)
        return rows, more.get("NextToken", "")


class ListOperations:
    """One declared method per operation."""

    def __init__(self, secrets: SecretAccess, listing: SecretListing) -> None:
        self._secrets, self._listing = secrets, listing

    @operation("ListSecrets", permission=("list", MANAGED_SECRET), understands=_LIST)
    async def list_secrets(self, call: RequestContext, request: Json) -> Json:
        await self._secrets.authorizer.require_any(call, request)
        found, token = await self._listing.page(call, request, PAGE)
        return {"SecretList": [listed(each) for each in found], **({"NextToken": token} if token else {})}


def _reversed(text: str) -> str:
    """A text that comes before another one where `text` comes after."""
    return "".join(chr(0x10FFFF - ord(each)) for each in text) + chr(0x10FFFF)
