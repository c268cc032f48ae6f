"""Tasks that neither start nor fail: Swarm waits for them for ever. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controller.runtime.swarm.tasks import Task, moment

# Longer than any of these states takes on a healthy machine. Pulling an image is slow; waiting for a machine
# (`pending`) is no hanging.
LIMITS = {"assigned": 30.0, "accepted": 30.0, "ready": 30.0, "preparing": 600.0, "starting": 60.0}
AGAIN_SECONDS = 120.0
_SECOND = 1_000_000_000


def stuck_task(
    tasks: Iterable[Task], nodes: Mapping[str, Mapping[str, Any]], now: datetime
) -> tuple[Task, float] | None:
    """The first task that hangs on a machine that is ready, and for how many seconds it has."""
    for task in tasks:
        limit, since = _limit(task), moment(task["Status"].get("Timestamp"))
        node = nodes.get(task.get("NodeID", ""))
        alive = node is not None and node["Status"]["State"] == "ready"
        if limit is None or since is None or not alive or task["DesiredState"] not in ("running", "ready"):
            continue
        if task["Status"]["State"] == "ready" and task["DesiredState"] == "ready":
            continue  # waits its turn in a restart
        if (waited := (now - since).total_seconds()) > limit:
            return task, waited
    return None


def _limit(task: Task) -> float | None:
    """A copy is `starting` until its health check says yes, which may take the time that was granted for it."""
    limit = LIMITS.get(task["Status"]["State"])
    if limit is None or task["Status"]["State"] != "starting":
        return limit
    check = task["Spec"].get("ContainerSpec", {}).get("Healthcheck") or {}
    rounds = check.get("Retries", 0) * (check.get("Interval", 0) + check.get("Timeout", 0))
    return limit + float(check.get("StartPeriod", 0) + rounds) / _SECOND
