"""What lies where in a Database's archive, and what of it brings a moment back. Pure.

    base/20261129T190102Z-1f2e3d4c/part-000001      gzip; all parts one after the other are a tar archive
    base/20261129T190102Z-1f2e3d4c/manifest         JSON, written last: a backup without one is none
    wal/SYSTEM/TIMELINE/START-END                   gzip; bytes of the log, from START up to END (hexadecimal)
    wal/SYSTEM/TIMELINE/START-END-TIME              the same, ending with a mark of TIME (milliseconds since 1970)

A mark says that the log up to END has a transaction that committed at TIME or later, so that a recovery to any moment
before TIME finds its end in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from crds.model import MicroTimestamp, Model, rfc3339_micro
from services.db_manager.backups.replication import lsn_text

LOG = "wal"
_CHUNK = re.compile(r"([0-9A-F]{16})-([0-9A-F]{16})(?:-([0-9]{13}))?")
SEGMENT_BYTES = 16 << 20
"""Of a file of the log, as initdb makes clusters."""


class Unrestorable(Exception):
    """What is stored does not bring that back; the text says what is missing, and what can be brought back."""


class Part(Model):
    """One object of a base backup. `sha256`: of what it holds, in hexadecimal."""

    size: int
    sha256: str


class BaseManifest(Model):
    """All of a base backup. `startLsn`, `endLsn`: the log between them makes it consistent, and is in it. One of
    Valkey says its engine, and has no log: its parts are an RDB file.
    """

    format: Literal[1] = 1
    engine: Literal["postgresql", "valkey"] = "postgresql"
    id: str
    system: str
    timeline: int
    version: str
    start_lsn: int
    end_lsn: int
    started_at: MicroTimestamp
    completed_at: MicroTimestamp
    database: str
    username: str
    size: Annotated[int, Field(ge=0)]
    parts: list[Part]


class WalChunk(NamedTuple):
    """Bytes of the log as stored. `mark`: None, or the moment it ends with."""

    name: str
    start: int
    end: int
    mark: datetime | None


def wal_folder(system: str, timeline: int) -> str:
    return f"{LOG}/{int(system):016X}/{timeline:08X}/"


def chunk_name(folder: str, start: int, end: int, mark: datetime | None) -> str:
    """Names sort as the log does."""
    said = "" if mark is None else f"-{int(mark.timestamp() * 1000):013d}"
    return f"{folder}{start:016X}-{end:016X}{said}"


def read_chunk_name(name: str) -> WalChunk:
    """Raises ValueError."""
    read = _CHUNK.fullmatch(name.rpartition("/")[2])
    if read is None:
        raise ValueError(f"{name} is no name of an object of the log")
    start, end, mark = read.groups()
    moment = datetime.fromtimestamp(int(mark) / 1000, UTC) if mark else None
    return WalChunk(name, int(start, 16), int(end, 16), moment)


def chunks_among(folder: str, names: Iterable[str]) -> list[WalChunk]:
    """Those of a folder of the log, in order. What else lies there, others have put there."""
    read = [read_chunk_name(each) for each in sorted(names) if _CHUNK.fullmatch(each.removeprefix(folder))]
    return [each for each in read if each.start < each.end]


def overlapping(chunks: Iterable[WalChunk]) -> set[WalChunk]:
    """Of those in order, each that says it holds what another one holds too."""
    found: set[WalChunk] = set()
    furthest: WalChunk | None = None
    for each in chunks:
        if furthest is not None and each.start < furthest.end:
            found |= {furthest, each}
        if furthest is None or each.end > furthest.end:
            furthest = each
    return found


def segment_floor(lsn: int) -> int:
    return lsn - lsn % SEGMENT_BYTES


def segment_name(timeline: int, lsn: int) -> str:
    """The file of the log that has that byte."""
    number, per_id = lsn // SEGMENT_BYTES, (1 << 32) // SEGMENT_BYTES
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"


class RecoveryPlan(NamedTuple):
    """Of a base backup and log behind it. `until`: where recovery stops; None: at the end of that log."""

    base: BaseManifest
    chunks: tuple[WalChunk, ...] = ()
    until: datetime | None = None


class LatestMoment(NamedTuple):
    """The last moment that can be brought back: of which server, and how far its log was stored then. After the mark
    it ends with there nobody had committed up to that time.
    """

    time: datetime
    system: str
    lsn: int


def plan_recovery(
    bases: Iterable[BaseManifest], chunks: Iterable[WalChunk], moment: datetime, latest: LatestMoment
) -> RecoveryPlan:
    """What brings that moment back. `chunks`: of the bases' system and timeline, in order. Raises Unrestorable."""
    if moment > latest.time:
        text = f"{rfc3339_micro(moment)} is not stored yet; the latest is {rfc3339_micro(latest.time)}"
        raise Unrestorable(text)
    usable = [each for each in bases if each.completed_at <= moment]
    if not usable:
        raise Unrestorable(f"there is no base backup from before {rfc3339_micro(moment)}")
    base = max(usable, key=lambda each: each.completed_at)
    behind = [each for each in chunks if each.end > segment_floor(base.start_lsn)]
    marks = [each for each in behind if each.mark is not None and each.end > base.end_lsn]
    stop = next((each for each in marks if each.mark is not None and each.mark > moment), None)
    last = stop or (marks[-1] if marks else None)
    if last is None:
        raise Unrestorable(f"the log behind the base backup {base.id} is missing: none of it is stored")
    if stop is None and (base.system != latest.system or last.end < latest.lsn):
        raise Unrestorable(f"the log from {lsn_text(last.end)} on is missing")
    used = [each for each in behind if each.start < last.end]
    require_whole(used, segment_floor(base.start_lsn), last.end)
    return RecoveryPlan(base, tuple(used), moment if stop else None)


def require_whole(chunks: Sequence[WalChunk], start: int, end: int) -> None:
    """Raises Unrestorable, saying what is missing, unless they hold all from start to end."""
    at = start
    for each in chunks:
        if each.start > at:
            raise Unrestorable(f"the log from {lsn_text(at)} to {lsn_text(each.start)} is missing")
        at = max(at, each.end)
    if at < end:
        raise Unrestorable(f"the log from {lsn_text(at)} to {lsn_text(end)} is missing")


def usable_bases(
    bases: Iterable[BaseManifest], chunks: Sequence[WalChunk], system: str, timeline: int
) -> list[BaseManifest]:
    """Those from which all log up to now is there, the oldest first."""
    since = whole_since(chunks)
    return sorted(
        (
            each
            for each in bases
            if (each.system, each.timeline) == (system, timeline) and segment_floor(each.start_lsn) >= since
        ),
        key=lambda each: each.completed_at,
    )


def whole_since(chunks: Sequence[WalChunk]) -> int:
    """From where on nothing is missing up to the end."""
    since = reached = chunks[0].start if chunks else 0
    for each in chunks:
        if each.start > reached:
            since = each.start
        reached = max(reached, each.end)
    return since


def superfluous_bases(bases: Sequence[BaseManifest], oldest_wanted: datetime) -> list[BaseManifest]:
    """Those that no moment since then needs."""
    before = sorted(
        (each for each in bases if each.completed_at <= oldest_wanted), key=lambda each: each.completed_at
    )
    return before[:-1]


def superfluous_chunks(chunks: Iterable[WalChunk], bases: Sequence[BaseManifest]) -> list[WalChunk]:
    """Log from before every base backup; none while there is no base."""
    if not bases:
        return []
    first = min(segment_floor(each.start_lsn) for each in bases)
    return [each for each in chunks if each.end <= first]
