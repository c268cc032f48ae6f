"""All records of one store in another: copied in one transaction, then compared, record by record. Blocking.

Revisions, times and history stay, and so do sealed bodies: the key that opens them is not in the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from controller.store import dump
from controller.store.records import StoreBroken


class Digest(NamedTuple):
    """What a store holds. `blocks`: SHA-256 of the rows of each block; `heads`: of which record is the newest of each
    key, and whether it lives.
    """

    numbers: dump.Dumped
    blocks: dict[int, str]
    heads: str


def migrate(source: str, target: str) -> Digest:
    """What is in `target` now, and was in `source`, where nobody may write meanwhile. A target that holds exactly
    that already is left as it is. Raises StoreBroken for one that holds anything else; StoreAway without its server.
    """
    with dump.reading(source) as reader:
        before = _digest(reader)
        if _found(target) != before:
            dump.fill(target, reader.dumped, _pieces(reader))
    after = _found(target)
    if after != before:
        raise StoreBroken(f"{target} does not hold what {source} holds: {_difference(before, after)}")
    return before


def _found(url: str) -> Digest | None:
    """None for a store that is not there, or has nothing in it."""
    if not dump.is_there(url):
        return None
    with dump.reading(url) as reader:
        return _digest(reader) if reader.dumped.revision else None


def _digest(reader: dump.StoreReader) -> Digest:
    blocks = dict[int, str]()
    for block in reader.blocks():
        sha = hashlib.sha256()
        for piece in block.pieces:
            sha.update(piece)
        blocks[block.number] = sha.hexdigest()
    heads = hashlib.sha256("\n".join(sorted(map(repr, reader.heads()))).encode()).hexdigest()
    return Digest(reader.dumped, blocks, heads)


def _pieces(reader: dump.StoreReader) -> Iterator[bytes]:
    return (piece for block in reader.blocks() for piece in block.pieces)


def _difference(before: Digest, after: Digest | None) -> str:
    if after is None:
        return "nothing is in it"
    if before.numbers != after.numbers:
        return f"{after.numbers} in place of {before.numbers}"
    odd = sorted(number for number, digest in before.blocks.items() if after.blocks.get(number) != digest)
    if odd:
        first = odd[0] * dump.BLOCK_REVISIONS
        return f"records from revision {first} to {first + dump.BLOCK_REVISIONS - 1} are others"
    return "the newest records of some keys are others"
