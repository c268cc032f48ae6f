"""What is written to a Swarm service: rollouts are marked and left alone, failures not repeated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.runtime.driver import Workload
from controller.runtime.swarm.naming import ADOPTED, BECAUSE, FAILED, MOVING, REVISION, TRYING, Cloud
from controller.runtime.swarm.service_spec import SpecDependencies, service_spec
from controller.runtime.swarm.update_plan import PlanContext, plan_update, rolled_back

from .swarms import KEY, NOW, task

BEGAN = {"StartedAt": "2026-01-01T00:00:00Z"}


def wanted(revision: str = "one", *, replicas: int = 2, avoid: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    one = Workload(KEY, "uid", revision, replicas, image=f"x:{revision}", **more)
    return service_spec(Cloud(), one, SpecDependencies(avoid=avoid))


def there(spec: dict[str, Any], state: str = "", **marks: str) -> dict[str, Any]:
    labels = {**spec["Labels"], **marks}
    update = {"UpdateStatus": {"State": state, **BEGAN}} if state else {}
    return {"ID": "s", "Version": {"Index": 1}, "Spec": {**spec, "Labels": labels}, **update}


def around(*tasks: dict[str, Any], seconds: float = 10.0, neighbours: tuple[dict[str, Any], ...] = ()) -> PlanContext:
    return PlanContext(tasks, lambda: neighbours, NOW + timedelta(seconds=seconds))


DEAD = task(1, state="failed", desired="shutdown", error="task: non-zero exit (3)", revision="two")
ENDED_TOO = task(9, state="failed", desired="shutdown", since="2026-01-01T00:00:01.5Z")


def test_what_is_as_wished_costs_nothing() -> None:
    assert plan_update(wanted(), there(wanted()), around()).spec is None


def test_the_old_spec_is_marked_before_another_is_tried() -> None:
    decision = plan_update(wanted("two"), there(wanted()), around())
    assert decision.first is not None and decision.spec is not None
    assert (decision.first["Labels"][TRYING], decision.first["Labels"][REVISION]) == ("two", "one")
    assert TRYING not in decision.spec["Labels"]
    assert decision.first["TaskTemplate"] == wanted()["TaskTemplate"]


@pytest.mark.parametrize("state", ["rollback_completed", "rollback_paused"])
def test_a_revision_that_was_rolled_back_is_written_down_with_its_last_words(state: str) -> None:
    decision = plan_update(wanted("two"), there(wanted(), state, **{TRYING: "two"}), around(DEAD))
    assert (decision.failed, decision.because) == ("two", "task: non-zero exit (3)")
    assert decision.spec is not None and decision.first is None
    assert decision.spec["TaskTemplate"] == wanted()["TaskTemplate"]
    labels = decision.spec["Labels"]
    assert (labels[FAILED], labels[REVISION]) == ("two", "one") and TRYING not in labels


def test_while_swarm_rolls_back_nobody_interferes() -> None:
    assert plan_update(wanted("two"), there(wanted(), "rollback_started", **{TRYING: "two"}), around(DEAD)).postponed


def test_what_failed_is_not_tried_again_but_what_serves_is_scaled_and_placed() -> None:
    held = there(wanted(), **{FAILED: "two", BECAUSE: "it said so"})
    assert plan_update(wanted("two"), held, around()).spec is None
    decision = plan_update(wanted("two", replicas=3, avoid=("n9",)), held, around())
    assert decision.spec is not None and (decision.failed, decision.because) == ("two", "it said so")
    assert decision.spec["Mode"] == {"Replicated": {"Replicas": 3}}
    assert decision.spec["TaskTemplate"]["Placement"] == {"Constraints": ["node.id!=n9"]}
    assert decision.spec["TaskTemplate"]["ContainerSpec"]["Image"] == "x:one"
    assert decision.spec["Labels"][FAILED] == "two"


def test_another_revision_is_tried_and_the_way_back_may_be_tried_again_later() -> None:
    held = there(wanted(), **{FAILED: "two", BECAUSE: "x"})
    third = plan_update(wanted("three"), held, around())
    assert third.spec is not None and FAILED not in third.spec["Labels"]
    assert third.first is not None and FAILED not in third.first["Labels"]
    undone = plan_update(wanted(), held, around())
    assert undone.spec is not None and FAILED not in undone.spec["Labels"] and undone.first is None


def test_a_rollout_is_not_disturbed_by_less_than_another_revision() -> None:
    rolling = there(wanted("two"), "updating")
    assert plan_update(wanted("two", replicas=5), rolling, around()).postponed
    assert plan_update(wanted("two", avoid=("n9",)), rolling, around()).postponed
    assert plan_update(wanted("three"), rolling, around()).spec is not None
    assert plan_update(wanted("two", replicas=5), rolling, around(seconds=61)).spec is not None
    by_hand = wanted("two")
    by_hand["TaskTemplate"] = {**by_hand["TaskTemplate"], "ContainerSpec": {"Image": "stranger:1"}}
    assert plan_update(wanted("two"), there(by_hand, "updating"), around()).spec is not None


def test_an_update_that_stopped_because_of_a_machine_goes_on() -> None:
    paused = there(wanted("two"), "paused")
    assert plan_update(wanted("two"), paused, around(DEAD)).spec is None
    decision = plan_update(wanted("two"), paused, around(DEAD, neighbours=(ENDED_TOO,)))
    assert decision.resumed and decision.spec is not None
    rolled = there(wanted(), "rollback_completed", **{TRYING: "two"})
    again = plan_update(wanted("two"), rolled, around(DEAD, neighbours=(ENDED_TOO,)))
    assert again.resumed and not again.failed and again.first is not None


@pytest.mark.parametrize(
    "neighbours",
    [
        (),
        (ENDED_TOO, task(8, since="2025-12-31T23:00:00Z")),
        (task(9, "n2", state="failed", desired="shutdown"),),
        (task(9, state="failed", desired="shutdown", since="2026-01-01T00:00:20Z"),),
    ],
    ids=["alone", "one-runs-on", "elsewhere", "later"],
)
def test_a_copy_that_fails_without_its_machine_has_failed_by_itself(neighbours: tuple[dict[str, Any], ...]) -> None:
    seen = around(DEAD, neighbours=neighbours)
    assert plan_update(wanted("two"), there(wanted("two"), "paused"), seen).spec is None
    assert plan_update(wanted("two"), there(wanted(), "rollback_completed", **{TRYING: "two"}), seen).failed == "two"


def test_a_job_runs_again_only_for_another_revision() -> None:
    done = there(wanted(mode="job"))
    assert plan_update(wanted(mode="job", avoid=("n9",)), done, around()).spec is None
    again = plan_update(wanted("two", mode="job"), done, around())
    assert again.spec is not None and again.first is None


def test_what_was_adopted_goes_on_as_it_was_until_another_revision_is_wanted() -> None:
    foreign = wanted()
    foreign = {**foreign, "Name": "shop", "TaskTemplate": {"ContainerSpec": {"Image": "shop:1"}, "Placement": {}}}
    adopted = there(foreign, **{ADOPTED: "one"})
    assert plan_update(wanted(), adopted, around()).spec is None
    scaled = plan_update(wanted(replicas=4), adopted, around())
    assert scaled.spec is not None and scaled.spec["TaskTemplate"]["ContainerSpec"]["Image"] == "shop:1"
    changed = plan_update(wanted("two"), adopted, around())
    assert changed.spec is not None
    assert (changed.spec["Name"], changed.spec["TaskTemplate"]["ContainerSpec"]["Image"]) == ("shop", "x:two")


def test_a_move_that_is_over_is_taken_off() -> None:
    decision = plan_update(wanted(), there(wanted(), **{MOVING: "one-more@1"}), around())
    assert decision.changed == (f"Labels.{MOVING}",)


def test_a_rollback_is_known_by_the_mark_it_left() -> None:
    spec = {"Labels": {REVISION: "one", TRYING: "two"}}
    assert rolled_back({"Spec": spec, "UpdateStatus": {"State": "rollback_completed"}}) == "two"
    assert rolled_back({"Spec": spec, "UpdateStatus": {"State": "updating"}}) == ""
    stands = {"Labels": {REVISION: "two", TRYING: "two"}}
    assert rolled_back({"Spec": stands, "UpdateStatus": {"State": "rollback_completed"}}) == ""
    assert rolled_back({"Spec": {"Labels": {FAILED: "two"}}}) == "two"
    assert rolled_back({"Spec": {}}) == ""
