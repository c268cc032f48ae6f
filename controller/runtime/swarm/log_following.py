"""What copies wrote since they were read last, gathered by the Swarm manager from every machine.

A position says of each task of a copy when its last line was written, by the clock of its machine, and when it was
asked for, by ours: `<task>:<ns since 1970>:<s since 1970>`, joined by commas. A copy that starts anew is another
task: a machine whose clock is behind takes nothing from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import anyio

from controller.docker.client import DockerClient, NotFound
from controller.kit.clock import Clock
from controller.runtime.driver import LogEntries
from controller.runtime.swarm.logs import lines_by_task
from controller.runtime.swarm.snapshot import SwarmSnapshot
from controller.runtime.swarm.tasks import Task, copy_name, is_lost
from crds.meta import ObjectKey
from crds.numbers import whole_number

MOST_ENTRIES = 20_000
"""Lines of a task that are read at once."""
SHARED_SECONDS = 3.0
"""So long an answer serves all copies of its service."""
SKEW_SECONDS = 60
"""So far clocks of machines may be apart, and so long a machine may be away before Swarm says so."""
_MOST_TASKS = 60
Line = tuple[int, str]


class _Mark(NamedTuple):
    """How far a task was read: the time (ns) of its last line, 0 for none, and when (s) it was asked for."""

    last: int
    asked: int


class _Answer(NamedTuple):
    """Lines by task, from `since` (s, None: of all kept) on. `at`: monotonic, `asked`: s since 1970."""

    at: float
    asked: int
    since: int | None
    lines: Mapping[str, Sequence[Line]]
    tasks: Sequence[Task]


class SwarmLogFollower:
    """One for a driver."""

    def __init__(self, docker: DockerClient, clock: Clock) -> None:
        self._docker, self._clock = docker, clock
        self._answers: dict[ObjectKey, _Answer] = {}
        self._locks: defaultdict[ObjectKey, anyio.Lock] = defaultdict(anyio.Lock)

    async def entries_after(
        self, service: str, key: ObjectKey, seen: SwarmSnapshot, instance: str, position: str
    ) -> LogEntries:
        """What one copy wrote after the position; without one, the last `MOST_ENTRIES` lines of each of its tasks.
        Raises ValueError for what is no position, DriverError.
        """
        marks = _parsed(position)
        async with self._locks[key]:
            answer = await self._answer(service, key, _since(marks, seen.tasks.get(key, ()), seen))
        if answer is None:
            return LogEntries((), position)
        numbered = seen.is_numbered(key)
        ours = [t for t in answer.tasks if copy_name(key, t, seen.nodes, numbered=numbered) == instance]
        found: list[Line] = []
        lost = False
        for task in ours:
            lines, mark = answer.lines.get(task["ID"], ()), marks.get(task["ID"], _Mark(0, 0))
            fresh = [each for each in lines if each[0] > mark.last]
            # Where the last one is there as well, or not all that may come, none is missing in between.
            lost |= bool(position) and len(fresh) == len(lines) >= MOST_ENTRIES
            found += fresh
            marks[task["ID"]] = _moved(mark, fresh, answer.asked, away=is_lost(task, seen.nodes))
        newest = sorted(ours, key=lambda each: str(each.get("CreatedAt", "")))[-_MOST_TASKS:]
        text = ",".join(f"{each['ID']}:{marks[each['ID']].last}:{marks[each['ID']].asked}" for each in newest)
        found.sort(key=lambda each: each[0])
        return LogEntries(found, text or position, lost=lost)

    async def _answer(self, service: str, key: ObjectKey, since: int | None) -> _Answer | None:
        """None for no such service. Raises DriverError."""
        now = self._clock.monotonic()
        self._answers = {k: each for k, each in self._answers.items() if now - each.at < SHARED_SECONDS}
        known = self._answers.get(key)
        if known is not None and (known.since is None or (since is not None and known.since <= since)):
            return known
        asked = int(self._clock.now().timestamp())

        def ask(api: Any) -> tuple[bytes, list[Any]]:
            options = {"details": True, "timestamps": True, "stdout": True, "stderr": True, "is_tty": False}
            raw = api.service_logs(service, tail=MOST_ENTRIES, **options, **({"since": since} if since else {}))
            return b"".join(raw), api.tasks({"service": service})

        try:
            raw, tasks = await self._docker.ask(ask, extra_seconds=5)
        except NotFound:
            return None
        lines = {task: _timed(each) for task, each in lines_by_task(raw.decode(errors="replace")).items()}
        self._answers[key] = _Answer(now, asked, since, lines, tasks)
        return self._answers[key]


def _moved(mark: _Mark, fresh: Sequence[Line], asked: int, *, away: bool) -> _Mark:
    """Of a task that is silent it moves once a minute: each move is written down. One that is away was not asked."""
    last = max((each[0] for each in fresh), default=mark.last)
    stays = mark.asked and (away or (not fresh and asked - mark.asked < SKEW_SECONDS))
    return _Mark(last, mark.asked if stays else max(asked, mark.asked))


def _since(marks: Mapping[str, _Mark], tasks: Sequence[Task], seen: SwarmSnapshot) -> int | None:
    """From when on (s) Docker is asked. Tasks of a machine that is away tell nothing until it is back."""
    away = {each["ID"] for each in tasks if is_lost(each, seen.nodes)}
    asked = [mark.asked for task, mark in marks.items() if task not in away] or [m.asked for m in marks.values()]
    return max(min(asked) - SKEW_SECONDS, 1) if asked else None


def _parsed(position: str) -> dict[str, _Mark]:
    found = {}
    for part in position.split(",") if position else ():
        task, *texts = part.split(":")
        numbers = [each for each in map(whole_number, texts) if each is not None]
        if not task.isalnum() or not len(texts) == len(numbers) == 2:
            raise ValueError(f"{position[:40]!r} is no position in a log")
        found[task] = _Mark(*numbers)
    return found


def _timed(lines: Iterable[tuple[str, str]]) -> list[Line]:
    """Those with a time that can be read: Docker gives one to each."""
    found = []
    for at, said in lines:
        with suppress(ValueError):
            found.append((nanoseconds(at), said))
    return found


def nanoseconds(at: str) -> int:
    """Of `2026-01-31T12:00:00.123456789Z`, as Docker writes times. Raises ValueError."""
    whole, _, fraction = at.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0")[:9])
