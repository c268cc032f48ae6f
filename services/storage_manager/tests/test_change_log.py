"""What is told of the index at once, and what a copy does with what it cannot apply."""

from __future__ import annotations

from pathlib import Path

import pytest

from crds.formats import NewerFormat
from services.storage_manager.blob_format import NoCipher
from services.storage_manager.errors import Corrupt
from services.storage_manager.metadata import MetadataIndex
from services.storage_manager.replication.change_log import Batch, ChangedRow, ChangeLog
from services.storage_manager.replication.copy import Copy, Position
from services.storage_manager.replication.wire import Message
from services.storage_manager.segment_format import small_blob_id
from services.storage_manager.segments import segment_ids
from services.storage_manager.tests.crash_load import Folder

NAMES = [f"document-{number}" for number in range(10)]


@pytest.fixture
def log(tmp_path: Path) -> ChangeLog:
    metadata = MetadataIndex(tmp_path / "book.db")
    log = ChangeLog(metadata)
    log.enable()
    for name in NAMES:
        metadata.put_configuration("b", name, {"text": "x" * 1000})
    return log


def folder(path: Path) -> Folder:
    path.mkdir()
    return Folder(path)


def names_of(rows: list[ChangedRow]) -> list[object]:
    return [each.key[1] for each in rows]


def test_a_batch_ends_where_its_bytes_do(log: ChangeLog) -> None:
    told, after = list[object](), 0
    while after < log.head():
        batch = log.batch(after, 4000, 2500)
        assert 0 < len(batch.changes) <= 2
        told += names_of(batch.changes)
        after = batch.through
    assert told == NAMES


def test_a_page_ends_where_its_bytes_do(log: ChangeLog) -> None:
    told, after = list[object](), None
    while rows := log.page("configurations", after, 2000, 2500):
        assert len(rows) <= 2
        told += names_of(rows)
        after = rows[-1].key
    assert told == NAMES


def test_a_row_that_is_larger_than_all_bytes_is_told_alone(log: ChangeLog) -> None:
    assert len(log.batch(0, 4000, 10).changes) == len(log.page("configurations", None, 2000, 10)) == 1


def test_another_process_notices_that_somebody_follows(tmp_path: Path) -> None:
    index = MetadataIndex(tmp_path / "book.db")
    earlier = ChangeLog(index)
    assert not earlier.enabled
    ChangeLog(MetadataIndex(tmp_path / "book.db")).enable()
    assert earlier.enabled


@pytest.mark.parametrize("odd", ["row", "table", "record"])
def test_nothing_of_a_batch_that_cannot_be_applied_is_written(tmp_path: Path, odd: str) -> None:
    """It comes again, and again."""
    there, here = (folder(tmp_path / each) for each in ("there", "here"))
    id = small_blob_id(there.small.seal(b"some bytes", NoCipher))
    there.small.writer.flush()
    record = there.small.whole_record(id, 10)
    sound = ChangedRow("small_blobs", tuple(id), {"segment": id.segment, "offset": id.offset, "size": 10})
    last, bytes_of_it = {
        "row": (ChangedRow("closed", ("b",), {"bucket": "b", "since": 1}), None),
        "table": (ChangedRow("things", ("b",), {"bucket": "b"}), None),
        "record": (sound._replace(key=(id.segment, id.offset + 1)), record[:-1] + b"?"),
    }[odd]
    message = Message(Batch("e", 2, 2, [sound, last]), [record, bytes_of_it])
    with pytest.raises(Corrupt if odd == "record" else NewerFormat):
        Copy(here.metadata, here.data).apply(message, Position("e", 2))
    assert not segment_ids(here.small.folder)
    assert here.metadata.connection().execute("SELECT 1 FROM small_blobs").fetchone() is None
