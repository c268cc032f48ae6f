"""The backups of one place: chunks that are stored once however many backups name them, and manifests.

    keys.json           the master key, sealed under the passphrase (`sealing`)
    chunks/ab/abcd...   one chunk, sealed; named by its content
    manifests/<id>      one backup (`manifest`): written last, so that a half backup is none
    unused.json         chunks that nothing names, and since when

Nobody locks a place: several may back up into it. A chunk that no manifest names is removed only a day after it was
found so, and after it was written; a backup that takes longer than that is given up, so none loses a chunk it has
counted on.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import orjson

from controller.backup.errors import Damaged, Refused
from controller.backup.locations import Folder, Location
from controller.backup.manifest import Entry, Head, Manifest, open_manifest, read_head
from controller.backup.sealing import Keys, new_keys, open_keys

KEYS, MANIFESTS, CHUNKS, UNUSED = "keys.json", "manifests/", "chunks/", "unused.json"
CHUNK_BYTES, MOST_CHUNK_BYTES = 4 << 20, 64 << 20
"""What a file is cut into; what a chunk may be at most: one row of the store is never cut."""
UNUSED_FOR = timedelta(days=1)
_PLAIN, _ZLIB = b"\x00", b"\x01"
_SAMPLE = 4096
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_CHUNK = re.compile(r"[0-9a-f]{64}")
Told = Callable[[int, int], None]
"""Is told how many bytes were read, and how many of them were new in the place."""


class Repository:
    """One place, opened with its passphrase. Blocking. Raises BackupError."""

    def __init__(self, location: Location, keys: Keys) -> None:
        self.location, self._keys = location, keys
        self.read_bytes = self.new_bytes = 0
        self._known: set[str] | None = None
        self.told: Told = lambda read, new: None

    def manifests(self) -> list[Manifest]:
        """All that are whole, oldest first. Raises Damaged when one of them is not, and says how to go on."""
        found = []
        for id in ids(self.location):
            try:
                found.append(self.manifest(id))
            except Damaged as odd:
                raise Damaged(f"{odd}. No chunk is taken away until it is: aerekos backup delete {id}") from odd
        return found

    def manifest(self, id: str) -> Manifest:
        """Raises Refused where there is none of that id, Damaged."""
        stored = self.location.read(MANIFESTS + id) if _ID.fullmatch(id) else None
        if stored is None:
            raise Refused(
                f"there is no backup {id} in {self.location.name}; aerekos backup list --from {self.location.name}"
            )
        return open_manifest(id, stored, self._keys)

    def put(self, content: bytes) -> str:
        """The id of a chunk of that content, which is stored when this returns."""
        chunk = self._keys.chunk_id(content)
        self.read_bytes += len(content)
        if chunk not in self._chunks_in_use():
            sealed = self._keys.seal_chunk(chunk, _packed(content))
            self.location.write(_path(chunk), sealed)
            self._chunks_in_use().add(chunk)
            self.new_bytes += len(sealed)
        self.told(self.read_bytes, self.new_bytes)
        return chunk

    def put_entry(self, name: str, pieces: Iterable[bytes], modified: int = 0) -> Entry:
        """What `pieces` are together, as one entry. Each is a chunk of its own."""
        size, chunks = 0, []
        for piece in pieces:
            size += len(piece)
            chunks.append(self.put(piece))
        return Entry(name, size, modified, tuple(chunks))

    def has(self, entry: Entry) -> bool:
        """Whether all of it is stored, and will be for as long as a backup takes."""
        return self._chunks_in_use().issuperset(entry.chunks)

    def get(self, chunk: str) -> bytes:
        """Raises Damaged for one that is missing, shortened or changed, and says how it comes back."""
        stored = self.location.read(_path(chunk)) if _CHUNK.fullmatch(chunk) else None
        again = "another backup stores it again, also for the older ones, if the cloud still has what was in it"
        if stored is None:
            raise Damaged(f"chunk {chunk} is missing in {self.location.name}: {again}")
        try:
            content = _unpacked(self._keys.open_chunk(chunk, stored), chunk)
        except Damaged as odd:
            raise Damaged(f"{odd}. Remove {_path(chunk)} from {self.location.name}: {again}") from odd
        if self._keys.chunk_id(content) != chunk:
            raise Damaged(f"chunk {chunk} holds something else")
        self.read_bytes += len(content)
        self.told(self.read_bytes, 0)
        return content

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """Its content. Raises Damaged, at the end when the length is not that of then."""
        size = 0
        for chunk in entry.chunks:
            piece = self.get(chunk)
            size += len(piece)
            yield piece
        if size != entry.size:
            raise Damaged(f"{entry.name} has {size} bytes in place of {entry.size}")

    def commit(self, manifest: Manifest, now: datetime) -> None:
        """From now on it is a backup. Raises Refused when it took so long that chunks may be gone, or is too big."""
        if now - manifest.head.made_at >= UNUSED_FOR:
            raise Refused(f"the backup took {now - manifest.head.made_at}; it must take less than {UNUSED_FOR}")
        sealed = manifest.seal(self._keys)
        self._note_used(manifest.chunks())
        self.location.write(MANIFESTS + manifest.head.id, sealed)

    def forget(self, ids: Iterable[str], now: datetime) -> int:
        """Take those backups away, and what nothing has named for a day. How many chunks went."""
        for each in ids:
            if _ID.fullmatch(each):
                self.location.remove(MANIFESTS + each)
        return self._sweep(now)

    def _sweep(self, now: datetime) -> int:
        named = {chunk for each in self.manifests() for chunk in each.chunks()}
        noted, unused = self._noted(), dict[str, datetime]()
        gone = 0
        for path in self.location.names(CHUNKS):
            chunk = path.rpartition("/")[2]
            if chunk in named:
                continue
            since = noted.get(chunk, now)
            if now - since >= UNUSED_FOR and not self._is_new(path, now):
                self.location.remove(path)
                gone += 1
            else:
                unused[chunk] = since
        if unused != noted:
            self._note(unused)
        self._known = None
        return gone

    def _is_new(self, path: str, now: datetime) -> bool:
        """Whether somebody has stored it again, though nothing named it: their backup may be about to name it."""
        written_at = self.location.written_at(path)
        return written_at is not None and now - written_at < UNUSED_FOR

    def _note_used(self, chunks: set[str]) -> None:
        """When nothing names them any more, their day begins then."""
        noted = self._noted()
        if not chunks.isdisjoint(noted):
            self._note({chunk: since for chunk, since in noted.items() if chunk not in chunks})

    def _noted(self) -> dict[str, datetime]:
        """Chunks that nothing named, and since when. Nobody vouches for that file: one of nonsense is begun anew."""
        try:
            told = orjson.loads(self.location.read(UNUSED) or b"{}")
            return {chunk: datetime.fromisoformat(since).astimezone(UTC) for chunk, since in told.items()}
        except (ValueError, TypeError, AttributeError, OverflowError):
            return {}

    def _note(self, unused: dict[str, datetime]) -> None:
        self.location.write(UNUSED, orjson.dumps({chunk: since.isoformat() for chunk, since in unused.items()}))

    def _chunks_in_use(self) -> set[str]:
        """Chunks that are there and that a manifest names, and those stored since. One that nothing names is stored
        again: it may be about to be removed.
        """
        if self._known is None:
            there = {path.rpartition("/")[2] for path in self.location.names(CHUNKS)}
            self._known = there & {chunk for each in self._whole() for chunk in each.chunks()}
        return self._known

    def _whole(self) -> Iterator[Manifest]:
        """Those that can be read: a damaged one must not be in the way of another backup."""
        for head in heads(self.location):
            with suppress(Damaged):
                yield self.manifest(head.id)


def open_repository(place: Location, passphrase: str) -> Repository:
    """Raises Refused where there is none, WrongPassphrase, Damaged, NewerFormat."""
    file = place.read(KEYS)
    if file is None:
        raise Refused(f"there is no backup in {place.name}")
    return Repository(place, open_keys(file, passphrase))


def open_or_make(place: Location, passphrase: str) -> Repository:
    """As `open_repository`; an empty place becomes one. Raises Refused for a folder that holds something else."""
    if place.read(KEYS) is not None:
        return open_repository(place, passphrase)
    if isinstance(place, Folder) and place.is_strange():
        raise Refused(f"{place.name} holds something else than backups; give a folder for them alone")
    if any(True for _ in place.names(MANIFESTS)):
        raise Damaged(f"{place.name} has backups and no keys.json: take a copy of that file from elsewhere")
    place.create(KEYS, new_keys(passphrase)[1])  # of two that begin at once, both go on with the keys of the first
    return open_repository(place, passphrase)


def ids(place: Location) -> list[str]:
    """The ids of all backups of the place, oldest first."""
    names = (each.removeprefix(MANIFESTS) for each in place.names(MANIFESTS))
    return sorted(each for each in names if _ID.fullmatch(each))


def heads(place: Location) -> list[Head]:
    """Every backup of the place that can be read, oldest first, as it says itself. Raises NewerFormat."""
    found = []
    for id in ids(place):
        if (stored := place.read(MANIFESTS + id)) is not None:
            with suppress(Damaged):
                found.append(read_head(id, stored))
    return sorted(found, key=lambda head: (head.made_at, head.id))


def new_id(made_at: datetime, mark: str) -> str:
    """`mark`: eight hex digits that tell apart what was begun in the same second."""
    return f"{made_at:%Y%m%dT%H%M%SZ}-{mark}"


def _path(chunk: str) -> str:
    return f"{CHUNKS}{chunk[:2]}/{chunk}"


def _packed(content: bytes) -> bytes:
    """What is sealed already, as most objects are, does not get smaller: a look at its beginning tells."""
    sample = content[:_SAMPLE]
    if len(zlib.compress(sample, 1)) > len(sample) * 9 // 10:
        return _PLAIN + content
    return _ZLIB + zlib.compress(content, 1)


def _unpacked(packed: bytes, chunk: str) -> bytes:
    if packed[:1] == _PLAIN:
        return packed[1:]
    if packed[:1] != _ZLIB:
        raise Damaged(f"chunk {chunk} is packed in a way this version does not know")
    try:
        opened = zlib.decompressobj()
        content = opened.decompress(packed[1:], MOST_CHUNK_BYTES + 1)
    except zlib.error as odd:
        raise Damaged(f"chunk {chunk} cannot be unpacked") from odd
    if len(content) > MOST_CHUNK_BYTES or not opened.eof:
        raise Damaged(f"chunk {chunk} is longer than any chunk may be")
    return content
