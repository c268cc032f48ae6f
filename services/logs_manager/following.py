"""Lines of instances arrive by themselves: the conductor is asked who wrote, and for what comes after it.

How far an instance was read becomes durable with its lines, in one transaction: over restarts nothing is lost that
the runtime still has, and nothing comes twice.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import Any, NamedTuple

import httpx

from crds.errors import ApiError
from crds.names import url_path
from services.logs_manager.directory import Directory
from services.logs_manager.names import service_group
from services.logs_manager.store.log_store import LONGEST_LINE, LogStore, NewLine, Written
from services.logs_manager.store.streams import TooManyStreams
from services.sdk.context import ServiceContext

log = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
_UNMARKED_SECONDS = 6.0
"""How often those are asked whose runtime does not say that they wrote."""
_AT_ONCE = 4
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
    """A task of the service."""

    def __init__(self, context: ServiceContext, store: LogStore, directory: Directory) -> None:
        self._client, self._clock = context.client, context.clock
        self._store, self._directory = store, directory
        self._marks: dict[Source, str] = {}
        self._asked_at: dict[Source, float] = {}
        self._latest: dict[Source, int] = {}
        self.fault: str | None = None

    async def run(self) -> None:
        """Round after round."""
        await self._directory.groups.synced.wait()
        while True:
            began = self._clock.monotonic()
            try:
                again = await self.look()
                self.fault = None
            except (httpx.HTTPError, ApiError, sqlite3.Error, ValueError, KeyError) as error:
                again, self.fault = False, f"lines of instances cannot be read: {_said(error)}"
            await asyncio.sleep(0.0 if again else max(LOOK_SECONDS - (self._clock.monotonic() - began), 0.1))

    async def look(self) -> bool:
        """One round. Whether somebody wrote more than was read. Raises httpx.HTTPError, ApiError, sqlite3.Error."""
        answer = await self._client.get(PATH, timeout=10.0)
        answer.raise_for_status()
        there = {Source(i["namespace"], i["service"], i["instance"]): i["mark"] for i in answer.json()["instances"]}
        for gone in self._marks.keys() - there.keys():
            del self._marks[gone]
            self._asked_at.pop(gone, None)
            self._latest.pop(gone, None)
        due = [each for each, mark in there.items() if self._is_due(each, mark)]
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(source: Source) -> bool:
            async with places:
                return await self._read(source, there[source])

        return any(await asyncio.gather(*(one(each) for each in due)))

    def _is_due(self, source: Source, mark: str) -> bool:
        if mark:
            return self._marks.get(source) != mark
        return self._clock.monotonic() - self._asked_at.get(source, -1e9) >= _UNMARKED_SECONDS

    async def _read(self, source: Source, mark: str) -> bool:
        """Whether there is more. A Service that is gone meanwhile is none of our business."""
        self._asked_at[source] = self._clock.monotonic()
        for _ in range(_ANSWERS_IN_A_ROW):
            answer = await self._client.get(source.path, params=self._after(source), timeout=30.0)
            if answer.status_code == 400:
                # Of a runtime it had before: it is read from its first line.
                answer = await self._client.get(source.path, timeout=30.0)
            if answer.status_code == 404:
                return False
            answer.raise_for_status()
            found = answer.json()
            await self._keep(source, found)
            if not found["more"]:
                self._marks[source] = mark
                return False
        return True

    def _after(self, source: Source) -> dict[str, str]:
        position = self._store.positions.get("/".join(source), "")
        return {"position": position} if position else {}

    async def _keep(self, source: Source, found: dict[str, Any]) -> None:
        """Raises sqlite3.Error, ApiError."""
        position = {"/".join(source): str(found["position"])}
        if not found["entries"] and not found["lost"]:
            return
        now = self._clock.now().timestamp()
        lines = timed(found["entries"], round(now * 1e9), self._latest.get(source, 0))
        if found["lost"]:
            text = "logs-manager: lines before this one were not read in time, and are kept no more"
            lines.insert(0, NewLine(lines[0].time if lines else round(now * 1e9), text.encode()))
        group = await self._directory.require(source.namespace, service_group(source.namespace, source.service))
        try:
            stream = self._store.streams.make(
                source.namespace, group, source.instance, source.labels, round(now * 1000)
            )
        except TooManyStreams as error:
            raise ValueError(str(error)) from None
        await self._store.append([Written(stream, lines)], round(now * 1000), position)
        self._latest[source] = lines[-1].time if lines else 0


def timed(entries: list[tuple[int | None, str]], now: int, before: int = 0) -> list[NewLine]:
    """Each line with its time; one that says none comes 1 ns after the line before it, so that whoever sorts lines by
    their times sees them as they were written. `now` in ns since 1970; `before`: the time of the last one before.
    """
    found: list[NewLine] = []
    latest = before or next((at for at, _ in entries if at is not None), now) - 1
    for at, text in entries:
        # What is said to be of tomorrow would never be the newest line of today.
        at = latest if at is None else min(at, now)
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
