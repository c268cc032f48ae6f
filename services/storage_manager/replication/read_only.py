"""S3 over a copy: what only reads is answered, what writes is for the one that is followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.sdk.asgi import send_whole
from services.sdk.aws.rest_xml import render
from services.sdk.permissions import Permission
from services.storage_manager.s3_app import S3App

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_READ_ONLY = "Objects can only be read now: the worker that takes writes is away. Try again later."
_UNFIT = "Objects cannot be read now: this copy may lack what was written last. Try again later."


class ReadOnlyApp:
    """Refuses what is no read, before anything of it is looked at, and everything while the copy is `unfit`."""

    def __init__(self, s3: S3App, unfit: Callable[[], str | None]) -> None:
        self._s3, self._unfit = s3, unfit

    def permissions(self) -> dict[str, Permission | None]:
        """As `services.sdk.permissions.GuardedApp`."""
        return self._s3.permissions()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        reads = scope["method"] in _READS
        if reads and self._unfit() is None:
            await self._s3(scope, receive, send)
            return
        why = _UNFIT if reads else _READ_ONLY
        id = scope["state"].get("request_id", "")
        fields = {"Code": "ServiceUnavailable", "Message": why, "Resource": scope["path"], "RequestId": id}
        body = render("Error", fields, "")
        headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
        # An unread body could not be told from the next request.
        more = [(b"retry-after", b"5"), (b"connection", b"close"), (b"x-amz-request-id", id.encode())]
        await send_whole(send, 503, headers + more, b"" if scope["method"] == "HEAD" else body)
