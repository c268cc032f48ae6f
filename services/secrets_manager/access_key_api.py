"""IAM and STS as a user of the account calls them with their own access key: signed, through the gateway."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from services.sdk.aws.resource_names import DEFAULT_REGION
from services.sdk.aws.role_calls import CallFault, KeyPair, SignedCalls
from services.sdk.context import ServiceContext

Json = dict[str, Any]


class AccessKey(NamedTuple):
    """One access key of a user. `created_at`: to the second; None where nobody knows, as of a user's first key."""

    id: str
    active: bool
    created_at: datetime | None


class AccessKeyApi(Protocol):
    """What a rotation asks, always in the name of whom `pair` belongs to. Every call raises CallFault."""

    async def identity(self, pair: KeyPair) -> str:
        """The ARN of the user."""
        ...

    async def keys(self, pair: KeyPair) -> list[AccessKey]:
        """The user's keys, of which there are two at most."""
        ...

    async def was_used(self, pair: KeyPair, key: str) -> bool:
        """Whether that key of the user ever signed a request."""
        ...

    async def create(self, pair: KeyPair) -> KeyPair:
        """Another key."""
        ...

    async def deactivate(self, pair: KeyPair, key: str) -> None:
        """It opens nothing any more."""
        ...

    async def delete(self, pair: KeyPair, key: str) -> None:
        """It is gone; one that is gone already is no fault."""
        ...


class SignedAccessKeyApi:
    """The cloud's own, whichever services answer."""

    def __init__(self, context: ServiceContext) -> None:
        self._calls = SignedCalls(context)

    async def identity(self, pair: KeyPair) -> str:
        return str((await self._calls.answer(pair, "sts", DEFAULT_REGION, "GetCallerIdentity", {}))["Arn"])

    async def keys(self, pair: KeyPair) -> list[AccessKey]:
        found = (await self._iam(pair, "ListAccessKeys"))["AccessKeyMetadata"]
        return [AccessKey(each["AccessKeyId"], each["Status"] == "Active", each.get("CreateDate")) for each in found]

    async def was_used(self, pair: KeyPair, key: str) -> bool:
        return "LastUsedDate" in (await self._iam(pair, "GetAccessKeyLastUsed", AccessKeyId=key))["AccessKeyLastUsed"]

    async def create(self, pair: KeyPair) -> KeyPair:
        made = (await self._iam(pair, "CreateAccessKey"))["AccessKey"]
        return KeyPair(made["AccessKeyId"], made["SecretAccessKey"])

    async def deactivate(self, pair: KeyPair, key: str) -> None:
        await self._iam(pair, "UpdateAccessKey", AccessKeyId=key, Status="Inactive")

    async def delete(self, pair: KeyPair, key: str) -> None:
        try:
            await self._iam(pair, "DeleteAccessKey", AccessKeyId=key)
        except CallFault as fault:
            if fault.code != "NoSuchEntity":
                raise

    async def _iam(self, pair: KeyPair, operation: str, **request: str) -> Json:
        return await self._calls.answer(pair, "iam", DEFAULT_REGION, operation, request)
