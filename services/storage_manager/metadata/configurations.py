"""Configuration documents of buckets: what `?versioning`, `?policy`, `?cors` and their kind say, one for each name.

    context.configuration(ref, "cors")                          # a dict as it was put, or None
    await context.put_configuration(ref, "cors", document)      # durable when it returns
    await context.drop_configuration(ref, "cors")

A name is the sub-resource's (`versioning`, `policy`, `cors`, `lifecycle`, `acl`, `tagging`, `website`, `logging`,
`encryption`, `object-lock`, `publicAccessBlock`, `ownershipControls`). A document is JSON: best what
`await request.params()` read by S3's model and the handler has validated. Its format has a version beside it, so
that it can be changed later. Reading is one look-up in an index, without a thread: each request may. `versioning.py`
beside the handlers is an example; a new module of handlers is named in `handlers.py`, and its reasons for refusing go
out of `coverage.py`. All of them go with the bucket.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from services.storage_manager.metadata.database import MetadataDb

Document = dict[str, Any]
FORMAT = 1
# What another process has changed is noticed so late at most.
RECENT_SECONDS = 0.05
MOST_RECENT = 4096


@dataclass(slots=True)
class RecentDocuments:
    """All documents of a bucket as they were read at that moment (monotonic), and what others made of them."""

    documents: dict[str, Document]
    read_at: float
    derived: dict[str, Any] = field(default_factory=dict)


class Configurations(MetadataDb):
    """`bucket` is always the bucket's id."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, clock)
        self._recent: dict[str, RecentDocuments] = {}
        self._written = 0

    def recent(self, bucket: str) -> RecentDocuments:
        """All documents of a bucket, as they are: those that this process changed, at once; what others change, after
        RECENT_SECONDS. For requests that read them again and again; not for what is decided in a transaction.
        """
        known, now = self._recent.get(bucket), time.monotonic()
        if known is not None and now - known.read_at < RECENT_SECONDS:
            return known
        written, documents = self._written, self.configurations(bucket)
        if known is not None and known.documents == documents:
            known.read_at = now
            return known
        found = RecentDocuments(documents, now)
        if written == self._written:  # else it may have been read before what was written
            if len(self._recent) >= MOST_RECENT:
                self._recent.clear()
            self._recent[bucket] = found
        return found

    def _note_written(self, bucket: str) -> None:
        """After the commit: whoever reads from now on reads what was written."""
        self._written += 1
        self._recent.pop(bucket, None)

    def configuration(self, bucket: str, name: str) -> Document | None:
        """That document, None where there is none. Must not be changed: it is shared."""
        sql = "SELECT document FROM configurations WHERE bucket=? AND name=?"
        row = self._db().execute(sql, (bucket, name)).fetchone()
        return _document(row[0]) if row else None

    def configurations(self, bucket: str) -> dict[str, Document]:
        """All documents of a bucket, by name. Must not be changed: they are shared."""
        sql = "SELECT name, document FROM configurations WHERE bucket=?"
        return {name: _document(text) for name, text in self._db().execute(sql, (bucket,))}

    def put_configuration(self, bucket: str, name: str, document: Document) -> None:
        """In place of the one before. Raises NoSuchBucket once the bucket is closed."""
        with self._write() as db:
            self._require_open(db, bucket)
            values = (bucket, name, FORMAT, json.dumps(document))
            db.execute(
                "INSERT OR REPLACE INTO configurations (bucket, name, version, document) VALUES (?,?,?,?)", values
            )
        self._note_written(bucket)

    def drop_configuration(self, bucket: str, name: str) -> None:
        """Absent is fine."""
        with self._write() as db:
            db.execute("DELETE FROM configurations WHERE bucket=? AND name=?", (bucket, name))
        self._note_written(bucket)


@lru_cache(maxsize=1024)
def _document(text: str) -> Document:
    found: Document = json.loads(text)
    return found
