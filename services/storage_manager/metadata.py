"""What is stored where: one SQLite file beside the blobs. Several replicas on one machine may share it.

Every public call is one transaction (WAL, synchronous=FULL) and returns once it is durable. Blocking.
Calls that replace or remove objects return the blob ids that nothing names any more.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.storage_manager.faults import S3Fault

SCHEMA = """
CREATE TABLE IF NOT EXISTS data_keys (id TEXT PRIMARY KEY, bucket TEXT, wrapped BLOB, created REAL);
CREATE INDEX IF NOT EXISTS newest_key ON data_keys (bucket, created);
CREATE TABLE IF NOT EXISTS objects (bucket TEXT, key TEXT, size INTEGER, etag TEXT, modified REAL,
  headers TEXT, pieces TEXT, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (id TEXT PRIMARY KEY, bucket TEXT, key TEXT, created REAL, headers TEXT);
CREATE TABLE IF NOT EXISTS parts (upload TEXT, number INTEGER, size INTEGER, etag TEXT, modified REAL,
  piece TEXT, PRIMARY KEY (upload, number)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """One blob of an object. `key` is the data key's id, empty when the blob is not encrypted."""

    blob: str
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class Object:
    """One object. `modified` in seconds since 1970; `headers` are given back as they came."""

    key: str
    size: int
    etag: str
    modified: float
    headers: dict[str, str]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part."""

    number: int
    size: int
    etag: str
    modified: float
    piece: Piece


@dataclass(frozen=True, slots=True)
class Upload:
    """One multipart upload that is not complete."""

    id: str
    bucket: str
    key: str
    created: float
    headers: dict[str, str]


def _pieces(pieces: tuple[Piece, ...]) -> str:
    return json.dumps([(p.blob, p.size, p.key) for p in pieces])


def _read_pieces(text: str) -> tuple[Piece, ...]:
    return tuple(Piece(*each) for each in json.loads(text))


def _object(row: tuple[str, int, str, float, str, str]) -> Object:
    return Object(*row[:4], json.loads(row[4]), _read_pieces(row[5]))


COLUMNS = "key, size, etag, modified, headers, pieces"


class Metadata:
    """The book. One connection per thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._db().executescript(SCHEMA)

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            self._local.db = db
        return db

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def find(self, bucket: str, key: str) -> Object | None:
        """The object, or None."""
        sql = f"SELECT {COLUMNS} FROM objects WHERE bucket=? AND key=?"  # noqa: S608
        row = self._db().execute(sql, (bucket, key)).fetchone()
        return _object(row) if row else None

    def put(self, bucket: str, new: Object, *, only_new: bool = False) -> list[str]:
        """Put the object in place of its predecessor. Raises PreconditionFailed with `only_new`."""
        with self._write() as db:
            return self._replace(db, bucket, new, only_new)

    def _replace(self, db: sqlite3.Connection, bucket: str, new: Object, only_new: bool) -> list[str]:
        old = self.find(bucket, new.key)
        if old and only_new:
            raise S3Fault("PreconditionFailed", "the key already exists")
        values = (
            bucket,
            new.key,
            new.size,
            new.etag,
            new.modified,
            json.dumps(new.headers),
            _pieces(new.pieces),
        )
        db.execute("INSERT OR REPLACE INTO objects VALUES (?,?,?,?,?,?,?)", values)
        return [p.blob for p in old.pieces] if old else []

    def remove(self, bucket: str, key: str) -> list[str]:
        """Forget the object. Absent is fine."""
        with self._write() as db:
            old = self.find(bucket, key)
            db.execute("DELETE FROM objects WHERE bucket=? AND key=?", (bucket, key))
        return [p.blob for p in old.pieces] if old else []

    def page(self, bucket: str, after: str, inclusive: bool, limit: int) -> list[Object]:
        """Objects in UTF-8 order from `after` on."""
        sign = ">=" if inclusive else ">"
        sql = f"SELECT {COLUMNS} FROM objects WHERE bucket=? AND key {sign} ? ORDER BY key LIMIT ?"  # noqa: S608
        return [_object(row) for row in self._db().execute(sql, (bucket, after, limit))]

    def usage(self, bucket: str) -> tuple[int, int]:
        """Objects and plaintext bytes."""
        sql = "SELECT count(*), coalesce(sum(size),0) FROM objects WHERE bucket=?"
        count, size = self._db().execute(sql, (bucket,)).fetchone()
        return count, size

    def begin(self, upload: Upload) -> None:
        """Remember a new multipart upload."""
        with self._write() as db:
            values = (upload.id, upload.bucket, upload.key, upload.created, json.dumps(upload.headers))
            db.execute("INSERT INTO uploads VALUES (?,?,?,?,?)", values)

    def upload(self, bucket: str, key: str, id: str) -> Upload:
        """Raises NoSuchUpload."""
        sql = "SELECT * FROM uploads WHERE id=? AND bucket=? AND key=?"
        row = self._db().execute(sql, (id, bucket, key)).fetchone()
        if row is None:
            raise S3Fault("NoSuchUpload", f"no upload {id} of {key}")
        return Upload(row[0], row[1], row[2], row[3], json.loads(row[4]))

    def uploads(self, bucket: str, prefix: str) -> list[Upload]:
        """Uploads under way."""
        rows = self._db().execute("SELECT * FROM uploads WHERE bucket=? ORDER BY key, created", (bucket,))
        return [Upload(r[0], r[1], r[2], r[3], json.loads(r[4])) for r in rows if r[2].startswith(prefix)]

    def parts(self, upload: str) -> list[Part]:
        """The parts so far, by number."""
        sql = "SELECT number, size, etag, modified, piece FROM parts WHERE upload=? ORDER BY number"
        return [Part(r[0], r[1], r[2], r[3], _read_pieces(r[4])[0]) for r in self._db().execute(sql, (upload,))]

    def put_part(self, upload: Upload, part: Part) -> list[str]:
        """Put the part in place of its predecessor. Raises NoSuchUpload."""
        with self._write() as db:
            self.upload(upload.bucket, upload.key, upload.id)
            old = [p.piece.blob for p in self.parts(upload.id) if p.number == part.number]
            values = (upload.id, part.number, part.size, part.etag, part.modified, _pieces((part.piece,)))
            db.execute("INSERT OR REPLACE INTO parts VALUES (?,?,?,?,?,?)", values)
        return old

    def complete(self, upload: Upload, new: Object) -> list[str]:
        """The chosen parts become the object; the upload is gone. Raises NoSuchUpload, InvalidPart."""
        with self._write() as db:
            self.upload(upload.bucket, upload.key, upload.id)
            chosen, there = {p.blob for p in new.pieces}, {p.piece.blob for p in self.parts(upload.id)}
            if not chosen <= there:
                raise S3Fault("InvalidPart", "a part was replaced meanwhile")
            old = self._replace(db, upload.bucket, new, False)
            self._end(db, upload.id)
        return old + sorted(there - chosen)

    def abort(self, upload: Upload) -> list[str]:
        """Forget the upload and its parts."""
        with self._write() as db:
            blobs = [p.piece.blob for p in self.parts(upload.id)]
            self._end(db, upload.id)
        return blobs

    def _end(self, db: sqlite3.Connection, upload: str) -> None:
        db.execute("DELETE FROM parts WHERE upload=?", (upload,))
        db.execute("DELETE FROM uploads WHERE id=?", (upload,))

    def known_blobs(self) -> set[str]:
        """Every blob that something names."""
        with self._write() as db:
            texts = [r[0] for r in db.execute("SELECT pieces FROM objects UNION ALL SELECT piece FROM parts")]
        return {piece.blob for text in texts for piece in _read_pieces(text)}

    def newest_key(self, bucket: str) -> tuple[str, bytes, float] | None:
        """The bucket's newest data key: id, wrapped, created."""
        sql = "SELECT id, wrapped, created FROM data_keys WHERE bucket=? ORDER BY created DESC LIMIT 1"
        row: tuple[str, bytes, float] | None = self._db().execute(sql, (bucket,)).fetchone()
        return row

    def wrapped_key(self, id: str) -> bytes:
        """Raises LookupError."""
        row = self._db().execute("SELECT wrapped FROM data_keys WHERE id=?", (id,)).fetchone()
        if row is None:
            raise LookupError(f"data key {id} is not in the book")
        return bytes(row[0])

    def add_key(self, id: str, bucket: str, wrapped: bytes, created: float) -> None:
        """Keep a wrapped data key, before anything is sealed with it."""
        with self._write() as db:
            db.execute("INSERT INTO data_keys VALUES (?,?,?,?)", (id, bucket, wrapped, created))
