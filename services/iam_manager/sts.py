"""STS operations: who calls, and credentials for a while."""

from __future__ import annotations

from typing import Any

from services.iam_manager.identities import Identities
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]


class StsOperations:
    """One declared method per operation."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    @operation("GetCallerIdentity", permission=None, understands=())
    async def get_caller_identity(self, call: RequestContext, request: Json) -> Json:
        """Nobody can be denied this."""
        found = await self._identities.caller(call)
        return {"UserId": found.id, "Account": call.account, "Arn": found.arn}
