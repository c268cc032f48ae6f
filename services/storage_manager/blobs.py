"""The blob folder: `blobs/<xx>/<id>`. A blob is written once, never changed, and named only when it is safe.

Order of a write: temporary file, fsync, rename, fsync of the folder. The caller commits metadata afterwards,
so a crash leaves an orphan at worst; the collector finds it. A temporary file is locked by its writer for as long as
that lives, in whatever process. Blocking: callers bring their own threads.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from io import FileIO
from itertools import islice
from pathlib import Path

from services.storage_manager.blob_format import HEADER, MAGIC, OVERHEAD, BlobCipher, Layout, Sealer, Span, header
from services.storage_manager.errors import Corrupt
from services.storage_manager.segments import sync_folder

ORPHAN_AGE_SECONDS = 24 * 3600.0
READ_FRAMES = 4


_ID = re.compile(r"[0-9a-f]{32}")


def is_blob_id(text: str) -> bool:
    """Whether a blob that is a file may be called that."""
    return _ID.fullmatch(text) is not None


def new_id() -> str:
    """32 hex digits nobody guesses."""
    return secrets.token_hex(16)


class Blobs:
    """All blobs of one data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.temporary = root / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, blob: str) -> Path:
        """The file of the blob."""
        return self.root / blob[:2] / blob

    def write(self, blob: str, cipher: BlobCipher) -> Writer:
        """A new blob, invisible until `Writer.commit`."""
        return Writer(self, blob, cipher)

    def restore(self, blob: str) -> StoredWriter:
        """The blob as another copy has it, sealed already; it takes the place of what is damaged here."""
        return StoredWriter(self, blob)

    def read(self, blob: str, cipher: BlobCipher, size: int, start: int, stop: int) -> Iterator[bytes]:
        """Plaintext [start, stop), about 256 KiB at a time. Raises Corrupt before a wrong byte leaves."""
        with self._opened(blob) as file:
            layout = _layout(file, blob, size)
            if os.pread(file.fileno(), HEADER, 0) != layout.magic + bytes([cipher.mode]):
                raise Corrupt(f"blob {blob}: sealed in another way than the index says")
            for together in _together(layout.spans(start, stop)):
                stored = os.pread(file.fileno(), sum(each.length for each in together), together[0].offset)
                yield b"".join(_opened_frames(layout, blob, cipher, together, stored))

    def check(self, blob: str, size: int) -> Iterator[int]:
        """Read all of it without a key, about 256 KiB at a time: the bytes read. Raises Corrupt."""
        with self._opened(blob) as file:
            yield from _checked(file, blob, size)

    def _opened(self, blob: str) -> FileIO:
        try:
            return self.path(blob).open("rb", buffering=0)
        except FileNotFoundError:
            raise Corrupt(f"blob {blob}: missing") from None

    def forget(self, blob: str) -> None:
        """Remove it. Absent is fine."""
        self.path(blob).unlink(missing_ok=True)

    def old_files(self, older_than_seconds: float = ORPHAN_AGE_SECONDS) -> list[Path]:
        """Every file of that age, unfinished ones too. Age protects writes under way in any replica."""
        before = time.time() - older_than_seconds
        return [each for each in self.root.glob("*/*") if _modified(each) <= before]

    def drop_dead(self) -> int:
        """Remove unfinished files whose writer has died. How many."""
        return sum(_dropped(each) for each in self.temporary.iterdir())


class _NewFile:
    """A file on its way to being a blob. Call `commit` or `abandon`."""

    def __init__(self, blobs: Blobs, blob: str, mark: str = "") -> None:
        self._blobs, self._blob = blobs, blob
        self._path = blobs.temporary / f"{blob}{mark}"
        self._file = _locked(self._path)

    def abandon(self) -> None:
        """Drop the blob as if it had never begun."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def _name(self) -> None:
        """Durable and named, or an OSError."""
        os.fsync(self._file.fileno())
        target = self._blobs.path(self._blob)
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True, mode=0o700)
            sync_folder(self._blobs.root)
        self._path.rename(target)
        sync_folder(target.parent)
        self._file.close()  # not before the rename: the lock says that somebody still wants the file


class Writer(_NewFile):
    """One blob being written."""

    def __init__(self, blobs: Blobs, blob: str, cipher: BlobCipher) -> None:
        super().__init__(blobs, blob)
        self._sealer = Sealer(cipher)
        self._put(header(cipher))

    def feed(self, data: bytes) -> None:
        """More plaintext."""
        self._put(self._sealer.feed(data))

    def commit(self) -> None:
        """Durable and named, or an OSError."""
        self._put(self._sealer.finish())
        self._name()


class StoredWriter(_NewFile):
    """One blob that comes as it is stored elsewhere. Whoever died of it before is in nobody's way."""

    def __init__(self, blobs: Blobs, blob: str) -> None:
        super().__init__(blobs, blob, f".{secrets.token_hex(4)}")

    def feed(self, stored: bytes) -> None:
        """More of it."""
        self._put(stored)

    def commit(self, size: int) -> None:
        """Durable and named. Raises Corrupt unless it is a whole blob of `size` plaintext bytes."""
        with self._path.open("rb", buffering=0) as file:
            for _ in _checked(file, self._blob, size):
                pass
        self._name()


def _checked(file: FileIO, blob: str, size: int) -> Iterator[int]:
    layout = _layout(file, blob, size)
    for together in _together(layout.spans(0, size)):
        stored = os.pread(file.fileno(), sum(each.length for each in together), together[0].offset)
        for each, frame in _frames(together, stored):
            layout.checked(frame, blob, each.frame)
        yield len(stored)


def _locked(path: Path) -> FileIO:
    """A new file that is ours as long as it is open."""
    while True:
        file = path.open("xb", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # taken for a dead writer's before it was locked


def _dropped(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            return True
    except (BlockingIOError, FileNotFoundError):
        return False  # being written, or just finished


def _modified(path: Path) -> float:
    """Infinite when it went meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _layout(file: FileIO, blob: str, size: int) -> Layout:
    """Raises Corrupt for a file that cannot be that blob's."""
    layout = Layout(os.pread(file.fileno(), len(MAGIC), 0), size)
    if layout.magic not in OVERHEAD or os.fstat(file.fileno()).st_size != layout.file_size:
        raise Corrupt(f"blob {blob}: wrong length or header")
    return layout


def _together(spans: Iterator[Span]) -> Iterator[list[Span]]:
    """What is read at once."""
    while some := list(islice(spans, READ_FRAMES)):
        yield some


def _frames(together: list[Span], stored: bytes) -> Iterator[tuple[Span, bytes]]:
    first = together[0].offset
    for each in together:
        yield each, stored[each.offset - first : each.offset - first + each.length]


def _opened_frames(
    layout: Layout, blob: str, cipher: BlobCipher, together: list[Span], stored: bytes
) -> Iterator[bytes]:
    for each, frame in _frames(together, stored):
        yield cipher.open(each.frame, each.last, layout.checked(frame, blob, each.frame))[each.first : each.stop]
