"""Plain records of the metadata index. Times in seconds since 1970, sizes in bytes of plaintext."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import orjson

_NONE = "[]"


@dataclass(frozen=True, slots=True)
class Piece:
    """One blob of an object. `key` is the data key's id, empty when the blob is not encrypted."""

    blob: str
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class Object:
    """One version of an object. `headers` are given back as they came.

    `version`: its id, empty for the null version. `attributes`: what may change afterwards (tags, retention, legal
    hold, ACL), and the parts it was made of. `marker`: a delete marker, which has no content. `sequence` orders the
    versions of a key.
    """

    key: str
    size: int
    etag: str
    modified: float
    headers: dict[str, str]
    pieces: tuple[Piece, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    sequence: int = 0
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part. `sums`: its checksums by header name."""

    number: int
    size: int
    etag: str
    modified: float
    piece: Piece
    sums: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """One multipart upload that is not complete."""

    id: str
    bucket: str
    key: str
    created: float
    headers: dict[str, str]
    attributes: dict[str, Any] = field(default_factory=dict)


def pieces_text(pieces: tuple[Piece, ...]) -> str:
    """Return pieces as the text the metadata index keeps."""
    return json.dumps([(p.blob, p.size, p.key) for p in pieces])


def read_pieces(text: str) -> tuple[Piece, ...]:
    """The inverse of `pieces_text`."""
    return tuple(Piece(*each) for each in read_json(text)) if text != _NONE else ()


def read_json(text: str) -> Any:
    """What `json.dumps` wrote, also of texts with half a surrogate pair, which are no UTF-8."""
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)
