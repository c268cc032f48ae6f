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
from functools import lru_cache
from typing import Any

from services.storage_manager.metadata.database import MetadataDb

Document = dict[str, Any]
FORMAT = 1


class Configurations(MetadataDb):
    """`bucket` is always the bucket's id."""

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

    def drop_configuration(self, bucket: str, name: str) -> None:
        """Absent is fine."""
        with self._write() as db:
            db.execute("DELETE FROM configurations WHERE bucket=? AND name=?", (bucket, name))


@lru_cache(maxsize=1024)
def _document(text: str) -> Document:
    found: Document = json.loads(text)
    return found
