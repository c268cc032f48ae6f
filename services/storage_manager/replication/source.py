"""The one that takes writes, as a follower asks it (`routes`), through the gateway."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import orjson

from crds.errors import ApiError, NotFound, from_status
from services.sdk.clients.service_client import ServiceClient
from services.storage_manager.replication.change_log import Key
from services.storage_manager.replication.wire import Message, decode

_DEADLINE_SECONDS = 30.0


class Source:
    """Raises ApiError as the other side answers (Expired: fill anew; Conflict: it is another index), Unavailable,
    Timeout, and Corrupt for what is no answer.
    """

    def __init__(self, client: ServiceClient, follower: str) -> None:
        self._client, self._follower = client, follower

    async def begin(self) -> Message:
        """From where to follow."""
        return decode(await self._ask("begin", {}))

    async def changes(self, epoch: str, after: int, wait_seconds: float) -> Message:
        """What changed after that, all of which is on the disk here."""
        return decode(await self._ask("changes", {"epoch": epoch, "after": after, "waitSeconds": wait_seconds}))

    async def rows(self, table: str, after: Key | None, limit: int) -> Message:
        """Rows of a table by key."""
        wanted: dict[str, Any] = {"table": table, "limit": limit}
        return decode(await self._ask("rows", wanted | ({"after": list(after)} if after else {})))

    async def records(self, wanted: Sequence[tuple[int, int, int]]) -> Message:
        """Records of small blobs, by segment, offset and plaintext bytes."""
        return decode(await self._ask("records", {"records": [list(each) for each in wanted]}))

    async def block(self, blob: str, start: int) -> bytes | None:
        """Stored bytes of a large blob; None where it is gone."""
        try:
            return await self._ask("blocks", {"blob": blob, "start": start})
        except NotFound:
            return None

    async def restore(self, blob: str, size: int, start: int, data: bytes, *, last: bool) -> None:
        """A part of what is damaged there."""
        text = base64.b64encode(data).decode()
        told = {"blob": blob, "size": size, "start": start, "data": text, "last": last}
        await self._ask("restore", told, idempotent=False)  # parts go on where the one before ended

    async def _ask(self, what: str, body: dict[str, Any], *, idempotent: bool = True) -> bytes:
        told = {"follower": self._follower, **body}
        answer = await self._client.request(
            "POST", f"/_replication/{what}", json=told, idempotent=idempotent, deadline=_DEADLINE_SECONDS
        )
        if answer.status_code >= 300:
            raise _refusal(answer.status_code, answer.content)
        return answer.content


def _refusal(code: int, content: bytes) -> ApiError:
    try:
        status = orjson.loads(content)
    except ValueError:
        status = None
    return from_status(code, status, f"storage-manager said {code}")
