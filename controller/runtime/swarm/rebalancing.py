"""Work for machines that came back or are new: Swarm leaves them empty until something else happens. Pure.

Two kinds of moves, and in both no copy stops before its successor serves:
- several copies crowd together: one copy more is made (Swarm puts it where the fewest are), and when all are ready,
  one less is wanted (Swarm takes it from where the most are);
- a machine has much more than another: a copy that is alone there has to leave it for a moment. Swarm starts its
  successor elsewhere first.

A move is written on the Swarm service, so that the next conductor ends what the last one began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.runtime.driver import Workload
from controller.runtime.swarm.naming import MOVING
from controller.runtime.swarm.service_spec import NODE_CONSTRAINT
from controller.runtime.swarm.tasks import Task, serves

WORTH_A_MOVE = 2
MOVES_AT_ONCE = 5
GIVE_UP_SECONDS = 120.0
_MORE = "one-more"


@dataclass(frozen=True, slots=True)
class Move:
    """`away`: id of the machine a copy leaves; empty when one copy more is made. `began`: seconds since the epoch."""

    away: str
    began: int

    def __str__(self) -> str:
        return f"{self.away or _MORE}@{self.began}"

    @classmethod
    def read(cls, marks: Mapping[str, str]) -> Move | None:
        """The one that is written there."""
        what, _, began = marks.get(MOVING, "").partition("@")
        return cls("" if what == _MORE else what, int(began)) if what and began.isdigit() else None


def moved(wanted: dict[str, Any], move: Move | None) -> dict[str, Any]:
    """The wish, as it is while a copy moves."""
    if move is None:
        return wanted
    placement, mode = dict(wanted["TaskTemplate"]["Placement"]), dict(wanted["Mode"])
    if move.away:
        constraints = {*placement["Constraints"], f"{NODE_CONSTRAINT}{move.away}"}
        placement["Constraints"] = sorted(constraints)
    elif "Replicated" in mode:
        mode["Replicated"] = {"Replicas": mode["Replicated"]["Replicas"] + 1}
    template = {**wanted["TaskTemplate"], "Placement": placement}
    return {**wanted, "TaskTemplate": template, "Mode": mode, "Labels": {**wanted["Labels"], MOVING: str(move)}}


def next_move(
    workload: Workload,
    tasks: Collection[Task],
    nodes: Mapping[str, Any],
    fit: Collection[str],
    load: Counter[str],
    now: datetime,
) -> Move | None:
    """`fit`: ids of machines that may and can run it; `load`: copies of everything on each machine.

    Only when every copy serves: a move is no cure.
    """
    if workload.mode != "replicated" or workload.volumes or not fit:
        return None
    here, wanted = load_of(tasks, nodes), _to_run(tasks)
    if sum(here.values()) != workload.replicas or len(wanted) != workload.replicas:
        return None
    began, fewest = int(now.timestamp()), min(here[node] for node in fit)
    if max(here.values(), default=0) - fewest >= WORTH_A_MOVE:
        return Move("", began)
    full = _overloaded(here, fit, load) if workload.update.order == "start-first" else ""
    return Move(full, began) if full else None


def is_over(move: Move, workload: Workload, tasks: Sequence[Task], nodes: Mapping[str, Any]) -> bool:
    """Whether the copy has arrived, and everything serves."""
    here, wanted = load_of(tasks, nodes), _to_run(tasks)
    if sum(here.values()) != len(wanted):
        return False
    if move.away:
        return len(wanted) == workload.replicas and not here[move.away]
    return len(wanted) > workload.replicas


def is_hopeless(move: Move, workload: Workload, tasks: Sequence[Task], now: datetime) -> bool:
    """Whether nowhere was found a place for so long. Swarm drops first what has none, so nothing that serves goes."""
    waits = any(not each.get("NodeID") for each in _to_run(tasks))
    return waits and now.timestamp() - move.began > GIVE_UP_SECONDS


def load_of(tasks: Iterable[Task], nodes: Mapping[str, Any]) -> Counter[str]:
    """How many copies that serve each machine has."""
    return Counter(str(each["NodeID"]) for each in tasks if serves(each, nodes))


def _to_run(tasks: Iterable[Task]) -> list[Task]:
    return [each for each in tasks if each["DesiredState"] in ("running", "ready")]


def _overloaded(here: Counter[str], fit: Collection[str], load: Counter[str]) -> str:
    """The fullest machine where it has one copy, if an empty-handed one has less than half of its load."""
    idle = min((load[node] for node in fit if not here[node]), default=None)
    alone = [node for node in here if here[node] == 1]
    full = max(alone, key=lambda node: (load[node], node), default="")
    if idle is None or not full or load[full] - idle < WORTH_A_MOVE or 2 * idle > load[full]:
        return ""
    return full
