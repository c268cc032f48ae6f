"""The segments of small blobs on disk: who writes appends to a segment of its own, everybody reads all of them.

`append` reserves a place and keeps the record in memory; `flush` makes everything appended so far durable with one
write and one fdatasync per segment. Nobody names a small blob before that: the index flushes before it commits.
A segment is locked by its writer from its first byte until well after its last: what is being written, or may yet be
named, is not compacted. After an error nothing is ever written to that segment again, so no place is used twice and
no nonce with it. Blocking, but for `append`.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.storage_manager.file_locks import is_locked
from services.storage_manager.segment_format import (
    SEGMENT_HEADER,
    SmallBlobId,
    check_segment_header,
    record_length,
    segment_header,
)

# Half of it fits into the room that is always kept free: what is mostly dead can be compacted on a full disk, too.
SEGMENT_SIZE = 64 << 20
# No request takes that long from its body's last byte to its commit; what does is refused.
HELD_SECONDS = 900.0
# An fdatasync of bytes that are there already costs a sixth of one that makes the file longer.
LEAST_ZEROED, MOST_ZEROED = 256 << 10, 4 << 20
MOST_PENDING = 16 << 20
MOST_DESCRIPTORS = 128
SUFFIX = ".seg"


class OpenSegment:
    """A segment that this process appends to. `durable`: everything before it is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.id = int(time.time()) << 31 | secrets.randbits(31)
        self.path = segment_path(folder, self.id)
        self.reserved, self.durable = SEGMENT_HEADER, 0
        self.pending: list[bytes] = []
        self.pending_size = 0
        self.failure: OSError | None = None
        self.full_since: float | None = None
        self._file: int | None = None
        self._zeroed = 0

    def append(self, made: bytes) -> None:
        """Keep it for the next flush."""
        self.pending.append(made)
        self.pending_size += len(made)
        self.reserved += len(made)

    def flush(self, pending: list[bytes]) -> None:
        """Write that behind what is durable. Raises OSError, and again from then on."""
        if self.failure is not None:
            raise self.failure
        try:
            self._write(b"".join(pending))
        except OSError as why:
            self.failure = why
            raise

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = _create_locked(self.path)
            data = segment_header(self.id) + data
        end = self.durable + len(data)
        if end > self._zeroed:
            ahead = min(MOST_ZEROED, max(LEAST_ZEROED, end))
            write_all(self._file, bytes(ahead), end)
            self._zeroed = end + ahead
        write_all(self._file, data, self.durable)
        os.fdatasync(self._file)
        self.durable = end

    def close(self) -> None:
        """Give up the zeros behind the last record, and the lock."""
        if self._file is not None:
            try:
                os.ftruncate(self._file, self.durable)
            finally:
                os.close(self._file)
                self._file = None


class SegmentWriter:
    """Appends small blobs. Threads may share it."""

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._monotonic = folder, monotonic
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self._held: dict[int, OpenSegment] = {}
        self._current: OpenSegment | None = None

    def append(self, size: int, make: Callable[[SmallBlobId], bytes]) -> SmallBlobId:
        """A place for a blob of `size` plaintext bytes, and the record that `make` makes for it."""
        if self._pending_size() > MOST_PENDING:
            self.flush()
        with self._lock:
            segment = self._segment_for(record_length(size))
            id = SmallBlobId(segment.id, segment.reserved)
            segment.append(make(id))
        return id

    def flush(self) -> None:
        """Make durable what was appended before. What fails is known by `require_durable`, too. Raises OSError."""
        with self._flushing:
            failure: OSError | None = None
            for segment in list(self._held.values()):
                with self._lock:
                    pending, segment.pending = segment.pending, []
                    segment.pending_size = 0
                try:
                    if pending:
                        segment.flush(pending)
                except OSError as why:
                    failure = why
            if failure is not None:
                raise failure

    def require_durable(self, id: SmallBlobId, size: int) -> None:
        """Raises OSError unless that blob is on the disk, in a segment that is still this process's own."""
        segment = self._held.get(id.segment)
        if segment is None:
            raise OSError(f"blob {id} was written too long ago to be named now")
        if id.offset + record_length(size) > segment.durable:
            raise segment.failure or OSError(f"blob {id} is not on the disk")

    def release(self) -> None:
        """Close segments that were full long ago."""
        before = self._monotonic() - HELD_SECONDS
        with self._flushing, self._lock:
            for segment in [each for each in self._held.values() if each.full_since is not None]:
                if segment.full_since is not None and segment.full_since <= before:
                    del self._held[segment.id]
                    segment.close()

    def close(self) -> None:
        """Close everything; nothing is appended any more."""
        with self._flushing, self._lock:
            for segment in self._held.values():
                segment.close()
            self._held.clear()
            self._current = None

    def _segment_for(self, length: int) -> OpenSegment:
        current = self._current
        if current is None or current.failure is not None or current.reserved + length > SEGMENT_SIZE:
            if current is not None:
                current.full_since = self._monotonic()
            current = self._current = OpenSegment(self._folder)
            self._held[current.id] = current
        return current

    def _pending_size(self) -> int:
        return self._current.pending_size if self._current is not None else 0


