"""Keeps the archives of all Databases that ask for one: their log as it is written, base backups when one is due, and
nothing older than is wanted. The reconciler says what is wanted, and reads how it stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from services.db_manager.backups import base_backups
from services.db_manager.backups.base_backups import Archive, SealedArchive, Source
from services.db_manager.backups.catalog import (
    LOG,
    BaseManifest,
    WalChunk,
    chunks_among,
    superfluous_bases,
    superfluous_chunks,
    usable_bases,
    wal_folder,
)
from services.db_manager.backups.wal_archiver import ArchiveState, WalArchiver, forget_slot
from services.db_manager.kinds import BackupPolicy
from services.db_manager.valkey.snapshots import ValkeySource
from services.sdk.resources import Clock

BASES = "base"
_RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0)
_BASE_RETRY_SECONDS = (*_RETRY_SECONDS, 60.0, 300.0)
"""Each copies all there is, and what it fails at may be in that."""
_LOOK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """`folder`: where in the store, which tells one store from another, with `bucket`."""

    source: Source | ValkeySource
    policy: BackupPolicy
    bucket: str
    folder: str
    key_id: str


@dataclass
class Report:
    """How it stands. `fault`: why the log or base backups are not stored now; empty where they are."""

    state: ArchiveState = field(default_factory=ArchiveState)
    bases: Sequence[BaseManifest] = ()
    log_fault: str = ""
    base_fault: str = ""

    @property
    def fault(self) -> str:
        return self.log_fault or self.base_fault


class Archiving:
    """One per process; every archive has tasks of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[str, _Run] = {}

    def keep(self, uid: str, wanted: Wanted, archive: Archive) -> Report:
        """Begin, or go on, as wanted now."""
        run = self._runs.get(uid)
        if run is not None and run.wanted != wanted:
            run.stop()
            run = None
        if run is None:
            kind = _SnapshotRun if isinstance(wanted.source, ValkeySource) else _Run
            run = self._runs[uid] = kind(wanted, archive, self._clock)
        return run.report

    def stop(self, uid: str) -> None:
        if (run := self._runs.pop(uid, None)) is not None:
            run.stop()

    def keep_only(self, uids: Collection[str]) -> None:
        for each in [uid for uid in self._runs if uid not in uids]:
            self.stop(each)

    async def close(self) -> None:
        runs = list(self._runs.values())
        self.keep_only(())
        await asyncio.gather(*(each for run in runs for each in run.tasks), return_exceptions=True)


class _Run:
    def __init__(self, wanted: Wanted, archive: Archive, clock: Clock) -> None:
        self.wanted, self._archive, self._clock = wanted, archive, clock
        self.report = Report()
        self._due, self._looked = asyncio.Event(), -1
        self.tasks = self._begin()

    def stop(self) -> None:
        for each in self.tasks:
            each.cancel()

    def _begin(self) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._follow()), asyncio.create_task(self._take_bases())]

    async def _follow(self) -> None:
        failures = 0

        def told() -> None:
            nonlocal failures
            failures, self.report.log_fault = 0, ""
            if self.report.state.whole_since != self._looked:  # what was taken before leads nowhere
                self._due.set()

        wanted, source = self.wanted, cast(Source, self.wanted.source)
        while True:
            archiver = WalArchiver(self._archive, source, wanted.policy.ship_seconds, self.report.state, told)
            try:
                await archiver.run()
            except Exception as error:  # whatever it is: nothing would be stored any more, and nobody told
                self.report.log_fault = f"its log is not stored: {_said(error)}"
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    async def _take_bases(self) -> None:
        await self._due.wait()
        failures = 0
        while True:
            self._due.clear()
            self._looked = self.report.state.whole_since
            try:
                self.report.base_fault = await self._look()
                failures, pause = 0, _LOOK_SECONDS
            except Exception as error:
                self.report.base_fault = f"no base backup: {_said(error)}"
                pause = _BASE_RETRY_SECONDS[min(failures, len(_BASE_RETRY_SECONDS) - 1)]
                failures += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._due.wait()

    async def _look(self) -> str:
        """Take a base backup if one is due, and remove what nobody needs. Returns what cannot be read: nothing is
        removed then, since it may be good under another key, and need its log.
        """
        bases, damaged = await base_backups.manifests(self._archive, BASES)
        chunks = await self._log()
        usable = self._usable(bases, chunks)
        self._say(usable)
        now, policy = self._clock.now(), self.wanted.policy
        if not usable or now - usable[-1].completed_at >= timedelta(hours=policy.every_hours):
            await base_backups.remove_unfinished(self._archive, BASES)
            bases.append(await self.wanted.source.take(self._archive, BASES))
            self.report.state.marks_anyway = True  # a recovery from it ends behind it
            self._say([*usable, bases[-1]])
        if damaged:
            return f"base backups cannot be read, and nothing is removed until then: {damaged[0]}"
        await self._remove_old(bases, chunks, now - timedelta(days=policy.retention_days))
        return ""

    async def _log(self) -> list[WalChunk]:
        """What is stored of its log; behind its position are none of ours."""
        chunks = await stored_log(self._archive, self.report.state)
        return [each for each in chunks if each.end <= self.report.state.position]

    def _usable(self, bases: list[BaseManifest], chunks: list[WalChunk]) -> list[BaseManifest]:
        return usable_bases(bases, chunks, self.report.state.system, self.report.state.timeline)

    def _say(self, usable: list[BaseManifest]) -> None:
        self.report.bases = usable

    async def _remove_old(self, bases: list[BaseManifest], chunks: list[WalChunk], oldest: datetime) -> None:
        old = superfluous_bases(bases, oldest)
        for base in old:
            await base_backups.remove(self._archive, BASES, base.id)
        kept = [each for each in bases if each not in old]
        self.report.bases = [each for each in self.report.bases if each in kept]
        system = self.report.state.system
        for chunk in superfluous_chunks(chunks, [each for each in kept if each.system == system]):
            await self._archive.delete(chunk.name)


class _SnapshotRun(_Run):
    """Of Valkey, which has no log that is stored: what it held at the moments of its backups."""

    def _begin(self) -> list[asyncio.Task[None]]:
        self._due.set()
        return [asyncio.create_task(self._take_bases())]

    async def _log(self) -> list[WalChunk]:
        return []

    def _usable(self, bases: list[BaseManifest], chunks: list[WalChunk]) -> list[BaseManifest]:
        return list(bases)

    def _say(self, usable: list[BaseManifest]) -> None:
        super()._say(usable)
        self.report.state.latest = usable[-1].completed_at if usable else None


def _said(error: Exception) -> str:
    """A TimeoutError says nothing."""
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


async def stored_log(archive: Archive, state: ArchiveState) -> list[WalChunk]:
    """Of that system and timeline, in order. Raises StoreError."""
    folder = wal_folder(state.system, state.timeline)
    return chunks_among(folder, await archive.names(folder))


async def remove_archive(archive: SealedArchive) -> None:
    """All of it: base backups first. Raises StoreError."""
    await base_backups.remove_below(archive, BASES, LOG)


async def end_archiving(source: Source) -> bool:
    """Whether the server keeps no log for it any more: not while it has not noticed that nobody takes it.

    Raises PostgresError, OSError, TimeoutError.
    """
    async with await source.sql() as sql:
        return await forget_slot(sql)
