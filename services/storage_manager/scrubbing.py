"""Scrubbing: every piece that the index names is read again, day after day, before somebody needs it.

It goes by CRCs, so it needs no key and learns nothing. It is slow, and goes on from where it was when the process
ended: its place and what it found lie in `scrub.json`. One process of a data folder scrubs, whoever has the lock.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
from anyio import to_thread

from crds.formats import FormatVersion, NewerFormat, versions_due
from services.storage_manager.damaged_data import Damage, DamagedData
from services.storage_manager.errors import Corrupt
from services.storage_manager.file_locks import is_locked
from services.storage_manager.metadata.database import MetadataDb
from services.storage_manager.metadata.pieces import BEGINNING, NamedPiece, WalkPosition, blobs_of, named_pieces
from services.storage_manager.object_data import ObjectData
from services.storage_manager.segment_format import is_small, read_record, record_length, small_blob_id

log = logging.getLogger(__name__)
OWN = FormatVersion(version=1, oldest_reader=1)
BYTES_PER_SECOND = 8 << 20
PASS_EVERY_SECONDS = 24 * 3600.0
RETRY_SECONDS = SAVE_EVERY_SECONDS = 60.0
_PAGE = 128
_LEAST_COST = 4096


class ScrubState:
    """The file `scrub.json`: the place of the walk, when it began (seconds since 1970), and what it found."""

    def __init__(self, path: Path) -> None:
        """A damaged file is begun anew. Raises NewerFormat."""
        self._path, self.lock = path, path.with_suffix(".lock")
        self.place: WalkPosition = BEGINNING
        self.began: float | None = None
        self.damaged: dict[str, Damage] = {}
        self.saved = 0.0
        try:
            self._read(json.loads(path.read_bytes()))
        except FileNotFoundError:
            pass
        except NewerFormat:
            raise
        except (ValueError, TypeError, KeyError) as why:
            log.warning("%s cannot be read (%s): the walk begins anew", path.name, why)

    def _read(self, body: dict[str, object]) -> None:
        versions_due(str(self._path), FormatVersion(int(str(body["version"])), int(str(body["oldest_reader"]))), OWN)
        place, damaged = body["place"], body["damaged"]
        if not isinstance(place, list) or not isinstance(damaged, dict):
            raise TypeError("place is a list, damaged a map")
        self.place, self.damaged = WalkPosition(*place), {blob: Damage(*each) for blob, each in damaged.items()}
        self.began = None if body["began"] is None else float(str(body["began"]))

    def save(self, damaged: DamagedData) -> None:
        """Replaces the file in one step. Blocking."""
        body = {**OWN._asdict(), "place": self.place, "began": self.began, "damaged": damaged.all()}
        part = self._path.with_suffix(".part")
        with part.open("w") as file:
            json.dump(body, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)


class Scrubber:
    """Of one data folder. `record` is told of bytes that were read."""

    def __init__(
        self,
        metadata: MetadataDb,
        data: ObjectData,
        state: ScrubState,
        clock: Callable[[], float] = time.time,
        record: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._metadata, self._data, self._damaged = metadata, data, data.damaged
        self._state, self._clock, self._record = state, clock, record

    async def run(self) -> None:
        """Run until cancelled. A disk that fails is tried again."""
        while True:
            try:
                async with self._locked() as mine:
                    while mine:
                        await self._next_pass()
            except OSError:
                log.exception("scrubbing failed; it is tried again")
            await anyio.sleep(RETRY_SECONDS)

    async def _next_pass(self) -> None:
        now = self._clock()
        if self._state.began is not None and self._state.place == BEGINNING:
            await anyio.sleep(max(0.0, self._state.began + PASS_EVERY_SECONDS - now))
        if self._state.place == BEGINNING:
            self._state.began = self._clock()
        await self.finish_pass()

    async def finish_pass(self) -> None:
        """Go on to the end, keeping to BYTES_PER_SECOND."""
        place: WalkPosition | None = self._state.place
        while place is not None:
            found, place = await to_thread.run_sync(named_pieces, self._metadata, place, _PAGE)
            await self._check_small([each for each in found if is_small(each.piece.blob)])
            for each in found:
                if not is_small(each.piece.blob):
                    await self._check_large(each)
            self._state.place = place or BEGINNING
            if place is None or self._clock() - self._state.saved >= SAVE_EVERY_SECONDS:
                self._state.saved = self._clock()
                await to_thread.run_sync(self._state.save, self._damaged)

    async def _check_small(self, pieces: list[NamedPiece]) -> None:
        """All at once: a thread for each would cost more than the reading."""

        def check() -> None:
            for each in pieces:
                with self._judged(each):
                    stored = self._data.small.stored(each.piece.blob, each.piece.size)
                    read_record(small_blob_id(each.piece.blob), stored)

        await to_thread.run_sync(check)
        await self._pause(sum(max(_LEAST_COST, record_length(each.piece.size)) for each in pieces))

    async def _check_large(self, each: NamedPiece) -> None:
        with self._data.pins.hold([each.piece.blob]), self._judged(each):
            blocks = self._data.blobs.check(each.piece.blob, each.piece.size)
            while (read := await to_thread.run_sync(next, blocks, 0)) > 0:
                await self._pause(read)

    @contextmanager
    def _judged(self, each: NamedPiece) -> Iterator[None]:
        """Note what is found inside. What was replaced since the index was read may be gone: that is no damage."""
        blob = each.piece.blob
        try:
            yield
        except Corrupt as why:
            if blob in blobs_of(self._metadata, each.bucket, each.key):
                self._damaged.note(blob, Damage(each.bucket, each.key, str(why)))
        else:
            self._damaged.clear(blob)

    async def _pause(self, read: int) -> None:
        self._record(read)
        await anyio.sleep(read / BYTES_PER_SECOND)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[bool]:
        """Whether no other process scrubs here."""
        file = os.open(self._state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield is_locked(file)
        finally:
            os.close(file)
