"""The plan is pure: it converges, keeps its bounds, and never takes a second one down for a rollout."""

import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from bottles import KEY

from controller.runtime.driver import ObservedInstance, Workload
from controller.runtime.process.planning import StartInstance, StopInstance, instance_name, key_of, plan

WANTED = Workload(KEY, "uid", "new", 3, command=("serve",))


def an(index, phase="Ready", revision="new"):
    return ObservedInstance(f"web-{index}", phase, phase == "Ready", revision)


phases = st.sampled_from(["Starting", "Running", "Ready", "CrashLoopBackOff", "Stopping"])
worlds = st.dictionaries(
    st.integers(0, 6), st.tuples(phases, st.sampled_from(["old", "older", "new"])), max_size=7
).map(lambda found: [an(index, *rest) for index, rest in sorted(found.items())])
wishes = st.integers(0, 6).map(lambda count: replace(WANTED, replicas=count))


def test_a_namespace_is_part_of_the_name():
    assert instance_name(KEY._replace(namespace="home"), 2) == "home.web-2"


labels = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(labels, labels | st.just("default"), st.integers(0, 99))
def test_the_service_is_known_by_the_name_of_its_instance(name, namespace, index):
    key = KEY._replace(namespace=namespace, name=name)
    assert key_of(instance_name(key, index)) == key


def test_the_surplus_goes_highest_first():
    steps = plan(replace(WANTED, replicas=1), [an(0), an(2), an(10)])
    assert steps == [StopInstance("web-10", "scaled down"), StopInstance("web-2", "scaled down")]


def test_a_converged_world_needs_nothing():
    assert plan(WANTED, [an(0), an(1), an(2)]) == []


@given(wishes, worlds)
def test_a_rollout_takes_a_ready_one_only_when_all_others_serve(wanted, seen):
    names = {instance_name(KEY, index) for index in range(wanted.replicas)}
    there = {each.name: each for each in seen}
    stops = [step.name for step in plan(wanted, seen) if isinstance(step, StopInstance)]
    serving = [name for name in stops if name in names and there[name].ready]
    assert len(serving) <= 1
    if serving:
        assert all(name in there and there[name].ready for name in names)


@given(wishes, worlds)
def test_steps_name_each_instance_once_and_stay_in_bounds(wanted, seen):
    steps = plan(wanted, seen)
    there = {each.name for each in seen}
    names = [step.name for step in steps]
    assert len(names) == len(set(names))
    for step in steps:
        assert (step.name in there) == isinstance(step, StopInstance)
    starts = {step.name for step in steps if isinstance(step, StartInstance)}
    assert starts <= {instance_name(KEY, index) for index in range(wanted.replicas)}


@given(wishes, worlds)
def test_it_converges(wanted, seen):
    for _ in range(40):
        steps = plan(wanted, seen)
        started = [ObservedInstance(s.name, "Ready", True, "new") for s in steps if isinstance(s, StartInstance)]
        gone = {step.name for step in steps if isinstance(step, StopInstance)}
        gone |= {each.name for each in seen if each.phase == "Stopping"}
        kept = [each for each in seen if each.name not in gone]
        seen = [replace(each, phase="Ready", ready=True) for each in kept] + started
    assert plan(wanted, seen) == []
    assert sorted(each.name for each in seen) == [instance_name(KEY, index) for index in range(wanted.replicas)]
    assert all(each.revision == "new" for each in seen)
