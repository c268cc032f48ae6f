"""One that takes writes and one that follows, each a process that is made to be killed.

The primary tells its changes as `crash_load` does, in a file, once the copy has everything: from then on what it
acknowledges is on both disks, whoever is killed. Both compact.
"""

from __future__ import annotations

import os
import random
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import orjson

from crds.errors import ApiError
from services.sdk.asgi import read_body, send_bytes
from services.sdk.edge.http_server import AT_ONCE
from services.sdk.identity import Caller
from services.sdk.routes import Request, declared_routes
from services.sdk.server import open_server
from services.sdk.testing.harness import client_over
from services.storage_manager import compaction, garbage_collection, segments
from services.storage_manager.compaction import Compactor
from services.storage_manager.garbage_collection import BlobCollector
from services.storage_manager.replication import followers
from services.storage_manager.replication.copy import Copy
from services.storage_manager.replication.feed import Feed
from services.storage_manager.replication.follower import Follower
from services.storage_manager.replication.repairs import Repairs
from services.storage_manager.replication.routes import ReplicationRoutes
from services.storage_manager.replication.source import Source
from services.storage_manager.segments import segment_ids
from services.storage_manager.tests.crash_load import BUCKET, WRITERS, Folder, compact, tell, write

KEYS = 40
SETTINGS = ("setting-0", "setting-1")


def application(routes: ReplicationRoutes) -> Any:
    """The routes alone, asked by the replica."""
    served = {declared.path: (declared, handler) for declared, handler in declared_routes([routes])}
    caller: Any = Caller("system:service:storage-replica")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        declared, handler = served[scope["path"]]
        assert declared.body is not None
        body = declared.body.model_validate_json(await read_body(receive, 1 << 20) or b"", strict=True)
        resources: Any = None
        try:
            answer = await handler(Request(caller, "", {}, {}, body, resources, ""))
            await send_bytes(send, 200, answer.body if answer is not None else b"", "application/octet-stream")
        except ApiError as error:
            await send_bytes(send, error.code, orjson.dumps(error.status()), "application/json")

    return app


async def served_to(feed: Feed) -> bool:
    """Whether the copy is there, and has everything."""
    head, known = await anyio.to_thread.run_sync(feed.head), feed.followers.in_sync
    return bool(known) and known[0].heard_at > feed.began and known[0].applied >= head


async def lead(folder: Folder, seed: int, port: int) -> None:
    feed = Feed(folder.metadata, folder.data)
    folder.small.committer.replicates = feed
    server = await open_server(application(ReplicationRoutes(feed, Repairs(folder.data))), "127.0.0.1", port)
    server.start()
    compactor = Compactor(folder.small)
    collector = BlobCollector(folder.metadata, folder.data, erased=compactor.note_erased)
    names = [f"key-{number}" for number in range(KEYS)]
    async with anyio.create_task_group() as group:
        group.start_soon(feed.followers.run)
        while not await served_to(feed):  # noqa: ASYNC110 - the copy is another process
            await anyio.sleep(0.01)
        tell("ready", "", 0)
        group.start_soon(compact, folder, compactor, collector)
        group.start_soon(configure, folder, random.Random(f"{seed}/settings"))
        for number in range(WRITERS):
            group.start_soon(write, folder, random.Random(f"{seed}/{number}"), names[number::WRITERS])
    await server.stop(AT_ONCE)


async def configure(folder: Folder, rng: random.Random) -> None:
    """Documents of the bucket, put and dropped beside the groups."""
    while True:
        name, seed = rng.choice(SETTINGS), rng.choice((0, rng.randrange(1, 1 << 40)))
        put = partial(folder.metadata.put_configuration, BUCKET, name, {"seed": seed})
        tell("?", name, seed)
        await folder.small.committer.run_alone(
            put if seed else partial(folder.metadata.drop_configuration, BUCKET, name)
        )
        tell("!", name, seed)


async def follow(folder: Folder, path: Path, port: int) -> None:
    client = client_over(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}"))
    source = Source(client, "copy")
    follower = Follower(source, Copy(folder.metadata, folder.data), folder.metadata, folder.data, path)
    compactor = Compactor(folder.small)
    async with anyio.create_task_group() as group:
        group.start_soon(follower.run)
        while True:
            compactor.note_erased(set(segment_ids(folder.small.folder)))
            await compactor.compact_due()
            await anyio.sleep(0.05)


def run(role: str, path: Path, told: Path, seed: int, port: int) -> None:
    """A process of its own, until it is killed."""
    os.dup2(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
    segments.SEGMENT_SIZE = 300_000
    segments.HELD_SECONDS = 2.0
    compaction.MOST_SMALL, compaction.BYTES_PER_SECOND = 2, 1 << 40
    garbage_collection.PIN_GRACE_SECONDS = -1.0
    followers.LEASE_SECONDS = followers.STUCK_SECONDS = 3600.0
    if role == "primary":
        anyio.run(lead, Folder(path), seed, port)
    else:
        anyio.run(follow, Folder(path), path, port)
