"""A backup's manifest: what it holds, and by which chunks. `manifests/<id>`: a line of JSON, then a sealed body.

The line can be read by whoever reads the place, so that `backup list` needs no passphrase; it is authenticated with
the body. The body is zlib of JSON: `{"store": {...}, "files": [entry], "services": {name: {"format", "counts",
"files"}}, "elsewhere": {name: [worker]}}`, an entry `[name, size, modified (ns), [chunk id]]`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from controller.backup.errors import Damaged, Refused
from controller.backup.sealing import OWN, Keys
from crds.formats import FormatVersion, NewerFormat, versions_due
from crds.model import rfc3339_micro

MOST_BODY_BYTES = 1 << 30


class Entry(NamedTuple):
    """One file, or one block of the store, as the chunks it is made of. `modified`: of the file then, in ns."""

    name: str
    size: int
    modified: int
    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceData:
    """The data of one managed service. `counts`: what its hook counted in it, for whoever restores it."""

    format: int
    counts: dict[str, int]
    files: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What may be read without the passphrase."""

    id: str
    cloud: str
    made_at: datetime
    program: str
    revision: int
    oldest: int
    oldest_at: datetime
    resources: int
    size: int

    def line(self) -> bytes:
        told = {name: getattr(self, name) for name in self.__slots__}
        told |= {"made_at": rfc3339_micro(self.made_at), "oldest_at": rfc3339_micro(self.oldest_at)}
        return orjson.dumps({"format": OWN._asdict(), **told})


@dataclass(frozen=True, slots=True)
class Manifest:
    """`store`: the numbers of the dump (`controller.store.dump.Dumped`), as JSON; `blocks`: its rows. `elsewhere`:
    services whose data are not in the home, and so not in the backup, with the workers that have them.
    """

    head: Head
    store: dict[str, Any]
    blocks: tuple[Entry, ...]
    files: tuple[Entry, ...]
    services: dict[str, ServiceData] = field(default_factory=dict)
    elsewhere: dict[str, list[str]] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        """Everything it names."""
        yield from self.blocks
        yield from self.files
        for each in self.services.values():
            yield from each.files

    def chunks(self) -> set[str]:
        return {chunk for entry in self.entries() for chunk in entry.chunks}

    def seal(self, keys: Keys) -> bytes:
        """Raises Refused for one of more than MOST_BODY_BYTES."""
        body = {
            "store": self.store,
            "blocks": _told(self.blocks),
            "files": _told(self.files),
            "services": {
                name: {"format": each.format, "counts": each.counts, "files": _told(each.files)}
                for name, each in self.services.items()
            },
            "elsewhere": self.elsewhere,
        }
        line, told = self.head.line(), orjson.dumps(body)
        if len(told) > MOST_BODY_BYTES:  # it could be written, and never be read
            raise Refused(f"the manifest has {len(told)} bytes; a backup of so many files is not possible")
        return line + b"\n" + keys.seal_manifest(line, zlib.compress(told, 6))


def read_head(name: str, stored: bytes) -> Head:
    """The head as it says itself: nobody has vouched for it. Raises Damaged, NewerFormat."""
    try:
        told = orjson.loads(stored.partition(b"\n")[0])
        versions_due(f"backup {name}", FormatVersion(told["format"]["version"], told["format"]["oldest_reader"]), OWN)
        head = Head(**{each.name: _READ[str(each.type)](told[each.name]) for each in fields(Head)})
    except NewerFormat:
        raise
    except (ValueError, KeyError, TypeError, OverflowError) as odd:
        raise Damaged(f"manifest {name} cannot be read: {odd!r}") from odd
    if head.id != name:
        raise Damaged(f"manifest {name} is that of {head.id}: somebody has moved it")
    return head


def _text(told: Any) -> str:
    if not isinstance(told, str) or not told.isprintable():
        raise ValueError(f"{told!r} is no line of text")
    return told


def _count(told: Any) -> int:
    if type(told) is not int or told < 0:
        raise ValueError(f"{told!r} is no count")
    return told


def _time(told: Any) -> datetime:
    at = datetime.fromisoformat(told)
    if at.tzinfo is None:
        raise ValueError(f"{told} has no time zone")
    return at.astimezone(UTC)


_READ: dict[str, Callable[[Any], Any]] = {"str": _text, "int": _count, "datetime": _time}


def open_manifest(name: str, stored: bytes, keys: Keys) -> Manifest:
    """Raises Damaged for what was changed, NewerFormat."""
    line, _, sealed = stored.partition(b"\n")
    head = read_head(name, stored)
    packed = zlib.decompressobj()
    body = orjson.loads(packed.decompress(keys.open_manifest(line, sealed, name), MOST_BODY_BYTES))
    services = {
        name: ServiceData(each["format"], each["counts"], _entries(each["files"]))
        for name, each in body["services"].items()
    }
    blocks, files = _entries(body["blocks"]), _entries(body["files"])
    return Manifest(head, body["store"], blocks, files, services, body.get("elsewhere", {}))


def _told(entries: Sequence[Entry]) -> list[tuple[Any, ...]]:
    return [tuple(each) for each in entries]


def _entries(told: Sequence[Any]) -> tuple[Entry, ...]:
    return tuple(Entry(name, size, modified, tuple(chunks)) for name, size, modified, chunks in told)
