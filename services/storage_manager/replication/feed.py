"""What followers are told, and what they give back: the side of the one that takes writes."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial

import anyio
from anyio import to_thread

from crds.errors import Conflict, Expired, NotFound
from services.storage_manager.blobs import is_blob_id
from services.storage_manager.errors import Corrupt
from services.storage_manager.metadata.database import MetadataDb
from services.storage_manager.metadata.pieces import pieces_of
from services.storage_manager.object_data import ObjectData
from services.storage_manager.replication.change_log import (
    AnotherHistory,
    Batch,
    ChangedRow,
    ChangeLog,
    Key,
    TooFarBehind,
)
from services.storage_manager.replication.followers import Followers
from services.storage_manager.replication.wire import Message, encode
from services.storage_manager.segment_format import SmallBlobId

log = logging.getLogger(__name__)
MOST_CHANGES, MOST_BYTES = 4000, 8 << 20
BLOCK_BYTES = 4 << 20
KEEP_EVERY_SECONDS = 30.0
# A change that no commit of this process made is noticed so late at most.
LOOK_SECONDS = 0.5
ASK_BACK_SECONDS, MOST_ASKED_BACK = 60.0, 100


class Feed:
    """Of one data folder. `Replicates` of its committer."""

    def __init__(
        self,
        metadata: MetadataDb,
        data: ObjectData,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metadata, self._data, self._monotonic = metadata, data, monotonic
        self._log = ChangeLog(metadata)
        self.followers = Followers(monotonic, self._log.remembered())
        self._asked_back: dict[str, float] = {}
        self.began = monotonic()

    def head(self) -> int:
        """As `Replicates`. Nothing is asked while nobody has ever followed."""
        return self._log.head() if self._log.enabled else 0

    def reached(self, number: int) -> asyncio.Future[None] | None:
        """As `Replicates`."""
        return self.followers.reached(number)

    @property
    def followed(self) -> bool:
        """Whether anybody ever followed."""
        return self._log.enabled

    async def begin(self, follower: str) -> Batch:
        """From where a copy that is filled now has to follow."""
        self.followers.forget(follower)
        await to_thread.run_sync(self._log.enable)
        await self._keep()
        head = await to_thread.run_sync(self._log.head)
        return Batch(await to_thread.run_sync(self._log.epoch), head, head, [])

    async def changes(self, follower: str, epoch: str, after: int, seconds: float) -> bytes:
        """What changed after that, which the follower has on its disk; waits so long for something to change."""
        if epoch != await to_thread.run_sync(self._log.epoch):
            raise Conflict("this is another index than the one that was copied")
        changed, head = self.followers.next_change(), await to_thread.run_sync(self._log.head)
        if after > head:
            raise _another_history(f"the copy has {after} changes, and there are {head}")
        before = self.followers.in_sync
        self.followers.note_heard(follower, after, head)
        if self.followers.in_sync != before:
            await self._keep()  # a start waits for those it knows: they have what was acknowledged
        end = anyio.current_time() + seconds
        while head <= after and (left := end - anyio.current_time()) > 0:
            with anyio.move_on_after(min(left, LOOK_SECONDS)):
                await changed.wait()
            changed, head = self.followers.next_change(), await to_thread.run_sync(self._log.head)
        return await to_thread.run_sync(self._batch, after)

    def _batch(self, after: int) -> bytes:
        """As many changes as fit."""
        try:
            batch = self._log.batch(after, MOST_CHANGES, MOST_BYTES)
        except TooFarBehind as why:
            raise Expired(str(why)) from None
        except AnotherHistory as why:
            raise _another_history(str(why)) from None
        return encode(Message(batch, [self._record(each) for each in batch.changes], self._wanted()))

    def page(self, table: str, after: Key | None, limit: int) -> bytes:
        """Rows of a table without their records; none after the last. Blocking."""
        rows = self._log.page(table, after, limit, MOST_BYTES)
        return encode(Message(Batch(self._log.epoch(), 0, 0, rows), [None] * len(rows)))

    def records(self, wanted: Sequence[tuple[int, int, int]]) -> bytes:
        """Records of small blobs, by segment, offset and size. Blocking."""
        rows = [
            ChangedRow("small_blobs", (segment, offset), {"segment": segment, "offset": offset, "size": size})
            for segment, offset, size in wanted
        ]
        return encode(Message(Batch(self._log.epoch(), 0, 0, rows), [self._record(each) for each in rows]))

    def block(self, blob: str, start: int) -> bytes:
        """Stored bytes of a large blob, as many as BLOCK_BYTES. Blocking. Raises NotFound."""
        if not is_blob_id(blob):
            raise NotFound(f"no blob has the id {blob!r}")
        try:
            with self._data.blobs.path(blob).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), BLOCK_BYTES, start)
        except FileNotFoundError:
            raise NotFound(f"there is no blob {blob}") from None

    def _record(self, change: ChangedRow) -> bytes | None:
        """What lies in the segment; None where it is gone, or is damaged: rot is never handed on."""
        if change.table != "small_blobs" or change.row is None:
            return None
        id, size = SmallBlobId(*map(int, change.key)), int(str(change.row["size"]))
        try:
            return self._data.small.whole_record(id, size)
        except Corrupt as why:
            log.warning("a copy is not sent %s: %s", id, why)
            return None

    def _wanted(self) -> list[tuple[str, int]]:
        """Blobs that are damaged here, with their plaintext bytes: a copy may have them whole. Each now and then."""
        now, wanted = self._monotonic(), []
        for blob, each in self._data.damaged.all().items():
            if self._asked_back.get(blob, -ASK_BACK_SECONDS) + ASK_BACK_SECONDS <= now:
                self._asked_back[blob] = now
                wanted += [(blob, p.size) for p in pieces_of(self._metadata, each.bucket, each.key) if p.blob == blob]
        return wanted[:MOST_ASKED_BACK]

    async def keep(self) -> None:
        """Run until cancelled: what all have is forgotten, and who follows is remembered."""
        while True:
            await anyio.sleep(KEEP_EVERY_SECONDS)
            if self.followed:
                await self._keep()

    async def _keep(self) -> None:
        known = {each.name: each.applied for each in self.followers.known.values() if each.in_sync}
        await to_thread.run_sync(partial(self._log.remember, known))
        await to_thread.run_sync(self._log.trim, self.followers.applied())


def _another_history(why: str) -> Conflict:
    return Conflict(
        f"{why}: this index was put back to an earlier state. The copy is left as it is; to follow on, remove the "
        "data of storage-replica"
    )
