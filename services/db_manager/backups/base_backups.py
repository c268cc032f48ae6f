"""Takes a base backup of a running server into a store, part by part, and reads what is there.

What is broken off leaves parts without a manifest, which are no backup; `remove_unfinished` takes them away.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from pydantic import ValidationError

from services.db_manager import server
from services.db_manager.backups.catalog import BaseManifest, Part
from services.db_manager.backups.replication import ReplicationConnection
from services.db_manager.backups.sealing import Damaged, Sealer
from services.db_manager.backups.stores import BackupStore, Missing, MissingBucket
from services.db_manager.kinds import Endpoint
from services.sdk.postgres import PostgresConnection

PART_BYTES = 2 << 20
_LEVEL = 1  # more would cost more time than it saves room
_MANIFEST = "manifest"
_SLOT = "aerekos_base"
_STEP = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Source:
    """A server to back up: where, its superuser's password, what its first database and their owner are called."""

    endpoint: Endpoint
    password: str
    database: str
    username: str

    async def take(self, archive: Archive, folder: str) -> BaseManifest:
        """Raises PostgresError, OSError, TimeoutError, StoreError."""
        return await take(archive, self, folder)

    async def sql(self) -> PostgresConnection:
        """Raises PostgresError, OSError, TimeoutError."""
        at = self.endpoint
        return await PostgresConnection.open(
            at.host, at.port, server.SUPERUSER, self.password, "postgres", application=server.APPLICATION
        )

    async def replication(self) -> ReplicationConnection:
        """Raises PostgresError, OSError, TimeoutError."""
        at = self.endpoint
        return await ReplicationConnection.open(
            at.host, at.port, server.SUPERUSER, self.password, "", application=server.APPLICATION
        )


class SealedArchive:
    """The objects of one store below `prefix`, by their names: to remove them takes no key.

    Names are of letters, digits, hyphens and slashes, so that none leads out of it: others, which whoever may write
    into a bucket may have put there, are not seen. Asking for one raises Damaged.
    """

    def __init__(self, store: BackupStore, prefix: str) -> None:
        self.store, self._prefix = store, prefix

    async def names(self, prefix: str, after: str = "") -> list[str]:
        """Raises StoreError."""
        cut = len(self._prefix) + 1
        behind = self._full(after) if after else ""
        found = await self.store.names(f"{self._full(prefix.removesuffix('/'))}/", behind)
        return [each[cut:] for each in found if _is_name(each[cut:])]

    async def delete(self, name: str) -> None:
        """Raises StoreError."""
        await self.store.delete(self._full(name))

    def _full(self, name: str) -> str:
        if not _is_name(name):
            raise Damaged(f"{name!r} is no name in an archive")
        return f"{self._prefix}/{name}"


class Archive(SealedArchive):
    """One whose objects are opened and sealed."""

    def __init__(self, store: BackupStore, prefix: str, sealer: Sealer) -> None:
        super().__init__(store, prefix)
        self.sealer = sealer

    async def put(self, name: str, content: bytes) -> None:
        """Raises StoreError."""
        full = self._full(name)
        await self.store.put(full, await asyncio.to_thread(self.sealer.seal, full, content))

    async def get(self, name: str) -> bytes:
        """Raises StoreError, Damaged."""
        full = self._full(name)
        return await asyncio.to_thread(self.sealer.open, full, await self.store.get(full))


def _is_name(name: str) -> bool:
    return all(_STEP.fullmatch(each) for each in name.split("/"))


class Takes(Protocol):
    """A server to back up."""

    async def take(self, archive: Archive, folder: str) -> BaseManifest:
        """A base backup below `folder`. Raises what `SERVER_FAULTS` names, StoreError."""
        ...


async def take(archive: Archive, source: Source, folder: str) -> BaseManifest:
    """A base backup below `folder` (`base`). Raises PostgresError, OSError, TimeoutError, StoreError."""
    async with await source.sql() as sql, await source.replication() as copying:
        ((system, timeline, *_),) = await copying.command("IDENTIFY_SYSTEM")
        ((version, started),) = await sql.fetch(_ABOUT)
        await copying.command(
            f"CREATE_REPLICATION_SLOT {_SLOT}_{secrets.token_hex(4)} TEMPORARY PHYSICAL RESERVE_WAL"
        )
        begun = datetime.fromisoformat(started or "")
        name = backup_name(begun)
        bounds: list[int] = []
        parts = await store(archive, folder, name, copying.base_backup(name, bounds))
        ((_, ended),) = await sql.fetch(_ABOUT)
    made = BaseManifest(
        id=name,
        system=system or "",
        timeline=int(timeline or 0),
        version=version or "",
        start_lsn=bounds[0],
        end_lsn=bounds[-1],
        started_at=begun,
        completed_at=datetime.fromisoformat(ended or ""),
        database=source.database,
        username=source.username,
        size=sum(each.size for each in parts),
        parts=parts,
    )
    await finish(archive, folder, made)
    return made


