"""KMS operations about custom key stores. There are none: all keys are sealed under this cloud's root key.

Those that would make, connect or change one are refused (`coverage.py`).
"""

from __future__ import annotations

from typing import Any

from services.key_manager.kinds import KEY
from services.key_manager.operations.key_access import KeyAccess
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_ASKED = ("CustomKeyStoreId", "CustomKeyStoreName", "Limit", "Marker")


class CustomStoreOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess) -> None:
        self._keys = keys

    @operation("DescribeCustomKeyStores", permission=("list", KEY), understands=_ASKED)
    async def describe_custom_key_stores(self, call: RequestContext, request: Json) -> Json:
        await self._keys.access.require(call)
        if named := request.get("CustomKeyStoreId") or request.get("CustomKeyStoreName"):
            raise AwsError("CustomKeyStoreNotFoundException", f"There is no custom key store {named}.")
        return {"CustomKeyStores": [], "Truncated": False}
