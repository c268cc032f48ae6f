"""Plans what is to be written to a Swarm service, if anything, so that it becomes as desired. Pure.

A new revision that does not get Ready is rolled back by Swarm itself. So that nobody fights that, now or after a
restart of the conductor, the old spec is marked with the revision that is about to be tried, before it is tried:
Swarm restores the old spec with that mark. What is written after that (another number of copies) makes Swarm forget
that it rolled back, so it is written down with it. Changing a mark restarts no task.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.runtime.swarm.drift import differences
from controller.runtime.swarm.naming import (
    ADOPTED,
    ANY_REVISION,
    BECAUSE,
    CONTENT,
    FAILED,
    NOTES,
    RESUMED,
    REVISION,
    TRYING,
)
from controller.runtime.swarm.tasks import Task, error_of, moment, revision_of

Spec = Mapping[str, Any]
Service = Mapping[str, Any]
# Swarm rolls back to the spec that was written before the last one, whatever that was. So nothing but a new revision
# is written while another is rolled out, for as long as a rollout may reasonably take.
ROLLOUT_SECONDS = 60.0
_ROLLED_BACK = ("rollback_started", "rollback_completed", "rollback_paused")
_ENDED_BADLY = ("failed", "rejected", "orphaned")
# Copies that end with their machine are reported within that of each other.
_TOGETHER_SECONDS = 5.0
_LONGEST_REASON = 200


@dataclass(frozen=True)
class UpdatePlan:
    """`spec`: what to write, None for nothing; `changed`: which paths of it differ; `first`: what has to stand there
    before. `failed`: the revision that was rolled back, `because` of what. `resumed`: a stopped rollout goes on.
    """

    spec: Spec | None = None
    changed: tuple[str, ...] = ()
    first: Spec | None = None
    failed: str = ""
    because: str = ""
    postponed: bool = False
    resumed: bool = False


@dataclass(frozen=True)
class PlanContext:
    """`tasks`: of the service; `neighbours`: those of everything else that was seen, gathered only when asked for."""

    tasks: Sequence[Task]
    neighbours: Callable[[], Sequence[Task]]
    now: datetime


def plan_update(wanted: Spec, there: Service, around: PlanContext) -> UpdatePlan:
    """`wanted` is the whole spec, `there` the Swarm service as Docker tells it."""
    wanted = {**wanted, "Name": there["Spec"]["Name"]}  # which nobody can change
    if "ReplicatedJob" in wanted["Mode"]:
        return _about_a_job(wanted, there)
    revision, failed = wanted["Labels"][REVISION], rolled_back(there)
    if failed == revision and _state(there) == "rollback_started":
        return UpdatePlan(postponed=True)
    if failed == revision and not _was_a_machines_fault(failed, around):
        return _held(wanted, there, failed, around)
    if _is_adopted(there, revision):
        wanted = _with_what_is_there(wanted, there)
        wanted["Labels"] |= {ADOPTED: revision, REVISION: revision}
    changed = _changed(wanted, there)
    if _state(there) == "paused" and not changed and _was_a_machines_fault(revision, around):
        labels = {**wanted["Labels"], RESUMED: around.now.isoformat()}
        return UpdatePlan({**wanted, "Labels": labels}, ("UpdateStatus",), resumed=True)
    if not changed:
        return UpdatePlan()
    if _serves(there) == revision and _is_under_way(there, around.now) and not _is_urgent(changed):
        return UpdatePlan(postponed=True)
    if _serves(there) == revision:
        return UpdatePlan(wanted, changed)
    return UpdatePlan(wanted, changed, first=_marked(there, {TRYING: revision}), resumed=failed == revision)


def rolled_back(there: Service) -> str:
    """The revision that was tried last and did not get Ready; empty when that one stands."""
    marks = _marks(there)
    tried = marks.get(TRYING, "")
    if tried and tried != marks.get(REVISION) and _state(there) in _ROLLED_BACK:
        return tried
    return marks.get(FAILED, "")


def lasting_revisions(there: Service | None, revision: str) -> frozenset[str]:
    """Copies of these go on when `revision` is wanted; all others are replaced by it anyway."""
    if there is None:
        return frozenset()
    adopted, held = _is_adopted(there, revision), rolled_back(there) == revision
    return frozenset({revision, *([""] if adopted else ()), *([_serves(there)] if held else ())})


def _is_adopted(there: Service, revision: str) -> bool:
    """Whether that revision is what somebody else had made: the first one that was wanted of it."""
    return _marks(there).get(ADOPTED) in (revision, ANY_REVISION)


def _held(wanted: Spec, there: Service, failed: str, around: PlanContext) -> UpdatePlan:
    """What serves goes on as it is; in the number that is wanted, where it may."""
    because = _marks(there).get(BECAUSE) or error_of(around.tasks, failed)[:_LONGEST_REASON]
    spec = _with_what_is_there(wanted, there)
    spec["Labels"] |= {FAILED: failed, BECAUSE: because}
    changed = _changed(spec, there)
    return UpdatePlan(spec if changed else None, changed, failed=failed, because=because)


def _with_what_is_there(wanted: Spec, there: Service) -> dict[str, Any]:
    """As wished, but for what the copies run and are called."""
    placement = {**(there["Spec"]["TaskTemplate"].get("Placement") or {}), **wanted["TaskTemplate"]["Placement"]}
    template = {**there["Spec"]["TaskTemplate"], "Placement": placement}
    lasting = {name: value for name, value in _marks(there).items() if name not in NOTES}
    ours = {name: value for name, value in wanted["Labels"].items() if name not in (REVISION, CONTENT)}
    kept = {name: there["Spec"][name] for name in ("UpdateConfig", "EndpointSpec") if name in there["Spec"]}
    return {**wanted, **kept, "TaskTemplate": template, "Labels": {**lasting, **ours}}


def _about_a_job(wanted: Spec, there: Service) -> UpdatePlan:
    """It runs again whenever anything of it is written, so only another revision is worth that."""
    if _serves(there) == wanted["Labels"][REVISION]:
        return UpdatePlan()
    return UpdatePlan(wanted, tuple(differences(wanted, there["Spec"])))


def _changed(wanted: Spec, there: Service) -> tuple[str, ...]:
    """A mark that is not wanted any more is a difference too: what failed may be tried again after something else."""
    stale = [f"Labels.{name}" for name in NOTES if name in _marks(there) and name not in wanted["Labels"]]
    return (*differences(wanted, there["Spec"]), *stale)


def _was_a_machines_fault(revision: str, around: PlanContext) -> bool:
    """Whether every copy of that revision that failed did so together with all that ran on its machine.

    A machine that restarts too quickly to be missed leaves no other trace: nodes are written for other reasons too.
    """
    failures = [each for each in around.tasks if revision_of(each) == revision and _ended_badly(each)]
    if not failures:
        return False
    others = [*around.neighbours(), *(each for each in around.tasks if revision_of(each) != revision)]
    return all(_ended_with_its_machine(each, others) for each in failures)


def _ended_with_its_machine(failure: Task, others: Sequence[Task]) -> bool:
    at = moment(failure["Status"].get("Timestamp"))
    here = [(moment(each["Status"].get("Timestamp")), each) for each in others if _are_together(each, failure)]
    if at is None or any(each["Status"]["State"] == "running" and since and since < at for since, each in here):
        return False
    ended = [since for since, each in here if since and _ended_badly(each)]
    return any(abs((since - at).total_seconds()) <= _TOGETHER_SECONDS for since in ended)


def _are_together(one: Task, other: Task) -> bool:
    return bool(one.get("NodeID")) and one.get("NodeID") == other.get("NodeID")


def _ended_badly(task: Task) -> bool:
    return task["Status"]["State"] in _ENDED_BADLY


def _is_under_way(there: Service, now: datetime) -> bool:
    update = there.get("UpdateStatus") or {}
    began = moment(update.get("StartedAt"))
    recent = began is not None and (now - began).total_seconds() < ROLLOUT_SECONDS
    return recent and update.get("State") in ("updating", "rollback_started")


def _is_urgent(changed: Collection[str]) -> bool:
    """Whether what the copies run is another thing than was wished: somebody changed it by hand."""
    return any(each.startswith("TaskTemplate") and not each.startswith("TaskTemplate.Placement") for each in changed)


def _marked(there: Service, marks: Mapping[str, str]) -> Spec:
    kept = {name: value for name, value in _marks(there).items() if name not in NOTES}
    return {**there["Spec"], "Labels": {**kept, **marks}}


def _marks(there: Service) -> dict[str, str]:
    return dict(there["Spec"].get("Labels") or {})


def _serves(there: Service) -> str:
    return _marks(there).get(REVISION, "")


def _state(there: Service) -> str:
    return str((there.get("UpdateStatus") or {}).get("State", ""))
