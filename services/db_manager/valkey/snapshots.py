"""Backups of a Valkey server: all its data as RDB, as a replica gets it, in parts; and back into a new server, key by
key (RESTORE). Nothing is read or written on the server's disk but by itself.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from services.db_manager.backups import base_backups
from services.db_manager.backups.base_backups import Archive
from services.db_manager.backups.catalog import BaseManifest
from services.db_manager.backups.sealing import Damaged
from services.db_manager.kinds import Endpoint
from services.db_manager.valkey import server
from services.db_manager.valkey.connection import ValkeyConnection, ValkeyError, command
from services.db_manager.valkey.rdb import Entry, Function, NotRdb, RdbReader, Select, TooLarge

_WRITE_SECONDS = 3600.0
_LOOK_SECONDS = 0.2
_BATCH_BYTES, _BATCH_COMMANDS = 1 << 20, 500
MOST_VALUE = 512 << 20
"""Bytes of one value in a backup: it is brought back in one command, and held in memory for that."""
_ROOM: Mapping[str, str] = {
    "client-query-buffer-limit": str(4 * MOST_VALUE),
    "maxmemory": "0",
    "proto-max-bulk-len": str(4 * MOST_VALUE),
}
"""What a server takes while it is brought a backup, whatever people let it take from them. Backups of versions before
may have larger values.
"""


@dataclass(frozen=True, slots=True)
class ValkeySource:
    """A server to back up, its superuser's password, what the owner of it is called."""

    endpoint: Endpoint
    password: str
    username: str

    async def take(self, archive: Archive, folder: str) -> BaseManifest:
        """All its data at one moment, below `folder`. Raises ValkeyError, OSError, TimeoutError, StoreError."""
        async with (
            await server.opened(self.endpoint, self.password) as asking,
            await server.opened(self.endpoint, self.password) as copying,
        ):
            said, begun = await server.info(asking), await _time(asking)
            name = base_backups.backup_name(begun)
            pieces = await copying.copy()
            taken = await _time(asking)  # the copy is of a moment between the two
            parts = await base_backups.store(archive, folder, name, _read(pieces))
        made = BaseManifest(
            engine="valkey",
            id=name,
            system="0",
            timeline=0,
            version=server.version_of(said),
            start_lsn=0,
            end_lsn=0,
            started_at=begun,
            completed_at=taken,
            database="0",
            username=self.username,
            size=sum(each.size for each in parts),
            parts=parts,
        )
        await base_backups.finish(archive, folder, made)
        return made


async def _read(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, once it is known that each can be brought back. Raises ValkeyError."""
    reader = RdbReader(MOST_VALUE, builds=False)
    async for piece in pieces:
        reader.feed(piece)
        await asyncio.to_thread(_pass_over, reader)
        yield piece
    await asyncio.to_thread(_pass_over, reader, last=True)
    if not reader.is_whole:
        raise ValkeyError("the copy of its data ends before its last key")


def _pass_over(reader: RdbReader, *, last: bool = False) -> None:
    """Raises ValkeyError."""
    try:
        for _ in reader.entries(last=last):
            pass
    except TooLarge as error:
        raise ValkeyError(
            f"{error} has more than {MOST_VALUE >> 20} MiB, and could not be brought back: divide it, or delete it"
            " (redis-cli --memkeys names the largest)"
        ) from None
    except NotRdb as error:
        raise ValkeyError(f"its data could not be brought back: {error}") from None


async def bring(
    archive: Archive,
    folder: str,
    base: BaseManifest,
    endpoint: Endpoint,
    password: str,
    progress: Callable[[int], None] = lambda size: None,
) -> None:
    """Into a new server: it has all of it on its disk when this returns. `password`: its superuser's.

    Raises ValkeyError, OSError, TimeoutError, StoreError, Damaged.
    """
    reader, brought = RdbReader(), 0
    async with await server.opened(endpoint, password) as connection:
        await server.set_parameters(connection, _ROOM, {})
        await connection.ask("FLUSHALL")  # what was brought in before it was broken off
        await connection.ask("FUNCTION", "FLUSH")
        async for part in base_backups.parts_of(archive, folder, base):
            piece = await asyncio.to_thread(gzip.decompress, part)
            reader.feed(piece)
            await _say(connection, reader)
            brought += len(piece)
            progress(brought)
        await _say(connection, reader, last=True)
        if not reader.is_whole:
            raise Damaged(f"the backup {base.id} ends before its last key")
        await _written(connection)
        await server.set_parameters(connection, {}, _ROOM)  # what people want instead it is told at each pass


async def _say(connection: ValkeyConnection, reader: RdbReader, *, last: bool = False) -> None:
    for batch in await asyncio.to_thread(_batches, reader, last=last):
        await connection.ask_all(batch)


def _batches(reader: RdbReader, *, last: bool) -> list[list[bytes]]:
    """What is to be said, some commands at a time. Raises Damaged."""
    found: list[list[bytes]] = []
    size = _BATCH_BYTES
    try:
        for each in reader.entries(last=last):
            if size >= _BATCH_BYTES or len(found[-1]) >= _BATCH_COMMANDS:
                found.append([])
                size = 0
            found[-1].append(_command(each))
            size += len(found[-1][-1])
    except NotRdb as error:
        raise Damaged(f"the backup cannot be read: {error}") from None
    return found


def _command(entry: Entry) -> bytes:
    if isinstance(entry, Select):
        return command("SELECT", str(entry.database))
    if isinstance(entry, Function):
        return command("FUNCTION", "LOAD", "REPLACE", entry.code)
    return command("RESTORE", entry.name, str(entry.ends), entry.value, "REPLACE", "ABSTTL")


async def _written(connection: ValkeyConnection) -> None:
    """Its data is in its append-only file, on its disk."""
    async with asyncio.timeout(_WRITE_SECONDS):
        while not await _rewrites_nothing(connection):  # noqa: ASYNC110 - the server says nothing by itself
            await asyncio.sleep(_LOOK_SECONDS)
        await connection.ask("BGREWRITEAOF")
        while not await _rewrites_nothing(connection):  # noqa: ASYNC110 - the server says nothing by itself
            await asyncio.sleep(_LOOK_SECONDS)
    if (await server.info(connection)).get("aof_last_bgrewrite_status") != "ok":
        raise ValkeyError("the server could not write its data: its log says why", "ERR")


async def _rewrites_nothing(connection: ValkeyConnection) -> bool:
    said = await server.info(connection)
    return [said.get(each) for each in ("aof_rewrite_in_progress", "aof_rewrite_scheduled")] == ["0", "0"]


async def _time(connection: ValkeyConnection) -> datetime:
    said = await connection.ask("TIME")
    seconds, micros = said if isinstance(said, list) else ("0", "0")
    return datetime.fromtimestamp(int(str(seconds)), UTC).replace(microsecond=int(str(micros)))
