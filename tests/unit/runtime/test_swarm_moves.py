"""Moves: work for machines that have little, and never fewer copies than before."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.driver import RolloutPolicy, Volume
from controller.runtime.swarm.naming import MOVING, Cloud
from controller.runtime.swarm.node_readiness import NodeReadiness
from controller.runtime.swarm.rebalancing import Move, is_hopeless, is_over, moved, next_move
from controller.runtime.swarm.service_spec import SpecDependencies, service_spec

from .swarms import NODES, NOW, task, workload

EVERYWHERE = set(NODES)
GENTLY = RolloutPolicy(order="start-first")


def copies(*places: str) -> list[dict[str, Any]]:
    return [task(slot, node) for slot, node in enumerate(places, 1)]


def move(tasks: list[dict[str, Any]], load: dict[str, int] | None = None, **more: Any) -> Move | None:
    made = workload(replicas=more.pop("replicas", len(tasks)), **more)
    return next_move(made, tasks, NODES, EVERYWHERE, Counter(load or {}), NOW)


@pytest.mark.parametrize(
    ("spread", "moves"),
    [(["n1", "n1", "n2"], True), (["n1", "n2", "n3"], False), (["n1", "n2", "n2"], True), (["n1", "n1", "n1"], True)],
)
def test_a_copy_moves_when_a_machine_has_two_fewer(spread: list[str], moves: bool) -> None:
    assert (move(copies(*spread)) is not None) is moves


def test_a_move_is_no_cure() -> None:
    assert move([*copies("n1", "n1"), task(3, state="starting")], replicas=3) is None
    assert move(copies("n1", "n1"), replicas=3) is None
    assert next_move(workload(replicas=2), copies("n1", "n1"), NODES, set(), Counter(), NOW) is None
    assert move(copies("n1", "n1"), volumes=(Volume("data", "/data"),)) is None


def test_one_that_is_alone_leaves_a_machine_with_twice_as_much_to_do() -> None:
    load = {"n1": 4, "n2": 4, "n3": 1}
    found = move(copies("n1"), load, update=GENTLY)
    assert found is not None and found.away == "n1"
    assert move(copies("n1"), load) is None  # two of them may not run at once
    assert move(copies("n1"), {"n1": 4, "n2": 4, "n3": 3}, update=GENTLY) is None
    assert move(copies("n3"), load, update=GENTLY) is None


@given(st.lists(st.sampled_from(["n1", "n2", "n3"]), min_size=1, max_size=12))
def test_moving_ones_that_are_alone_comes_to_an_end(places: list[str]) -> None:
    load = Counter(places)
    for _ in range(20):
        found = next((m for node in places if (m := move(copies(node), load, update=GENTLY))), None)
        if found is None:
            break
        to = min(EVERYWHERE, key=lambda node: load[node])
        places[places.index(found.away)] = to
        load = Counter(places)
    else:
        raise AssertionError(f"still moving: {load}")


def test_a_move_is_written_on_the_service_and_read_back() -> None:
    plain = service_spec(Cloud(), workload(replicas=2), SpecDependencies(avoid=("n9",)))
    more, away = Move("", 7), Move("n1", 7)
    assert moved(plain, more)["Mode"] == {"Replicated": {"Replicas": 3}}
    assert moved(plain, away)["TaskTemplate"]["Placement"]["Constraints"] == ["node.id!=n1", "node.id!=n9"]
    assert moved(plain, away)["Mode"] == plain["Mode"] and moved(plain, None) is plain
    for each in (more, away):
        assert Move.read(moved(plain, each)["Labels"]) == each
    assert Move.read({MOVING: "nonsense"}) is None and Move.read({}) is None


def test_a_move_is_over_when_the_copy_has_arrived_and_serves() -> None:
    more, away, two = Move("", 0), Move("n1", 0), workload(replicas=2)
    assert not is_over(more, two, copies("n1", "n1"), NODES)
    assert not is_over(more, two, [*copies("n1", "n1"), task(3, "n2", state="starting")], NODES)
    assert is_over(more, two, copies("n1", "n1", "n2"), NODES)
    one = workload(replicas=1)
    assert not is_over(away, one, copies("n1"), NODES)
    assert not is_over(away, one, [*copies("n1"), task(1, "n2", state="starting")], NODES)
    assert is_over(away, one, copies("n2"), NODES)


def test_a_move_that_finds_no_place_is_given_up() -> None:
    began = Move("", int(NOW.timestamp()))
    waiting = [*copies("n1", "n1"), task(3, "", state="pending")]
    assert not is_hopeless(began, workload(), waiting, NOW + timedelta(seconds=100))
    assert is_hopeless(began, workload(), waiting, NOW + timedelta(seconds=130))
    assert not is_hopeless(began, workload(), copies("n1", "n1", "n2"), NOW + timedelta(seconds=130))


def test_a_machine_gets_work_when_it_has_been_ready_for_a_while() -> None:
    down = {**NODES["n1"], "Status": {"State": "down"}}
    drained = {**NODES["n1"], "Spec": {"Availability": "drain"}}
    readiness = NodeReadiness()
    assert readiness.seconds_until_settled(0.0) == float("inf") and not readiness.settled(NODES, 0.0)
    readiness.observe({"old": NODES["n1"], "away": down, "drained": drained}, 10.0)
    assert (
        not readiness.settled({"old": NODES["n1"], "drained": drained}, 14.9)
        and readiness.seconds_until_settled(14.0) == 1.0
    )
    assert readiness.settled({"old": NODES["n1"], "drained": drained}, 15.0) == {"old"}
    back = {"old": NODES["n1"], "away": NODES["n2"], "new": NODES["n3"]}
    readiness.observe(back, 20.0)
    assert readiness.settled(back, 24.0) == {"old"} and readiness.seconds_until_settled(24.0) == 1.0
    assert readiness.settled(back, 25.0) == {"old", "away", "new"} and readiness.seconds_until_settled(25.0) == float(
        "inf"
    )
    readiness.observe({**back, "away": down}, 30.0)
    readiness.observe(back, 31.0)
    assert readiness.settled(back, 32.0) == {"old", "new"}
