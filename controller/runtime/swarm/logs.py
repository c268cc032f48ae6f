"""The lines copies wrote, gathered by the Swarm manager from every machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from controller.docker.client import DockerClient, NotFound
from controller.runtime.swarm.snapshot import SwarmSnapshot
from controller.runtime.swarm.tasks import copy_name
from crds.meta import ObjectKey

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
    lines: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for task, each in lines_by_task(raw.decode(errors="replace")).items():
        lines[names.get(task, "")] += each
    chosen = [line for name in sorted(lines) if name and instance in (None, name) for line in lines[name]]
    return [text for _, text in sorted(chosen, key=lambda each: each[0])[-tail:]] if tail else []


def lines_by_task(text: str) -> dict[str, list[tuple[str, str]]]:
    """Task → (timestamp, line). A line is `<timestamp> <label=value,...> <text>`; what is none is passed over."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in text.split("\n"):
        at, _, rest = line.partition(" ")
        details, _, said = rest.partition(" ")
        task = next((part.removeprefix(TASK) for part in details.split(",") if part.startswith(TASK)), "")
        if task:
            found[task].append((at, said.removesuffix("\r")))
    return found
