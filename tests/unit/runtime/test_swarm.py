"""What the swarm driver decides, without a Swarm: differences, moves, wedges, rollbacks, addresses, wishes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.driver import DriverError, File, RolloutPolicy
from controller.runtime.swarm import naming
from controller.runtime.swarm.dependencies import _readers, avoided_nodes
from controller.runtime.swarm.drift import differences
from controller.runtime.swarm.event_diff import EventDiffer
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.service_spec import SpecDependencies, service_spec
from controller.runtime.swarm.snapshot import SwarmSnapshot
from controller.runtime.swarm.stuck_tasks import stuck_task
from controller.runtime.swarm.tasks import instances
from crds.engines import ENGINES

from .swarms import KEY, NODES, NOW, SERVICE, look, task, workload


def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), deeper))
def test_nothing_differs_from_itself(spec: Any) -> None:
    assert differences({"a": spec}, {"a": spec, "filled in by Docker": 1}) == []


def test_a_difference_is_named_by_its_path_and_an_empty_value_is_none() -> None:
    assert differences({"A": {"B": [{"C": 1}], "D": ""}}, {"A": {"B": [{"C": 2}]}}) == ["A.B[0].C"]
    assert differences({"Env": ["A=1"]}, {"Env": ["A=1", "B=2"]}) == ["Env"]


def test_what_hangs_is_found_after_its_limit_and_only_on_machines_that_live() -> None:
    hanging = task(1, state="assigned")
    assert stuck_task([hanging], NODES, NOW + timedelta(seconds=29)) is None
    assert stuck_task([hanging], NODES, NOW + timedelta(seconds=31)) == (hanging, 31.0)
    assert stuck_task([task(1, state="preparing")], NODES, NOW + timedelta(seconds=31)) is None
    assert stuck_task([task(1, state="pending")], NODES, NOW + timedelta(days=1)) is None
    down = {"n1": {**NODES["n1"], "Status": {"State": "down"}}}
    assert stuck_task([hanging], down, NOW + timedelta(days=1)) is None
    assert stuck_task([task(1, state="ready", desired="ready")], NODES, NOW + timedelta(days=1)) is None


def test_a_copy_may_take_the_time_its_health_check_grants() -> None:
    slow = task(1, state="starting")
    check = {"StartPeriod": 300 * 10**9, "Retries": 3, "Interval": 10**9, "Timeout": 10**9}
    slow["Spec"]["ContainerSpec"]["Healthcheck"] = check
    assert stuck_task([slow], NODES, NOW + timedelta(seconds=360)) is None
    assert stuck_task([slow], NODES, NOW + timedelta(seconds=370)) is not None


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


def test_one_that_died_and_is_back_between_two_looks_is_told_as_both() -> None:
    teller = EventDiffer()
    assert list(teller.events(look(task(1, id="a")), NOW)) == []
    dead = task(1, id="a", state="failed", desired="shutdown", error="task: non-zero exit (137)")
    back = task(1, id="b", since="2026-01-01T00:00:00.7Z", created="2026-01-01T00:00:00.1Z")
    told = [(each.reason, each.message) for each in teller.events(look(dead, back), NOW + timedelta(seconds=5))]
    assert told == [
        ("TaskFailed", "web-1: task: non-zero exit (137)"),
        ("Recovered", "web-1 serves again after 0.70 s, on node-1"),
    ]


def test_an_outage_is_told_with_its_length() -> None:
    teller = EventDiffer()
    list(teller.events(look(task(1, id="a")), NOW))
    list(teller.events(look(task(1, id="b", state="starting")), NOW + timedelta(seconds=1)))
    (back,) = teller.events(look(task(1, id="b", since="2026-01-01T00:00:02.5Z")), NOW + timedelta(seconds=9))
    assert (back.reason, back.message) == ("Recovered", "web-1 serves again after 1.50 s, on node-1")


def test_a_rollout_is_no_recovery() -> None:
    teller = EventDiffer()
    list(teller.events(look(task(1, id="a")), NOW))
    list(teller.events(look(task(1, id="b", state="starting", revision="two")), NOW))
    (back,) = teller.events(look(task(1, id="b", revision="two")), NOW)
    assert (back.reason, back.message) == ("Ready", "web-1 is ready on node-1")


def test_a_copy_on_a_machine_that_is_away_does_not_serve() -> None:
    seen = SwarmSnapshot(
        {KEY: SERVICE}, {KEY: [task(1)]}, {**NODES, "n1": {**NODES["n1"], "Status": {"State": "down"}}}
    )
    (one,) = seen.instances(KEY)
    assert (one.phase, one.ready, one.message) == ("Failed", False, "node-1 is away")
    assert not seen.is_stable(KEY, workload(replicas=1))


def test_what_a_machine_that_is_away_leaves_behind_is_waited_for_by_nobody() -> None:
    nodes = {**NODES, "n1": {**NODES["n1"], "Status": {"State": "down"}}}
    tasks = [task(1, "n2", id="new"), task(1, "n1", id="old", desired="shutdown", created="2025-12-31T00:00:00Z")]
    seen = SwarmSnapshot({KEY: SERVICE}, {KEY: tasks}, nodes)
    assert seen.is_stable(KEY, workload(replicas=1))
    assert not SwarmSnapshot(tasks={KEY: tasks[1:]}, nodes=nodes).has_live_tasks(KEY)


def test_a_job_is_seen_by_its_last_run() -> None:
    job = {**SERVICE, "JobStatus": {"JobIteration": {"Index": 1}}}
    first, second = (
        task(n, state="complete", desired="complete", JobIteration={"Index": i}) for n, i in ((1, 0), (0, 1))
    )
    assert [each.name for each in SwarmSnapshot({KEY: job}, {KEY: [first, second]}, NODES).instances(KEY)] == [
        "web-0"
    ]


def test_a_copy_may_stay_where_no_new_one_may_come() -> None:
    away = workload(workers=("node-2", "node-3"))
    assert avoided_nodes(away, look(task(1, "n1"), task(2, "n2"))) == []
    assert avoided_nodes(away, look(task(1, "n1", revision="before"))) == ["n1"]  # it is replaced anyway
    assert avoided_nodes(away, look(task(1, "n1", state="starting"))) == ["n1"]
    assert avoided_nodes(workload(), look(task(1, "n1"))) == []
    with pytest.raises(DriverError, match="its nodes are node-1, node-2, node-3"):
        avoided_nodes(workload(workers=("oak",)), look(task(1, "n1", revision="before")))


def test_at_rest_means_nothing_is_on_its_way() -> None:
    wanted = workload(replicas=1)
    assert look(task(1)).is_stable(KEY, wanted)
    assert not look(task(1), task(2)).is_stable(KEY, wanted)
    assert not look(task(1, state="starting")).is_stable(KEY, wanted)
    assert not look(task(1), task(2, desired="shutdown")).is_stable(KEY, wanted)
    assert not SwarmSnapshot(nodes=NODES).is_stable(KEY, wanted)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        ("replicated", {"Replicated": {"Replicas": 2}}),
        ("daemon", {"Global": {}}),
        ("job", {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 2}}),
    ],
)
def test_a_wish_says_how_many(mode: Any, shape: dict[str, Any]) -> None:
    made = service_spec(Cloud(), workload(mode=mode), SpecDependencies())
    assert made["Mode"] == shape
    assert ("UpdateConfig" in made) is (mode != "job")


def test_a_wish_is_part_of_the_stack_and_says_how_it_is_updated() -> None:
    made = service_spec(
        Cloud(stack="aerekos"), workload(update=RolloutPolicy("start-first", "rollback", 2)), SpecDependencies()
    )
    assert made["Labels"][naming.STACK] == "aerekos"
    assert made["UpdateConfig"] == {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 2_000_000_000,
                                    "MaxFailureRatio": 0, "Order": "start-first"}  # fmt: skip
    assert naming.STACK not in service_spec(Cloud(), workload(), SpecDependencies())["Labels"]


def test_an_engine_has_a_user_of_its_own_its_own_signal_and_time_to_recover() -> None:
    engine = ENGINES["postgresql"]
    wish = replace(
        workload(),
        account=engine.account,
        stop_signal=engine.stop,
        start_seconds=engine.start_seconds,
        probes=engine.probes,
    )
    spec = service_spec(Cloud("aerekos"), wish, SpecDependencies())["TaskTemplate"]["ContainerSpec"]
    assert (spec["User"], spec["ReadOnly"], spec["CapabilityDrop"]) == ("10002:10002", True, ["ALL"])
    assert spec["StopSignal"] == "SIGINT" and spec["Healthcheck"]["StartPeriod"] == 3600 * 10**9
    assert {"Type": "tmpfs", "Target": "/tmp"} in spec["Mounts"]
    secret = _readers(wish, File("/secrets/superuser", b"x", secret=True))
    assert secret == {"UID": "10002", "GID": "10002", "Mode": 0o400}
    plain = service_spec(Cloud("aerekos"), workload(), SpecDependencies())["TaskTemplate"]["ContainerSpec"]
    assert "StopSignal" not in plain and "User" not in plain, "what was there before is not restarted by an update"
