"""What a follower is sent: rows as JSON, and behind them the records of small blobs as they lie in segments.

    b"AKF1" + version (2) + oldest reader (2) + length of the JSON (4) + JSON + records, one after the other

The JSON is {"epoch", "through", "head", "changes": [[table, key, row or null, length of its record or null]],
"damaged": [[blob, size]]}; bytes in rows are {"hex": "..."}. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from crds.formats import FormatVersion, versions_due
from services.storage_manager.errors import Corrupt
from services.storage_manager.replication.change_log import Batch, ChangedRow

OWN = FormatVersion(version=1, oldest_reader=1)
_MAGIC = b"AKF1"
_HEAD = struct.Struct(">4sHHI")


class Message(NamedTuple):
    """A batch with the records (None where there is none to send) of its changes, and blobs that are asked back."""

    batch: Batch
    records: Sequence[bytes | None]
    damaged: Sequence[tuple[str, int]] = ()


def encode(message: Message) -> bytes:
    """As above."""
    batch, told = message.batch, []
    for change, record in zip(batch.changes, message.records, strict=True):
        row = None if change.row is None else {name: _told(value) for name, value in change.row.items()}
        told.append([change.table, change.key, row, None if record is None else len(record)])
    body = {"epoch": batch.epoch, "through": batch.through, "head": batch.head, "changes": told}
    text = orjson.dumps({**body, "damaged": message.damaged})
    return b"".join((_HEAD.pack(_MAGIC, *OWN, len(text)), text, *(each for each in message.records if each)))


def decode(data: bytes) -> Message:
    """Raises Corrupt for what is none of ours or cut short, NewerFormat for what only a newer version reads."""
    if len(data) < _HEAD.size or data[:4] != _MAGIC:
        raise Corrupt("the answer is no batch of changes")
    _, version, oldest_reader, length = _HEAD.unpack_from(data)
    versions_due("the batch of changes", FormatVersion(version, oldest_reader), OWN)
    try:
        return _read(orjson.loads(data[_HEAD.size : _HEAD.size + length]), memoryview(data)[_HEAD.size + length :])
    except (ValueError, KeyError, TypeError) as why:
        raise Corrupt(f"the batch of changes is not readable: {why!r}") from None


def _read(body: dict[str, Any], rest: memoryview) -> Message:
    changes, records, begin = [], [], 0
    for table, key, row, length in body["changes"]:
        read = None if row is None else {name: _heard(value) for name, value in row.items()}
        changes.append(ChangedRow(table, tuple(key), read))
        records.append(None if length is None else bytes(rest[begin : begin + length]))
        begin += length or 0
    if begin != len(rest):
        raise ValueError(f"{len(rest)} bytes of records, not {begin}")
    batch = Batch(str(body["epoch"]), int(body["through"]), int(body["head"]), changes)
    return Message(batch, records, [(str(blob), int(size)) for blob, size in body["damaged"]])


def _told(value: object) -> object:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _heard(value: object) -> object:
    return bytes.fromhex(str(value["hex"])) if isinstance(value, dict) else value
