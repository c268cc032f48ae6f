"""The routes that followers ask: no bucket can be called `_replication`. Only storage_replica itself may: rows
and records are of all namespaces, so people who may do anything with buckets may not.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from anyio import to_thread
from pydantic import Field

from crds.errors import BadRequest, Unauthorized
from crds.model import Model
from services.sdk.context import ServiceContext
from services.sdk.identity import Caller
from services.sdk.permissions import Permission
from services.sdk.route_table import RouteTable
from services.sdk.routes import Request, Response, declared_routes, route
from services.storage_manager.errors import Corrupt
from services.storage_manager.kinds import BUCKET
from services.storage_manager.replication.change_log import FOLLOWED
from services.storage_manager.replication.feed import Feed
from services.storage_manager.replication.repairs import Repairs
from services.storage_manager.replication.wire import Message, encode
from services.storage_manager.s3_app import S3App

PREFIX, FOLLOWER = "/_replication", "storage-replica"
MOST_WAIT_SECONDS = 30.0
MOST_ROWS, MOST_RECORDS = 2000, 64
_BINARY = "application/octet-stream"
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}$")]
Count = Annotated[int, Field(ge=0)]


class BeginWanted(Model):
    """`follower`: the name of an instance, as its lines in logs have it."""

    follower: Name


class ChangesWanted(Model):
    """`after`: the last change that the follower has on its disk, of the index with that epoch."""

    follower: Name
    epoch: str
    after: Count
    wait_seconds: Annotated[float, Field(ge=0, le=MOST_WAIT_SECONDS)] = 0


class PageWanted(Model):
    """Rows of `table` whose keys come after that one."""

    follower: Name
    table: str
    after: list[str | int] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = MOST_ROWS


class RecordsWanted(Model):
    """Small blobs: segment, offset, plaintext bytes of each."""

    follower: Name
    records: Annotated[list[tuple[int, int, int]], Field(max_length=MOST_RECORDS)]


class BlockWanted(Model):
    """Stored bytes of a large blob from `start` on."""

    follower: Name
    blob: str
    start: Count


class Restored(Model):
    """What the follower has of a blob that is damaged here: stored bytes from `start` on, in Base64."""

    follower: Name
    blob: str
    size: Count
    start: Count
    data: str
    last: bool


class ReplicationRoutes:
    """For followers alone."""

    def __init__(self, feed: Feed, repairs: Repairs) -> None:
        self._feed, self._repairs = feed, repairs

    @route("POST", f"{PREFIX}/begin", permission=("replicate", BUCKET), body=BeginWanted)
    async def begin(self, request: Request) -> Response:
        """From where a copy that is filled now follows."""
        return _binary(encode(Message(await self._feed.begin(request.body.follower), [])))

    @route("POST", f"{PREFIX}/changes", permission=("replicate", BUCKET), body=ChangesWanted)
    async def changes(self, request: Request) -> Response:
        """What changed; waits for something to. Raises Expired where the copy has to be filled anew."""
        asked: ChangesWanted = request.body
        return _binary(await self._feed.changes(asked.follower, asked.epoch, asked.after, asked.wait_seconds))

    @route("POST", f"{PREFIX}/rows", permission=("replicate", BUCKET), body=PageWanted)
    async def rows(self, request: Request) -> Response:
        """Rows by key."""
        asked: PageWanted = request.body
        if asked.table not in FOLLOWED:
            raise BadRequest(f"table: {asked.table!r} is none of {', '.join(FOLLOWED)}")
        after = tuple(asked.after) if asked.after is not None else None
        if after is not None and len(after) != len(FOLLOWED[asked.table]):
            raise BadRequest(f"after: a key of {asked.table} has {len(FOLLOWED[asked.table])} members")
        self._feed.followers.note_heard(asked.follower)
        return _binary(await to_thread.run_sync(self._feed.page, asked.table, after, asked.limit))

    @route("POST", f"{PREFIX}/records", permission=("replicate", BUCKET), body=RecordsWanted)
    async def records(self, request: Request) -> Response:
        """Records of small blobs."""
        self._feed.followers.note_heard(request.body.follower)
        return _binary(await to_thread.run_sync(self._feed.records, request.body.records))

    @route("POST", f"{PREFIX}/blocks", permission=("replicate", BUCKET), body=BlockWanted)
    async def block(self, request: Request) -> Response:
        """Some bytes of a large blob; none at its end."""
        self._feed.followers.note_heard(request.body.follower)
        return _binary(await to_thread.run_sync(self._feed.block, request.body.blob, request.body.start))

    @route("POST", f"{PREFIX}/restore", permission=("replicate", BUCKET), body=Restored)
    async def restore(self, request: Request) -> Any:
        """A part of what repairs a blob here."""
        asked: Restored = request.body
        try:
            data = base64.b64decode(asked.data, validate=True)
            await self._repairs.take(asked.blob, asked.size, asked.start, data, last=asked.last)
        except (binascii.Error, Corrupt) as why:
            raise BadRequest(f"data: {why}") from None


class ReplicatedApp:
    """S3, beside the routes that followers ask."""

    def __init__(self, context: ServiceContext, routes: ReplicationRoutes, s3: S3App) -> None:
        self._s3, self._routes = s3, RouteTable(context, [routes], then=s3)
        self._declared = {declared.name: declared.permission for declared, _ in declared_routes([routes])}

    def permissions(self) -> dict[str, Permission | None]:
        """As `services.sdk.permissions.GuardedApp`."""
        return {**self._declared, **self._s3.permissions()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not scope["path"].startswith(f"{PREFIX}/"):
            await self._s3(scope, receive, send)
            return
        caller: Caller = scope["state"]["caller"]
        if caller.service != FOLLOWER or caller.through:
            raise Unauthorized(f"only {FOLLOWER} itself is known here")
        await self._routes(scope, receive, send)


def _binary(data: bytes) -> Response:
    return Response(data, content_type=_BINARY)
