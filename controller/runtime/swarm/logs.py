"""The lines copies wrote, gathered by the Swarm manager from every machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from controller.docker.client import DockerClient, NotFound
from controller.runtime.driver import LogEntries
from controller.runtime.swarm.snapshot import SwarmSnapshot
from controller.runtime.swarm.tasks import copy_name
from crds.meta import ObjectKey

MOST_ENTRIES = 20_000
"""Lines of a service that are read at once."""
TASK = "com.docker.swarm.task.id="


async def read_logs(
    docker: DockerClient, service: str, key: ObjectKey, seen: SwarmSnapshot, instance: str | None, tail: int
) -> Sequence[str]:
    """The last `tail` lines of all instances (or of one), oldest first; nothing when there is no such service."""

    def ask(api: Any) -> tuple[bytes, list[Any]]:
        raw = api.service_logs(
            service, details=True, timestamps=True, stdout=True, stderr=True, tail=tail, is_tty=False
        )
        return b"".join(raw), api.tasks({"service": service})

    try:
        raw, tasks = await docker.ask(ask, extra_seconds=5)
    except NotFound:
        return []
    numbered = seen.is_numbered(key)
    names = {task["ID"]: copy_name(key, task, seen.nodes, numbered=numbered) for task in tasks}
    lines = _by_instance(raw.decode(errors="replace"), names)
    chosen = [line for name in sorted(lines) if instance in (None, name) for line in lines[name]]
    return [text for _, text in sorted(chosen, key=lambda each: each[0])[-tail:]] if tail else []


async def entries_after(
    docker: DockerClient, service: str, key: ObjectKey, seen: SwarmSnapshot, instance: str, position: str
) -> LogEntries:
    """What one copy wrote after the time that is the position; without one, its last `MOST_ENTRIES` lines.

    Docker is asked by whole seconds. Raises ValueError for what is no position, DriverError.
    """
    since = int(_nanoseconds(position) // 1_000_000_000) if position else None

    def ask(api: Any) -> tuple[bytes, list[Any]]:
        options = {"details": True, "timestamps": True, "stdout": True, "stderr": True, "is_tty": False}
        raw = api.service_logs(service, tail=MOST_ENTRIES, **options, **({"since": since} if since else {}))
        return b"".join(raw), api.tasks({"service": service})

    try:
        raw, tasks = await docker.ask(ask, extra_seconds=5)
    except NotFound:
        return LogEntries((), position)
    numbered = seen.is_numbered(key)
    names = {task["ID"]: copy_name(key, task, seen.nodes, numbered=numbered) for task in tasks}
    found = _by_instance(raw.decode(errors="replace"), names)
    lost = bool(position) and sum(map(len, found.values())) >= MOST_ENTRIES
    fresh = sorted((each for each in found.get(instance, ()) if each[0] > position), key=lambda each: each[0])
    entries = [(_nanoseconds(at), said) for at, said in fresh]
    return LogEntries(entries, fresh[-1][0] if fresh else position, lost=lost)


def _nanoseconds(at: str) -> int:
    """Of `2026-01-31T12:00:00.123456789Z`, as Docker writes times. Raises ValueError."""
    whole, _, fraction = at.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0")[:9])


def _by_instance(text: str, names: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Instance → (timestamp, line). A line is `<timestamp> <label=value,...> <text>`."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in text.splitlines():
        at, _, rest = line.partition(" ")
        details, _, said = rest.partition(" ")
        task = next((part.removeprefix(TASK) for part in details.split(",") if part.startswith(TASK)), "")
        if task in names:
            found[names[task]].append((at, said))
    return found
