"""Work for machines that came back: Swarm leaves them empty until something else happens. Pure.

One copy more is made (Swarm puts it where the fewest are), and when all are ready, one less is wanted (Swarm takes it
from where the most are). At no moment fewer copies serve than before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from controller.runtime.swarm.seeing import Task

WORTH_A_MOVE = 2
NODE_SETTLES_SECONDS = 5.0


def wants_a_move(tasks: Collection[Task], fit: Collection[str], replicas: int) -> bool:
    """Whether one copy should move, given a workload's tasks and the ids of machines that may and can run it.

    Only when every copy serves: a move is no cure.
    """
    running = [each for each in tasks if each["DesiredState"] == "running"]
    if len(running) != replicas or any(each["Status"]["State"] != "running" for each in running):
        return False
    here = Counter(str(each.get("NodeID", "")) for each in running)
    if not fit or not here:
        return False
    fewest = min(here.get(node, 0) for node in fit)
    return max(here.values()) - fewest >= WORTH_A_MOVE


def ready_nodes(nodes: Mapping[str, Mapping[str, Any]], since: Mapping[str, float], now: float) -> set[str]:
    """Ids of machines that take work and have been ready for a while. `since`: when each was first seen ready."""
    return {
        id_
        for id_, node in nodes.items()
        if node["Status"]["State"] == "ready"
        and node["Spec"].get("Availability") == "active"
        and now - since.get(id_, now) >= NODE_SETTLES_SECONDS
    }