class SegmentReader:
    """Reads segments, some of which stay open. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._open: OrderedDict[int, _Descriptor] = OrderedDict()

    def read(self, segment: int, offset: int, length: int) -> bytes | None:
        """Those bytes, fewer at the end; None where there is no such segment."""
        descriptor = self._descriptor(segment)
        return None if descriptor is None else os.pread(descriptor.number, length, offset)

    def drop(self, stale: Callable[[int], bool]) -> None:
        """Close those segments, once nobody reads them."""
        with self._lock:
            for segment in [each for each in self._open if stale(each)]:
                del self._open[segment]

    def drop_deleted(self) -> None:
        """Close segments that another process has deleted: their room is free only then."""
        self.drop(lambda segment: not segment_path(self._folder, segment).exists())

    def _descriptor(self, segment: int) -> _Descriptor | None:
        with self._lock:
            found = self._open.get(segment)
            if found is not None:
                self._open.move_to_end(segment)
                return found
        try:
            opened = _Descriptor(segment_path(self._folder, segment))
        except FileNotFoundError:
            return None
        check_segment_header(os.pread(opened.number, SEGMENT_HEADER, 0), segment, opened.name)
        with self._lock:
            self._open[segment] = opened
            while len(self._open) > MOST_DESCRIPTORS:
                self._open.popitem(last=False)
        return opened


class _Descriptor:
    """A file that is closed when nobody holds this any more: a reader never finds another file in its place."""

    def __init__(self, path: Path) -> None:
        self.name, self.number = path.name, -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


def segment_path(folder: Path, id: int) -> Path:
    """The file of that segment."""
    return folder / f"{id:016x}{SUFFIX}"


def segment_ids(folder: Path) -> list[int]:
    """All segments there are, oldest first."""
    return sorted(int(each.stem, 16) for each in folder.glob(f"*{SUFFIX}"))


@contextmanager
def closed_segment(folder: Path, id: int) -> Iterator[int | None]:
    """Inside, nobody writes that segment: its length. None where somebody does, or where it is gone."""
    try:
        file = os.open(segment_path(folder, id), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield os.fstat(file).st_size if is_locked(file) else None
    finally:
        os.close(file)


def _create_locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            sync_folder(path.parent)
            return file
        os.close(file)  # taken for a dead process's before it was locked


def write_all(file: int, data: bytes, offset: int) -> None:
    """All of it, there."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def overwrite(folder: Path, segment: int, offset: int, data: bytes) -> bool:
    """Write a record again where it lies, durably: the same bytes as before, so that a power cut in between leaves
    what is known as damaged. Whether there is such a segment. Blocking.
    """
    try:
        file = os.open(segment_path(folder, segment), os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        write_all(file, data, offset)
        os.fdatasync(file)
    finally:
        os.close(file)
    return True


def sync_folder(path: Path) -> None:
    """Make names in that folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
