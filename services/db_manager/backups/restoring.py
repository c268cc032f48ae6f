"""Brings a base backup, and log behind it, into the walls of a server that was just made, and has it start from them.

Everything is read and compared before anything is written. The one way in is the server's own door: its superuser
has it run a shell, in its own walls. The folder gets the name that the engine looks for only when it is whole.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
import tarfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC

from services.db_manager import server
from services.db_manager.backups import base_backups
from services.db_manager.backups.base_backups import Archive
from services.db_manager.backups.catalog import (
    SEGMENT_BYTES,
    RecoveryPlan,
    WalChunk,
    segment_floor,
    segment_name,
)
from services.db_manager.backups.replication import CopyConnection
from services.db_manager.backups.sealing import Damaged
from services.db_manager.backups.stores import Missing
from services.db_manager.backups.wal_archiver import CHUNK_BYTES
from services.db_manager.kinds import Endpoint
from services.sdk.postgres import quoted_text

MARKER = "aerekos.restored"
"""A file of the cluster: which restore it is of."""
_UNPACK_SECONDS = 3600.0
_HALF, _WHOLE, _STREAM = "../.restoring", "../.restored", "../.restoring/stream.gz"
_DISCARDED = "../.discarded"
_CLEAR = (
    f"set -e; rm -rf {_DISCARDED}; if [ -e {_WHOLE} ]; then mv {_WHOLE} {_DISCARDED}; sync ..; fi; "
    f"rm -rf {_DISCARDED} {_HALF}; mkdir -m 700 {_HALF} {_HALF}/cluster"
)
"""What was brought in before loses its name first: a server that starts meanwhile takes no half of it."""
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


async def verify(archive: Archive, folder: str, plan: RecoveryPlan) -> int:
    """Read all that the plan needs; how many bytes it becomes. Raises StoreError, Damaged: what is missing."""
    await base_backups.read_whole(archive, folder, plan.base)
    async for _ in _log(archive, plan):
        pass
    return plan.base.size + sum(each.end - each.start for each in plan.chunks)


async def bring(
    archive: Archive,
    folder: str,
    plan: RecoveryPlan,
    endpoint: Endpoint,
    password: str,
    restore: str,
    progress: Callable[[int], None] = lambda size: None,
) -> None:
    """What was verified. `restore`: the name of this restore, which the server then knows (`restored_as`).

    Raises PostgresError, OSError, TimeoutError, StoreError, Damaged.
    """
    if not _ID.fullmatch(restore):
        raise ValueError(f"{restore!r} is no name of a restore")
    async with await CopyConnection.open(
        endpoint.host, endpoint.port, server.SUPERUSER, password, "postgres", application=server.APPLICATION
    ) as connection:
        await connection.execute("CREATE TEMPORARY TABLE stream (line text)")
        await _shell(connection, _CLEAR)
        brought = 0
        async for each in _stream(archive, folder, plan):
            await connection.copy_in("COPY pg_temp.stream FROM STDIN", base64.b64encode(each) + b"\n")
            await _shell(connection, f"base64 -d >>{_STREAM}", "TABLE pg_temp.stream")
            await connection.execute("TRUNCATE pg_temp.stream")
            brought += len(each)
            progress(brought)
        await _shell(connection, _unpacking(plan, restore))


async def restored_as(endpoint: Endpoint, password: str) -> str:
    """Which restore a server is of; empty for none. Raises PostgresError, OSError, TimeoutError."""
    async with server.opened(endpoint, server.SUPERUSER, password, "postgres") as connection:
        ((text,),) = await connection.fetch(f"SELECT pg_read_file('{MARKER}', 0, 64, true)")
        return (text or "").strip()


def _unpacking(plan: RecoveryPlan, restore: str) -> str:
    """The name comes last, when all is on disk. `-i`: where the base backup's archive ends, the stream does not."""
    settings = {"restore_command": "false", "recovery_target_time": "", "recovery_target_action": "promote"}
    if plan.until is not None:
        settings["recovery_target_time"] = f"{plan.until.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"
    lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items()) if plan.chunks else ""
    recovers = "touch recovery.signal" if plan.chunks else "true"
    return (
        f"set -e; gzip -dc {_STREAM} | tar -x -i -C {_HALF}/cluster; cd {_HALF}/cluster; "
        "test -f PG_VERSION; test -f backup_label; rm -f postmaster.pid; "
        "sed -i -e /^restore_command/d -e /^recovery_target/d postgresql.auto.conf; "
        f"cat >>postgresql.auto.conf <<'END'\n{lines}END\n"
        f"{recovers}; printf {restore} >{MARKER}; cd ../..; "
        "find .restoring/cluster -exec sync {} +; mv .restoring/cluster .restored; sync ."
    )


async def _shell(connection: CopyConnection, command: str, rows: str = "SELECT") -> None:
    """Have the server's user run that, with the rows as its input."""
    await connection.run(f"COPY ({rows}) TO PROGRAM{quoted_text(command)}", _UNPACK_SECONDS)


async def _stream(archive: Archive, folder: str, plan: RecoveryPlan) -> AsyncIterator[bytes]:
    """Pieces of gzip that are, one after the other, a tar archive of the cluster."""
    async for part in base_backups.parts_of(archive, folder, plan.base):
        yield part
    async for piece in _log(archive, plan):
        yield await asyncio.to_thread(gzip.compress, piece, 1)
    yield gzip.compress(bytes(tarfile.BLOCKSIZE * 2), 1)


async def _log(archive: Archive, plan: RecoveryPlan) -> AsyncIterator[bytes]:
    """The log's files in the form of tar; the last one ends with zeros. Raises StoreError, Damaged."""
    at = segment_floor(plan.base.start_lsn)
    for chunk in plan.chunks:
        content = memoryview(await _content(archive, chunk))[max(at - chunk.start, 0) :]
        while content:
            if at % SEGMENT_BYTES == 0:
                yield _head(segment_name(plan.base.timeline, at))
            piece = content[: SEGMENT_BYTES - at % SEGMENT_BYTES]
            yield bytes(piece)
            at, content = at + len(piece), content[len(piece) :]
    while at % SEGMENT_BYTES:
        piece = memoryview(bytes(min(SEGMENT_BYTES - at % SEGMENT_BYTES, CHUNK_BYTES)))
        yield bytes(piece)
        at += len(piece)


def _head(segment: str) -> bytes:
    head = tarfile.TarInfo(f"pg_wal/{segment}")
    head.size, head.mode = SEGMENT_BYTES, 0o600
    return head.tobuf(tarfile.GNU_FORMAT)


async def _content(archive: Archive, chunk: WalChunk) -> bytes:
    try:
        held = await archive.get(chunk.name)
    except Missing as error:
        raise Damaged(f"the log is not whole: {error}") from error
    try:
        content = await asyncio.to_thread(gzip.decompress, held)
    except (OSError, EOFError):
        content = b""
    if len(content) != chunk.end - chunk.start:
        raise Damaged(f"{chunk.name} does not hold the log that its name says")
    return content