def backup_name(begun: datetime) -> str:
    return f"{begun:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


async def store(archive: Archive, folder: str, name: str, pieces: AsyncIterator[bytes]) -> list[Part]:
    """The parts of a backup. Raises StoreError, and what the pieces raise."""
    parts: list[Part] = []
    async for part in _parts(pieces):
        held = await asyncio.to_thread(gzip.compress, part, _LEVEL)
        await archive.put(_part_name(folder, name, len(parts) + 1), held)
        parts.append(Part(size=len(part), sha256=hashlib.sha256(held).hexdigest()))
    return parts


async def finish(archive: Archive, folder: str, made: BaseManifest) -> None:
    """All its parts are stored: from here on it is a backup. Raises StoreError."""
    known = {"engine"} if made.engine == "postgresql" else set()  # versions before know no other
    text = made.model_dump_json(by_alias=True, exclude=known)
    await archive.put(f"{folder}/{made.id}/{_MANIFEST}", text.encode())


_ABOUT = """
SELECT split_part(current_setting('server_version'), ' ', 1),
  to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
"""


class Manifests(NamedTuple):
    """`whole`: the oldest first. `damaged`: what is wrong with each of the others."""

    whole: list[BaseManifest]
    damaged: list[str]


async def manifests(archive: Archive, folder: str) -> Manifests:
    """Of every base backup below that folder. Raises StoreError."""
    found = Manifests([], [])
    for name in await _with_manifest(archive, folder):
        try:
            found.whole.append(await manifest(archive, folder, name))
        except Damaged as error:
            found.damaged.append(str(error))
    return found


async def _with_manifest(archive: Archive, folder: str) -> list[str]:
    parts = [each.removeprefix(f"{folder}/").split("/") for each in await archive.names(f"{folder}/")]
    return [each[0] for each in parts if each[1:] == [_MANIFEST]]


async def manifest(archive: Archive, folder: str, name: str) -> BaseManifest:
    """Raises StoreError, Damaged."""
    found = f"{folder}/{name}/{_MANIFEST}"
    try:
        read = BaseManifest.model_validate_json(await archive.get(found))
    except ValidationError:
        raise Damaged(f"{found} is of a version that this one does not know") from None
    if read.id != name:
        raise Damaged(f"{found} is that of another base backup, {read.id}")
    return read


async def parts_of(archive: Archive, folder: str, base: BaseManifest) -> AsyncIterator[bytes]:
    """Its parts, each of them gzip, compared with its manifest. Raises StoreError, Damaged."""
    for number, told in enumerate(base.parts, 1):
        held = await archive.get(_part_name(folder, base.id, number))
        if hashlib.sha256(held).hexdigest() != told.sha256:
            raise Damaged(f"part {number} of the base backup {base.id} is not the one that its manifest names")
        yield held


async def remove(archive: Archive, folder: str, name: str) -> None:
    """Its manifest first: what is half removed is no backup. Raises StoreError."""
    await archive.delete(f"{folder}/{name}/{_MANIFEST}")
    for each in await archive.names(f"{folder}/{name}/"):
        await archive.delete(each)


async def remove_below(archive: SealedArchive, *folders: str) -> None:
    """All there is in them: manifests first, as names go. A bucket that is gone holds nothing. Raises StoreError."""
    with suppress(MissingBucket):
        for folder in folders:
            for each in await archive.names(f"{folder}/"):
                await archive.delete(each)


async def remove_unfinished(archive: Archive, folder: str) -> None:
    """What has no manifest, while none is being taken. Raises StoreError."""
    whole = set(await _with_manifest(archive, folder))
    for each in await archive.names(f"{folder}/"):
        if each.removeprefix(f"{folder}/").partition("/")[0] not in whole:
            await archive.delete(each)


async def read_whole(archive: Archive, folder: str, base: BaseManifest) -> None:
    """Every part once, to know that all is there. Raises StoreError, Damaged."""
    try:
        async for _ in parts_of(archive, folder, base):
            pass
    except Missing as error:
        raise Damaged(f"the base backup {base.id} is not whole: {error}") from error


def _part_name(folder: str, base: str, number: int) -> str:
    return f"{folder}/{base}/part-{number:06d}"


async def _parts(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held = bytearray()
    async for each in pieces:
        held += each
        while len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)
