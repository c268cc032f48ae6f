"""Data keys: one per bucket, KMS key and day; the metadata index grows out of its earlier forms."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import anyio

from services.storage_manager.data_keys import ROTATE_SECONDS, DataKeys
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import MetadataIndex, Object, Part, Piece, Upload
from services.storage_manager.metadata.database import MIGRATIONS

PLACE = BucketRef("id", "box", "arn:aws:s3:::box", 0.0)


class Kms:
    """Wraps by naming the KMS key; counts how often it is asked to open."""

    def __init__(self) -> None:
        self.opened = 0

    async def generate(self, ref: BucketRef) -> tuple[bytes, bytes, str]:
        return b"p" * 32, f"under {ref.key}".encode(), f"arn of {ref.key}"

    async def rewrap(self, ref: BucketRef, wrapped: bytes, arn: str) -> bytes:
        return wrapped

    async def decrypt(self, ref: BucketRef, wrapped: bytes) -> bytes:
        self.opened += 1
        return b"p" * 32


def test_a_day_and_a_changed_kms_key_make_a_new_data_key(tmp_path: Path) -> None:
    now = 0.0
    metadata = MetadataIndex(tmp_path / "book.db")
    keys = DataKeys(metadata, Kms(), clock=lambda: now)

    async def story() -> None:
        nonlocal now
        first = await keys.active_key(PLACE)
        own = await keys.active_key(replace(PLACE, key="own"))
        assert metadata.wrapped_key(own) == (b"under own", "own") and own != first
        assert await keys.active_key(PLACE) == first
        now = ROTATE_SECONDS
        assert await keys.active_key(PLACE) not in (first, own)
        assert await keys.active_key(replace(PLACE, encrypted=False)) == ""

    anyio.run(story)


def test_key_manager_is_asked_once_in_a_while(tmp_path: Path) -> None:
    kms, metadata = Kms(), MetadataIndex(tmp_path / "book.db")

    async def story() -> None:
        key = await DataKeys(metadata, kms).active_key(PLACE)
        restarted = DataKeys(metadata, kms)
        for blob in ("one", "two"):
            await restarted.cipher(PLACE, key, blob)
        assert kms.opened == 1

    anyio.run(story)


def test_a_book_of_an_earlier_form_goes_on_working(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "book.db") as db:
        MIGRATIONS[1](db)
        db.execute("INSERT INTO data_keys VALUES ('old', 'id', 'wrapped', 5.0)")
    db.close()
    metadata = MetadataIndex(tmp_path / "book.db")
    metadata.add_key("own", "id", "master", b"wrapped", 6.0)
    assert metadata.newest_key("id", "") == ("old", 5.0)
    assert MetadataIndex(tmp_path / "book.db").newest_key("id", "master") == ("own", 6.0)


def test_the_keys_under_what_lies_in_a_bucket_are_known(tmp_path: Path) -> None:
    metadata = MetadataIndex(tmp_path / "book.db")
    keys = DataKeys(metadata, Kms())

    async def story() -> None:
        default, own = await keys.active_key(PLACE), await keys.active_key(replace(PLACE, key="own"))
        assert metadata.sealed_by("id") == set()
        metadata.put("id", Object("a", 1, "e", 0.0, {}, (Piece("b1", 1, own),)))
        assert metadata.sealed_by("id") == {"arn of own"}
        upload = Upload("u", "id", "m", 0.0, {})
        metadata.begin(upload)
        metadata.put_part(upload, Part(1, 1, "e", 0.0, Piece("b2", 1, default)))
        assert metadata.sealed_by("id") == {"arn of own", "arn of None"}
        metadata.remove("id", "a")
        assert metadata.sealed_by("id") == {"arn of None"}
        metadata.abort(upload)
        assert metadata.sealed_by("id") == set()

    anyio.run(story)


def test_a_book_of_an_earlier_version_names_keys_as_it_knew_them(tmp_path: Path) -> None:
    before = sqlite3.connect(tmp_path / "book.db")
    MIGRATIONS[1](before)
    before.execute("INSERT INTO data_keys VALUES ('k', 'id', X'77', 0)")
    before.commit()
    before.close()
    metadata = MetadataIndex(tmp_path / "book.db")
    metadata.put("id", Object("a", 1, "e", 0.0, {}, (Piece("b1", 1, "k"),)))
    assert (metadata.wrapped_key("k"), metadata.sealed_by("id")) == ((b"w", ""), set())
