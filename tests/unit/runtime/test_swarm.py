"""What the swarm driver decides, without a Swarm: differences, moves, wedges, rollbacks, addresses, wishes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.driver import Update, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.drifting import differences
from controller.runtime.swarm.looking import Look, Teller
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.rebalancing import ready_nodes, wants_a_move
from controller.runtime.swarm.seeing import instances
from controller.runtime.swarm.settling import rolled_back
from controller.runtime.swarm.wedging import wedged
from controller.runtime.swarm.wishing import Surroundings, wish
from crds.meta import ObjectKey

KEY = ObjectKey("aerekos.cloud", "services", "default", "web")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY: dict[str, Any] = {"Status": {"State": "ready"}, "Spec": {"Availability": "active"}}
NODES = {f"n{n}": {"ID": f"n{n}", "Description": {"Hostname": f"node-{n}"}, **READY} for n in (1, 2, 3)}


def task(
    slot: int, node: str = "n1", state: str = "running", desired: str = "running", **more: Any
) -> dict[str, Any]:
    at = f"{NOW.isoformat().removesuffix('+00:00')}Z"
    labels = {
        naming.NAME: "web",
        naming.NAMESPACE: "default",
        naming.REVISION: more.pop("revision", "one"),
        naming.PORT: "80",
    }
    status = {
        "State": state,
        "Timestamp": more.pop("since", at),
        **({"Err": more.pop("error")} if "error" in more else {}),
    }
    made = {
        "ID": more.pop("id", f"{slot}-{node}-{state}"),
        "Slot": slot,
        "NodeID": node,
        "DesiredState": desired,
        "CreatedAt": more.pop("created", at),
        "Status": status,
        "Spec": {"ContainerSpec": {"Labels": labels}},
    }
    return {**made, **more}


def workload(**more: Any) -> Workload:
    return Workload(KEY, "uid", "one", more.pop("replicas", 2), image="x:1", **more)


def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), deeper))
def test_nothing_differs_from_itself(spec: Any) -> None:
    assert differences({"a": spec}, {"a": spec, "filled in by Docker": 1}) == []


def test_a_difference_is_named_by_its_path_and_an_empty_value_is_none() -> None:
    assert differences({"A": {"B": [{"C": 1}], "D": ""}}, {"A": {"B": [{"C": 2}]}}) == ["A.B[0].C"]
    assert differences({"Env": ["A=1"]}, {"Env": ["A=1", "B=2"]}) == ["Env"]


@pytest.mark.parametrize(
    ("spread", "moves"),
    [(["n1", "n1", "n2"], True), (["n1", "n2", "n3"], False), (["n1", "n2", "n2"], True), (["n1", "n1", "n1"], True)],
)
def test_a_copy_moves_when_a_machine_has_two_fewer(spread: list[str], moves: bool) -> None:
    tasks = [task(slot, node) for slot, node in enumerate(spread, 1)]
    assert wants_a_move(tasks, {"n1", "n2", "n3"}, 3) is moves


def test_a_move_is_no_cure() -> None:
    crowded = [task(1), task(2), task(3, state="starting")]
    assert not wants_a_move(crowded, {"n1", "n2"}, 3)
    assert not wants_a_move([task(1), task(2)], {"n1", "n2"}, 3)
    assert not wants_a_move([task(1), task(2)], set(), 2)


def test_a_machine_gets_work_when_it_has_been_ready_for_a_while() -> None:
    nodes = {**NODES, "n4": {**NODES["n1"], "Spec": {"Availability": "drain"}}}
    since = {"n1": 0.0, "n2": 96.0, "n3": 94.9, "n4": 0.0}
    assert ready_nodes(nodes, since, 100.0) == {"n1", "n3"}


def test_what_hangs_is_found_after_its_limit_and_only_on_machines_that_live() -> None:
    hanging = task(1, state="assigned")
    assert wedged([hanging], NODES, NOW + timedelta(seconds=29)) is None
    assert wedged([hanging], NODES, NOW + timedelta(seconds=31)) == (hanging, 31.0)
    assert wedged([task(1, state="preparing")], NODES, NOW + timedelta(seconds=31)) is None
    assert wedged([task(1, state="pending")], NODES, NOW + timedelta(days=1)) is None
    down = {"n1": {**NODES["n1"], "Status": {"State": "down"}}}
    assert wedged([hanging], down, NOW + timedelta(days=1)) is None
    assert wedged([task(1, state="ready", desired="ready")], NODES, NOW + timedelta(days=1)) is None


def test_a_rollback_is_known_by_the_mark_it_left() -> None:
    spec = {"Labels": {naming.REVISION: "one", naming.TRYING: "two"}}
    assert rolled_back({"Spec": spec, "UpdateStatus": {"State": "rollback_completed"}}) == "two"
    assert rolled_back({"Spec": spec, "UpdateStatus": {"State": "updating"}}) == ""
    assert rolled_back({"Spec": {"Labels": {naming.REVISION: "two", naming.TRYING: "two"}},
                        "UpdateStatus": {"State": "rollback_completed"}}) == ""  # fmt: skip
    assert rolled_back({"Spec": {}}) == ""


def test_the_old_copy_serves_until_the_new_one_runs() -> None:
    both = [task(1, id="old"), task(1, id="new", state="starting", revision="two", created="2026-01-02T00:00:00Z")]
    (seen,) = instances(KEY, both, NODES)
    assert (seen.ready, seen.revision) == (True, "one")
    both[1]["Status"]["State"] = "running"
    (seen,) = instances(KEY, both, NODES)
    assert (seen.ready, seen.revision) == (True, "two")


def test_the_address_is_one_the_conductor_reaches() -> None:
    attached = [{"Network": {"Spec": {"Name": name}}, "Addresses": [f"10.0.{n}.5/24"]}
                for n, name in enumerate(("aerekos_payments", "aerekos_control"))]  # fmt: skip
    one = task(1, NetworksAttachments=attached)
    assert instances(KEY, [one], NODES, ("aerekos_control",))[0].address == "10.0.1.5:80"
    assert instances(KEY, [one], NODES)[0].address == "10.0.0.5:80"
    one["Status"]["PortStatus"] = {"Ports": [{"PublishedPort": 8080}]}
    nodes = {"n1": {**NODES["n1"], "Status": {"State": "ready", "Addr": "192.0.2.1"}}}
    assert instances(KEY, [one], nodes)[0].address == "192.0.2.1:8080"


def test_a_machine_that_just_joins_has_no_name_yet() -> None:
    assert instances(KEY, [task(1)], {"n1": {"ID": "n1", "Status": {"State": "unknown"}}})[0].worker == ""


def look(*tasks: dict[str, Any]) -> Look:
    labels = naming.labels(Cloud(), KEY, "uid")
    service = {"ID": "s", "Spec": {"Labels": labels, "Mode": {"Replicated": {"Replicas": 1}}}}
    return Look({KEY: service}, {KEY: tasks}, NODES)


def test_one_that_died_and_is_back_between_two_looks_is_told_as_both() -> None:
    teller = Teller()
    assert list(teller.news(look(task(1, id="a")), 1.0)) == []
    dead = task(1, id="a", state="failed", desired="shutdown", error="task: non-zero exit (137)")
    told = [
        (each.reason, each.message)
        for each in teller.news(look(dead, task(1, id="b", created="2026-01-02T00:00:00Z")), 2.0)
    ]
    assert told == [
        ("Died", "web-1: task: non-zero exit (137)"),
        ("Recovered", "web-1 serves again before anybody looked, on node-1"),
    ]


def test_an_outage_is_told_with_its_length() -> None:
    teller = Teller()
    list(teller.news(look(task(1, id="a")), 1.0))
    list(teller.news(look(task(1, id="b", state="starting")), 2.0))
    (back,) = teller.news(look(task(1, id="b")), 3.5)
    assert (back.reason, back.message) == ("Recovered", "web-1 serves again after 1.50 s, on node-1")


def test_at_rest_means_nothing_is_on_its_way() -> None:
    wanted = workload(replicas=1)
    assert look(task(1)).is_at_rest(KEY, wanted)
    assert not look(task(1), task(2)).is_at_rest(KEY, wanted)
    assert not look(task(1, state="starting")).is_at_rest(KEY, wanted)
    assert not look(task(1), task(2, desired="shutdown")).is_at_rest(KEY, wanted)
    assert not Look(nodes=NODES).is_at_rest(KEY, wanted)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        ("replicated", {"Replicated": {"Replicas": 2}}),
        ("daemon", {"Global": {}}),
        ("job", {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 2}}),
    ],
)
def test_a_wish_says_how_many(mode: Any, shape: dict[str, Any]) -> None:
    made = wish(Cloud(), workload(mode=mode), Surroundings())
    assert made["Mode"] == shape
    assert ("UpdateConfig" in made) is (mode != "job")


def test_a_wish_is_part_of_the_stack_and_says_how_it_is_updated() -> None:
    made = wish(Cloud(stack="aerekos"), workload(update=Update("start-first", "rollback", 2)), Surroundings())
    assert made["Labels"][naming.STACK] == "aerekos"
    assert made["UpdateConfig"] == {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 2_000_000_000,
                                    "MaxFailureRatio": 0, "Order": "start-first"}  # fmt: skip
    assert naming.STACK not in wish(Cloud(), workload(), Surroundings())["Labels"]
