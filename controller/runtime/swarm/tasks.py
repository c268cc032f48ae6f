"""Swarm's tasks → the instances people see. Pure.

A task is one try to run one copy; a slot's newest wanted task is the copy, the others are its past.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from controller.runtime.driver import ObservedInstance
from controller.runtime.swarm.naming import PORT, REVISION, instance_name
from crds.meta import ObjectKey
from crds.phases import InstancePhase

Task = Mapping[str, Any]
_STARTING = ("new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting")
WANTED = ("running", "ready", "complete")
ENDED = ("complete", "shutdown", "failed", "rejected", "orphaned", "remove")
_TRIED = ("complete", "failed", "rejected", "orphaned")
_GONE: Task = {"Status": {"State": "down"}}
# That many failed tries of one copy in a row are no accident any more.
BACKING_OFF_AFTER = 3


def instances(
    key: ObjectKey,
    tasks: Iterable[Task],
    nodes: Mapping[str, Task],
    reached: Sequence[str] = (),
    *,
    numbered: bool = True,
    unmarked: str = "",
) -> list[ObservedInstance]:
    """One per slot, or per machine when they are not `numbered`, in order. `nodes` by id; `reached`: names of
    networks whose addresses lead to a copy; `unmarked`: the revision of those that do not say theirs.
    """
    slots: defaultdict[int | str, list[Task]] = defaultdict(list)
    for task in tasks:
        slots[_slot(task, nodes, numbered)].append(task)
    found = (_instance(key, slot, _by_age(slots[slot]), nodes, reached) for slot in sorted(slots, key=_order))
    return [replace(each, revision=each.revision or unmarked) for each in found if each is not None]


def copy_name(key: ObjectKey, task: Task, nodes: Mapping[str, Task], *, numbered: bool = True) -> str:
    """The instance that a task is a try of."""
    return instance_name(key, _slot(task, nodes, numbered))


def _slot(task: Task, nodes: Mapping[str, Task], numbered: bool) -> int | str:
    """Its number, or its machine."""
    number = int(task.get("Slot", 0))
    return number if numbered else worker_name(nodes.get(task.get("NodeID", ""), {})) or number


def _order(slot: int | str) -> tuple[int, str]:
    return (slot, "") if isinstance(slot, int) else (0, slot)


def worker_name(node: Mapping[str, Any]) -> str:
    """Name of a machine as its agent gives it: the short host name. Empty for one that is just joining."""
    return _hostname(node).split(".")[0].lower()


def _hostname(node: Task) -> str:
    return str(node.get("Description", {}).get("Hostname", ""))


def _by_age(tasks: Sequence[Task]) -> list[Task]:
    return sorted(tasks, key=lambda each: str(each["CreatedAt"]))


def _instance(
    key: ObjectKey, slot: int | str, tasks: Sequence[Task], nodes: Mapping[str, Task], reached: Sequence[str]
) -> ObservedInstance | None:
    wanted = [each for each in tasks if each["DesiredState"] in WANTED]
    leaving = [each for each in tasks if each["Status"]["State"] == "running" and not is_lost(each, nodes)]
    if not wanted and not leaving:
        return None  # scaled away: only its history is left
    # Where the new copy starts before the old one stops, the old one serves until then.
    serving = [each for each in wanted if serves(each, nodes)]
    task = (serving or wanted or leaving)[-1]
    restarts = sum(each["Status"]["State"] in _TRIED for each in tasks if each is not task)
    phase = _phase(task, restarts, leaving=not wanted, lost=is_lost(task, nodes))
    node = nodes.get(task.get("NodeID", ""), {})
    return ObservedInstance(
        name=instance_name(key, slot),
        phase=phase,
        ready=phase == InstancePhase.READY,
        revision=revision_of(task),
        address=_address(task, node, reached),
        worker=worker_name(node),
        restarts=restarts,
        started_at=moment(task["Status"].get("Timestamp")) if phase == InstancePhase.READY else None,
        message=_message(task, tasks, phase, nodes),
    )


def is_lost(task: Task, nodes: Mapping[str, Task]) -> bool:
    """Whether its machine is away or gone: what Swarm says of it is what was true before."""
    place = task.get("NodeID", "")
    return bool(place) and nodes.get(place, _GONE).get("Status", {}).get("State") == "down"


def serves(task: Task, nodes: Mapping[str, Task]) -> bool:
    """Whether it is wanted, runs (and is healthy), and can be reached."""
    state = task["Status"]["State"] == "running" and task["DesiredState"] in WANTED
    return state and not is_lost(task, nodes)


def _phase(task: Task, restarts: int, *, leaving: bool, lost: bool) -> InstancePhase:
    state = task["Status"]["State"]
    if leaving:
        return InstancePhase.STOPPING
    if lost and state not in ENDED:
        return InstancePhase.FAILED
    if state == "running":
        return InstancePhase.READY
    if state == "complete" and task["DesiredState"] == "complete":
        return InstancePhase.COMPLETED
    if state in _STARTING:
        return InstancePhase.CRASH_LOOP_BACK_OFF if restarts >= BACKING_OFF_AFTER else InstancePhase.STARTING
    return InstancePhase.FAILED


def _message(task: Task, tasks: Sequence[Task], phase: InstancePhase, nodes: Mapping[str, Task]) -> str:
    """Why it is not ready: its machine, its own error, or how the last try ended."""
    if phase in (InstancePhase.READY, InstancePhase.COMPLETED):
        return ""
    if phase == InstancePhase.FAILED and is_lost(task, nodes):
        return f"{_hostname(nodes.get(task['NodeID'], {})) or 'its machine'} is away"
    past = [error_in(each) for each in tasks if each is not task and error_in(each)]
    return error_in(task) or (f"last try: {past[-1]}" if past else "")


def error_in(task: Task) -> str:
    """Error of a task in Docker's words; empty when nothing did."""
    return str(task["Status"].get("Err", ""))


def error_of(tasks: Iterable[Task], revision: str) -> str:
    """The newest thing that went wrong with a copy of that revision."""
    own = [each for each in _by_age(list(tasks)) if revision_of(each) == revision and error_in(each)]
    return error_in(own[-1]) if own else ""


def revision_of(task: Task) -> str:
    """Revision of what the task runs."""
    return _label(task, REVISION)


def _label(task: Task, name: str) -> str:
    labels = task["Spec"].get("ContainerSpec", {}).get("Labels") or {}
    return str(labels.get(name, ""))


def _address(task: Task, node: Task, reached: Sequence[str]) -> str:
    """Its own in a network that leads to it; else its machine's with the published port; else any of its own."""
    attached = task.get("NetworksAttachments") or []
    own = {each["Network"]["Spec"]["Name"]: each.get("Addresses") or [] for each in attached}
    published = task["Status"].get("PortStatus", {}).get("Ports") or []
    host = node.get("Status", {}).get("Addr", "")
    best = [one for name in reached for one in own.get(name, ())]
    if not best and published and host:
        return f"{host}:{published[0]['PublishedPort']}"
    best = best or [one for addresses in own.values() for one in addresses]
    port = _label(task, PORT)
    return f"{best[0].partition('/')[0]}:{port}" if best and port else ""


def moment(text: str | None) -> datetime | None:
    """Docker writes nanoseconds, which Python does not read."""
    if not text:
        return None
    head, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(rest + '000000')[:6]}+00:00")
