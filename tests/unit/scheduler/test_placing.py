"""Placement: every worker is chosen or refused with a reason, and more room never hurts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.scheduler import Candidate, Needs, Request, explain, place
from crds.kinds.service import Toleration
from crds.kinds.worker import Taint

GIB = 2**30
ROOM = Needs(8, 16 * GIB, 100 * GIB)
amounts = st.builds(Needs, st.floats(0, 8), st.integers(0, 16).map(lambda n: n * GIB), st.just(0.0))
taint = st.builds(Taint, key=st.sampled_from("ab"), effect=st.sampled_from(["NoSchedule", "PreferNoSchedule"]))
candidate = st.builds(
    Candidate,
    name=st.text("abcdef", min_size=1, max_size=4),
    ready=st.booleans(),
    cordoned=st.booleans(),
    taints=st.lists(taint, max_size=2).map(tuple),
    labels=st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2),
    capacity=st.just(ROOM),
    free=amounts,
    replicas=st.integers(0, 3),
)
candidates = st.lists(candidate, max_size=8, unique_by=lambda each: each.name)
tolerations = st.lists(st.builds(Toleration, key=st.sampled_from("ab"), operator=st.just("Exists")), max_size=2)
request = st.builds(
    Request,
    name=st.just("default/db"),
    needs=amounts,
    labels=st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=1),
    tolerations=tolerations.map(tuple),
)


@given(request, candidates)
def test_each_worker_is_either_chosen_or_refused_with_a_reason(wanted, workers):
    decision = place(wanted, workers)
    refused = [each.worker for each in decision.refusals]
    assert sorted([*decision.chosen, *refused]) == sorted(each.name for each in workers)
    assert all(each.reason for each in decision.refusals)
    assert explain(wanted, decision).startswith("Unschedulable") == (not decision.chosen)


@given(request, candidates)
def test_nothing_is_placed_where_it_may_not_run(wanted, workers):
    by_name = {each.name: each for each in workers}
    for each in (by_name[name] for name in place(wanted, workers).chosen):
        assert each.ready and not each.cordoned
        assert each.free.cpu >= wanted.needs.cpu and each.free.memory >= wanted.needs.memory
        assert wanted.labels.items() <= each.labels.items()


@given(request, candidates.filter(bool), st.floats(0, 4))
def test_more_room_never_loses_a_place(wanted, workers, more):
    before = place(wanted, workers).chosen
    roomier = replace(workers[0], free=workers[0].free + Needs(cpu=more))
    after = place(wanted, [roomier, *workers[1:]]).chosen
    assert set(before) <= set(after)
    if roomier.name in before:
        assert after.index(roomier.name) <= before.index(roomier.name)


@given(request, candidates)
def test_the_order_of_the_workers_does_not_matter(wanted, workers):
    assert place(wanted, workers) == place(wanted, list(reversed(workers)))


def test_a_refusal_has_the_numbers():
    decision = place(Request("default/db", Needs(cpu=2)), [Candidate("a", capacity=ROOM, free=Needs(cpu=0.5))])
    assert decision.refusals[0].reason == "needs 2 CPU, 0.5 free"


def test_the_summary_counts_and_names():
    workers = [Candidate("a"), Candidate("b"), Candidate("c", cordoned=True, free=ROOM)]
    wanted = Request("default/db", Needs(cpu=4))
    text = explain(wanted, place(wanted, workers))
    assert text == "Unschedulable: default/db needs 4 CPU; 2 workers lack CPU, 1 is cordoned"


def test_the_runtimes_reach_is_explained():
    decision = place(Request("default/db", reach=frozenset({"here"})), [Candidate("here"), Candidate("there")])
    assert decision.chosen == ("here",)
    assert decision.refusals[0].reason == "the process runtime starts services only on its own machine"


def test_replicas_spread_and_soft_taints_are_avoided():
    soft = Taint(key="slow", effect="PreferNoSchedule")
    workers = [
        Candidate("soft", taints=(soft,), capacity=ROOM, free=ROOM),
        Candidate("busy", capacity=ROOM, free=ROOM, replicas=1),
        Candidate("free", capacity=ROOM, free=Needs(1, GIB, GIB)),
    ]
    assert place(Request("default/db"), workers).chosen == ("free", "busy", "soft")
