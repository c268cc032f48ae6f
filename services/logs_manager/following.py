"""Lines of instances arrive by themselves: the conductor is asked who wrote, and for what comes after it.

How far an instance was read becomes durable with its lines, in one transaction: over restarts nothing is lost that
the runtime still has, and nothing comes twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any, NamedTuple

from crds.names import url_path
from services.logs_manager.directory import Directory
from services.logs_manager.names import service_group
from services.logs_manager.store.log_store import LONGEST_LINE, LogStore, NewLine, Progress, Written
from services.logs_manager.store.streams import Stream, TooManyStreams
from services.sdk.context import ServiceContext

log = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
_UNMARKED_SECONDS = 6.0
"""How often those are asked whose runtime does not say that they wrote."""
_FAULT_SECONDS = 10.0
"""How soon a source is asked again that could not be read."""
_AT_ONCE = 4
_FORGET_SECONDS = 600.0
_ANSWERS_IN_A_ROW = 4
"""Of one instance that writes a lot, before others have their turn."""
PATH = "/logs/instances"


class Source(NamedTuple):
    namespace: str
    service: str
    instance: str

    @property
    def path(self) -> str:
        return "/" + url_path("logs", "instances", *self)

    @property
    def labels(self) -> dict[str, str]:
        group = service_group(self.namespace, self.service)
        return {**self._asdict(), "log_group": group}


class Following:
    """A task of the service. `faults`: why lines of a source could not be read when it was asked last."""

    def __init__(self, context: ServiceContext, store: LogStore, directory: Directory) -> None:
        self._client, self._clock = context.client, context.clock
        self._store, self._directory = store, directory
        self._marks: dict[Source, str] = {}
        self._asked_at: dict[Source, float] = {}
        self._latest: dict[Source, int] = {}
        self._reading, self._there = set[Source](), set[Source]()
        self._places = {told: asyncio.Semaphore(_AT_ONCE) for told in (True, False)}
        self.faults: dict[Source, str] = {}
        self._fault: str | None = None

    @property
    def fault(self) -> str | None:
        """In words; None where all is read."""
        if self._fault is not None or not self.faults:
            return self._fault
        source, text = next(iter(self.faults.items()))
        others = f", and of {len(self.faults) - 1} others" if len(self.faults) > 1 else ""
        return f"lines of {'/'.join(source)}{others} cannot be read: {text}"

    async def run(self) -> None:
        """Look after look. Whoever answers late, or with what cannot be kept, holds up nobody else."""
        await self._directory.groups.synced.wait()
        async with asyncio.TaskGroup() as readers:
            readers.create_task(self._forget_now_and_then())
            while True:
                began = self._clock.monotonic()
                try:
                    for source, mark in (await self._due()).items():
                        self._reading.add(source)
                        readers.create_task(self._read(source, mark))
                    self._fault = None
                except Exception as error:
                    if (fault := f"lines of instances cannot be read: {_said(error)}") != self._fault:
                        log.warning("instances cannot be asked for", exc_info=error)
                    self._fault = fault
                await asyncio.sleep(max(LOOK_SECONDS - (self._clock.monotonic() - began), 0.1))

    async def _due(self) -> dict[Source, str]:
        """Who wrote, and is not read already, with their marks. Raises httpx.HTTPError, ValueError, KeyError."""
        answer = await self._client.get(PATH, timeout=10.0)
        answer.raise_for_status()
        there = {Source(i["namespace"], i["service"], i["instance"]): i["mark"] for i in answer.json()["instances"]}
        self._there = set(there)
        for known in (self._marks, self._asked_at, self._latest, self.faults):
            for gone in known.keys() - there.keys():
                del known[gone]
        return {each: mark for each, mark in there.items() if self._is_due(each, mark)}

    async def _forget_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_FORGET_SECONDS)
            try:
                await self._forget_gone()
            except Exception as error:
                log.warning("positions of instances that are gone are kept", exc_info=error)

    async def _forget_gone(self) -> None:
        """How far those were read that are no more, when none of their lines is kept either: a Service of the same
        name may find its log file again. Raises httpx.HTTPError, sqlite3.Error.
        """
        kept = {tuple(each.labels.get(name) for name in Source._fields) for each in self._store.streams.all()}
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for name in self._store.positions:
            source = Source(*name.split("/"))
            if source not in self._there and source not in kept:
                found[source.namespace, source.service].append(name)
        for names in found.values():
            answer = await self._ask(Source(*names[0].split("/")), self._store.positions[names[0]])
            if answer is None:
                await self._store.forget_positions([n for n in names if Source(*n.split("/")) not in self._there])

    def _is_due(self, source: Source, mark: str) -> bool:
        if source in self._reading:
            return False
        waited = self._clock.monotonic() - self._asked_at.get(source, float("-inf"))
        if source in self.faults:
            return waited >= _FAULT_SECONDS
        return self._marks.get(source) != mark if mark else waited >= _UNMARKED_SECONDS

    async def _read(self, source: Source, mark: str) -> None:
        """All it wrote. A fault is remembered as the source's own: it is asked again later."""
        try:
            # Those of a Swarm may take long: they wait for one another, and files for files.
            while await self._read_some(source, mark, self._places[bool(mark)]):
                pass
            self.faults.pop(source, None)
        except Exception as error:
            if (text := _said(error)) != self.faults.get(source):
                log.warning("lines of %s cannot be read", "/".join(source), exc_info=error)
            self.faults[source] = text
        finally:
            self._reading.discard(source)

    async def _read_some(self, source: Source, mark: str, places: asyncio.Semaphore) -> bool:
        """Whether there is more. A Service that is gone meanwhile is none of our business."""
        async with places:
            self._asked_at[source] = self._clock.monotonic()
            for _ in range(_ANSWERS_IN_A_ROW):
                before = self._store.positions.get("/".join(source), "")
                found = await self._ask(source, before)
                if found is None:
                    return False
                if await self._keep(source, before, found) and not found["more"]:
                    self._marks[source] = mark
                    return False
        return True

    async def _ask(self, source: Source, position: str) -> dict[str, Any] | None:
        """What comes after that; None for no such Service. Raises httpx.HTTPError, ValueError."""
        after = {"position": position} if position else {}
        answer = await self._client.get(source.path, params=after, timeout=30.0)
        if answer.status_code == 400:
            # Of a runtime it had before: it is read from its first line.
            answer = await self._client.get(source.path, timeout=30.0)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return dict(answer.json())

    async def _keep(self, source: Source, before: str, found: dict[str, Any]) -> bool:
        """Whether it still stood there. Raises sqlite3.Error, ApiError, ValueError."""
        read, now = Progress("/".join(source), before, str(found["position"])), self._clock.now().timestamp()
        lines = timed(found["entries"], round(now * 1e9), self._latest.get(source, 0))
        if found["lost"]:
            text = "logs-manager: lines before this one were not read in time, and are kept no more"
            lines.insert(0, NewLine(lines[0].time if lines else round(now * 1e9), text.encode()))
        if not lines and before == read.position:
            return True
        written = [Written(await self._stream(source, round(now * 1000)), lines)] if lines else []
        kept = await self._store.append(written, round(now * 1000), read)
        if kept and lines:
            self._latest[source] = lines[-1].time
        return kept

    async def _stream(self, source: Source, now: int) -> Stream:
        """`now` in ms. Raises ApiError, ValueError."""
        group = await self._directory.require(source.namespace, service_group(source.namespace, source.service))
        try:
            return self._store.streams.make(
                source.namespace, group, source.instance, source.labels, now, of_instance=True
            )
        except TooManyStreams as error:
            raise ValueError(str(error)) from None


def timed(entries: list[tuple[int | None, str]], now: int, before: int = 0) -> list[NewLine]:
    """Each line with its time; one that says none comes 1 ns after the line before it, so that whoever sorts lines by
    their times sees them as they were written. `now` in ns since 1970; `before`: the time of the last one before.
    """
    # What is said to be of tomorrow would never be the newest line of today; before 1970 is no time.
    times = [None if at is None or at < 0 else min(at, now) for at, _ in entries]
    found: list[NewLine] = []
    latest = before or max(next((at for at in times if at is not None), now) - 1, 0)
    for at, (_, text) in zip(times, entries, strict=True):
        at = latest if at is None else at
        latest = at + 1 if at == latest else at
        if text:
            found.append(NewLine(latest, cut(text)))
    return found


def cut(text: str) -> bytes:
    """At most the longest line there may be, and a word where there was more."""
    line = text.encode("utf-8", "replace")
    if len(line) <= LONGEST_LINE:
        return line
    return line[: LONGEST_LINE - 32].decode("utf-8", "ignore").encode() + b" (cut: the line is longer)"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
